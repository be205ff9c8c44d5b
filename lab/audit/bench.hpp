// A firewall by itself, with one wire for each zone that it has a side in, behind which are those that it reaches by other
// firewalls, and nobody answering: crafted packets go in on one wire, and what
// comes out of another, or reaches the firewall itself, is seen. Exact: a marker follows each batch through the same
// queues, so that a packet not seen by then was stopped.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/crafted.hpp"
#include "lab/audit/fields.hpp"
#include "lab/rules/past.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Outcome {
    enum class End : std::uint8_t { unknown, stopped, forwarded, local } end = End::unknown;
    std::uint8_t zone = 0;        // forwarded: out of which
    Address destination;          // as it came out
    std::uint16_t port = 0;       // likewise
    bool open() const { return end == End::forwarded || end == End::local; }
    bool operator==(const Outcome&) const = default;
};

struct Reasons {  // by whose word a packet got through
    Outcome outcome;
    std::optional<RuleRef> accepts, translates, last;  // last: rule or policy that matched last, whatever it did
    std::vector<std::pair<rules::ChainName, std::uint64_t>> rules;  // all that matched
};

RuleRef reference(const rules::Rule& rule);

class Bench {
public:
    // In the sandbox; of several firewalls the one of the view. SetupFailed, RulesetRefused.
    Bench(const scenario::Scenario& scenario, const std::filesystem::path& ruleset);
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    const rules::Ruleset& ruleset() const;
    const std::string& listing() const;
    bool has_v6() const;                          // this system lets the lab use IPv6
    Address twin(scenario::Ipv4 address, std::size_t zone) const;  // of an address of this zone, in IPv6
    std::size_t wire_of(std::size_t zone) const;                   // the zone on whose wire it is: itself, but for those behind other firewalls
    void strangers_behind(std::size_t zone);      // addresses that no zone has are behind this one
    void forget();                                // connections
    // Rules that ask of the packets before. Until settle() they decide as they do.
    const std::vector<rules::PastRule>& past_rules() const;
    const rules::Rule* rule_of(const rules::PastRule& past) const;  // of ruleset()
    // Loads the ruleset again: no rule asks of the packets before any more, each decides as with this past. Those that could not be
    // loaded so, by their numbers.
    std::vector<std::size_t> settle(const std::function<rules::Past(std::size_t rule)>& past = {});
    // Outcomes in the packets' order. Those of one call must not be each other's answers.
    void send(std::span<const Crafted> packets, std::span<const Shape> shapes, std::vector<Outcome>& outcomes);
    // One packet under the kernel's trace. The trace table stays.
    Reasons ask(const Crafted& packet, std::span<const Shape> shapes);

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace wmlab::lab
