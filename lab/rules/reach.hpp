// Where a rule leads to: the chains it jumps to, and whether anything can happen there. Pure.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "lab/rules/match.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab::rules {

// The key and the verdicts of a rule's verdict maps: `{ 80 : accept, 1755 : jump media }`, named maps looked up.
struct VerdictMap {
    struct Entry {
        const boost::json::value* key;
        const boost::json::object* verdict;  // {"accept": null}, {"jump": {"target": ...}}
    };
    const boost::json::value* key = nullptr;
    std::vector<Entry> entries;
    bool named = false;  // its elements may have changed since
    bool known = true;   // false: some of it could not be read
};
// Of a map of more than `most` elements none is given: not known.
std::vector<VerdictMap> verdict_maps(const Ruleset& ruleset, const Rule& rule, std::size_t most = SIZE_MAX);

// Whether the rule itself changes what becomes of a packet: not, if it only counts, logs, or jumps.
bool acts(const Ruleset& ruleset, const Rule& rule);
// The same with what its jumps lead to.
bool has_effect(const Ruleset& ruleset, const Rule& rule);
// Whether a packet can be accepted by a rule of this chain or of those it leads to.
bool may_accept(const Ruleset& ruleset, const ChainName& chain);

// Of the decision's steps those without which it might have come to another end: a jump counts where something
// happened before it came back.
std::vector<bool> effective_steps(const Ruleset& ruleset, const Decision& decision);

// Which chains a packet can come to on its way through the firewall.
class Ways {
public:
    explicit Ways(const Ruleset& ruleset);
    bool may_come(const ChainName& chain, const Packet& packet) const;

private:
    const Ruleset& ruleset_;
    std::map<ChainName, std::vector<std::size_t>> callers_;  // rules that lead to the chain
};

}  // namespace wmlab::lab::rules
