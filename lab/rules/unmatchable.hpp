// Which rules are no part of what becomes of some packets, so that the kernel need not look at them each time. Pure.
#pragma once
#include <span>
#include <vector>

#include "lab/rules/match.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

// The rules whose addresses or interfaces none of the packets has, whatever the packets' ports, and which do nothing
// before they find that out. None, where packets may change their addresses on the way, or hold what says nothing of
// itself.
std::vector<const Rule*> unmatchable(const Ruleset& ruleset, std::span<const Packet> packets);

}  // namespace wmlab::lab::rules
