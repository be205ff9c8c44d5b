// Who decided about a packet: questions to a ruleset and the kernel's decision. Pure.
#pragma once
#include "common/evidence/trace.hpp"
#include "lab/rules/match.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab::rules {

// A rule that names neither address nor port nor interface stops whatever comes to it.
bool catch_all(const Ruleset& ruleset, const Rule& rule, const Packet& packet);

// Whether it is known why the rule stops this packet, and it is by what the packet is: not by a limit, nor because it
// belongs to no connection. Then there is sense in asking which rule should have let it through.
bool stops_plainly(const Ruleset& ruleset, const Rule& rule, const Packet& packet);

// The rule of a step. A chain without a name, written inside the rule that leads there, is part of that rule.
const Rule* rule_of(const Ruleset& ruleset, const Decision& decision, const Decision::Step& step);

// Whether the rule cannot have decided so about this packet: then the trace was wrong, or the rules are others by now.
bool contradicts(const Ruleset& ruleset, const Rule& rule, const Decision& decision, bool accepted);

// What the rule's statements write into packets. Nothing: nothing that matters on the way (a mark, the type of service, the segment size of TCP).
std::optional<evidence::Rewritten> changes(const Rule& rule);

// Whether the rule gives packets another destination.
bool leads_elsewhere(const Rule& rule);

// The base chain through which the packet came to the chain that dropped it: where near misses are looked for.
ChainName base_of(const Ruleset& ruleset, const Decision& decision);

// Who let a forwarded packet through: the last accepting rule, or else policy, of the forward hook's filter chains.
// Chains of other hooks accept too, but that decides nothing about the way through.
const Decision::Step* forwarding_step(const Ruleset& ruleset, const Decision& decision);

// Where the trace has lost track of a packet: the rule that stopped it, by comparing it with every rule of the one
// forwarding chain up to the first that matches, which must be one that stops packets and has counted some between
// `before` and `after`. Nothing, where anything is not known.
const Rule* by_counters(const Ruleset& before, const Ruleset& after, Packet packet);

}  // namespace wmlab::lab::rules
