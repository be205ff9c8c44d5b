// A ruleset from anybody - nftables, iptables-save, what it includes, ipsets, and what nft lists of it - is mapped to its
// lines and understood as far as it goes. The input has up to five parts with a zero byte between: the file, what lies
// beside it (an included file, ipsets), the JSON, the listing, and the JSON of the listing as plain nftables.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>

#include "lab/rules/circumstances.hpp"
#include "lab/rules/literals.hpp"
#include "lab/rules/match.hpp"
#include "lab/rules/near_miss.hpp"
#include "lab/rules/past.hpp"
#include "lab/rules/reach.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/rules/site.hpp"
#include "lab/rules/suggestion.hpp"
#include "lab/rules/trace.hpp"
#include "lab/rules/unmatchable.hpp"

using namespace wmlab;
using namespace wmlab::lab::rules;

namespace {

void require_of_ruleset(bool holds) {
    if (!holds) std::abort();
}

void check_place(const Place& place, const std::array<std::string, 5>& parts) {
    const auto& text = parts[place.file == "/fuzz/rules.nft" ? 0 : 1];
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    require_of_ruleset(place.line >= 1 && place.line <= lines);
}

void understand(const Ruleset& ruleset) {
    const Packet packet{"eth0", "eth1", {0x0A000002}, {0x0A010002}, "tcp", 1024, 1755, "new", 2};
    const std::array packets{packet, packet.reversed()};
    const Ways ways{ruleset};
    for (const auto& rule : ruleset.rules()) {
        for (const auto& one : packets) compare(ruleset, rule, one);
        verdict_maps(ruleset, rule);
        if (acts(ruleset, rule)) has_effect(ruleset, rule);
    }
    for (const auto& [name, chain] : ruleset.chains()) {
        near_miss(ruleset, name, packet);
        may_accept(ruleset, name);
        ways.may_come(name, packet);
    }
    unmatchable(ruleset, packets);
    conditionals(ruleset);
    plain(ruleset);
    site_of(ruleset);
    forwards_everything(ruleset);
    skeleton(ruleset, "rules.nft", {});
    has_egress(ruleset);
    trace_edges(ruleset, {"eth0", "eth1"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string rest{reinterpret_cast<const char*>(data), size};
    std::array<std::string, 5> parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto end = i + 1 < parts.size() ? rest.find('\0') : std::string::npos;
        parts[i] = rest.substr(0, end);
        rest = end == std::string::npos ? std::string{} : rest.substr(end + 1);
    }
    std::size_t reads = 0;
    const auto read = [&](const std::filesystem::path& path) -> std::optional<std::string> {
        require_of_ruleset(++reads < 100'000);
        return parts[path == "/fuzz/rules.nft" ? 0 : 1];
    };
    const auto source = read_source("/fuzz/rules.nft", read);
    for (const auto& [name, chain] : source.chains) {
        for (const auto& rule : chain.rules) check_place(rule, parts);
        if (chain.policy) check_place(*chain.policy, parts);
    }
    Literals literals;
    collect_literals(parts[0], literals);
    names_in(parts[0], 1000);
    ipsets_beside("/fuzz/rules.nft", parts[0], read);
    for (const bool iptables : {false, true}) {
        try {
            const auto past = iptables ? PastRules::of_iptables(parts[0]) : PastRules::of_nft(parts[2]);
            for (const auto as : {Past::nothing, Past::both}) past.with(std::vector<Past>(past.rules().size(), as));
        } catch (const std::runtime_error&) {  // that is not what nft says
        }
    }
    try {
        const auto ruleset = Ruleset::parse(parts[2], parts[3], source, parts[4]);
        for (const auto& rule : ruleset.rules())
            if (rule.place) check_place(*rule.place, parts);
        understand(ruleset);
    } catch (const std::runtime_error&) {  // that is not what nft says
    }
    return 0;
}
