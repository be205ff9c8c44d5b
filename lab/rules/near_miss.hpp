// The rule that almost let a packet through. Pure.
#pragma once
#include <optional>
#include <string>

#include "lab/rules/match.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

struct NearMiss {
    const Rule* rule = nullptr;
    std::string differs;  // "destination port 5000 is above 4999"
};
// The accepting rule of the chain (and of chains it leads to) that the packet missed by just one thing: a condition, or
// that the rule `stop`, which stopped the packet, stands before it. Nothing when there is none or none that is clearly
// nearest. `stop`: nothing where a policy did it. `passing`: only rules that hold and come too late.
std::optional<NearMiss> near_miss(const Ruleset& ruleset, const ChainName& chain, const Packet& packet,
                                  const Rule* stop = nullptr, bool passing = false);
// The rule that almost gave the packet another destination, before it was routed: a port forward that lacks its port.
std::optional<NearMiss> near_miss_of_translation(const Ruleset& ruleset, const Packet& arrived);

}  // namespace wmlab::lab::rules
