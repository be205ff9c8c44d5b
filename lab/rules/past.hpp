// What rules ask of the packets before: rates, quotas, counts of connections, chance, sets that packets fill. Such rules can be loaded
// settled, so that they decide every packet alike: as if nothing had come before, as if every limit were used up and chance fell the other
// way, as if every such set held what is looked for. Pure.
#pragma once
#include <array>
#include <boost/json/array.hpp>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

struct Limit {
    enum class Sort { packets, bytes, quota, connections, chance, set, other } sort = Sort::packets;
    double amount = 0;  // packets or bytes a second, bytes in all, connections at a time
    double burst = 0;   // what may come at once beside it, in the same unit
    std::string of;     // whatever else tells it from others: by which key it counts, by which chance
    auto operator<=>(const Limit&) const = default;
};

struct PastRule {
    ChainName chain;
    std::size_t position = 0;   // in its chain, from 0
    std::vector<Limit> limits;  // sorted
    bool decides = false;       // what becomes of a packet; false: it logs, counts, or fills a set
    bool settles = true;        // false: nft does not tell enough of it to load it again
    bool asks_of_limits() const;
    bool asks_of_sets() const;
};

enum class Past : std::uint8_t { nothing, limits_used_up, sets_filled, both };

// The rules of a ruleset that ask of the past, in the order of the listing, and how to load them settled.
class PastRules {
public:
    // `nft -j list ruleset` with handles. Throws std::runtime_error where it is not that.
    static PastRules of_nft(std::string_view json);
    // `iptables-save` of the loaded rules.
    static PastRules of_iptables(std::string_view saved);

    const std::vector<PastRule>& rules() const { return rules_; }
    // By rule. nft: commands in JSON, that replace these rules. iptables: all rules, for iptables-restore. Empty: nothing is to be done.
    // `only`: this rule.
    std::string with(const std::vector<Past>& pasts, std::optional<std::size_t> only = {}) const;

private:
    std::vector<PastRule> rules_;
    struct Settled {                    // where a rule was, and in whose place it goes
        std::array<std::string, 4> as;  // by Past
        std::size_t line = 0;           // iptables: of the saved text
    };
    std::vector<Settled> settled_;
    std::vector<std::string> lines_;  // iptables
};

// What became of the limits between two rulesets.
enum class LimitChange { none, higher, lower, other };
LimitChange compare_limits(const std::vector<Limit>& before, const std::vector<Limit>& after);

}  // namespace wmlab::lab::rules
