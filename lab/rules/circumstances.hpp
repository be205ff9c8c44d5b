// What rules look at besides the packet itself: what came before it, how much or how fast, the time of day, chance. A
// verdict that hangs on such a rule may be another one tomorrow, or by itself. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

enum class Circumstance {
    earlier,  // what came before or goes on at the same time: recent, connlimit, sets that packets fill
    rate,     // limit, hashlimit
    amount,   // quota
    time,     // of day, of the week
    chance    // at random
};
std::string_view words(Circumstance circumstance);  // "counts what came earlier or goes on at the same time"

struct Conditional {  // a rule with one
    Circumstance circumstance = Circumstance::earlier;
    std::string by;  // "recent", "limit", "numgen"
    std::string file, text, chain;
    unsigned line = 0;
};

// Of all rules that decide anything about TCP, UDP or IGMP, each once.
std::vector<Conditional> conditionals(const Ruleset& ruleset);

// Every rule is understood and looks at nothing but fields of the packet that are the same when a program sends it once
// more: what was dropped once is dropped again.
bool plain(const Ruleset& ruleset);

// Plain, and nothing but interfaces, protocols, addresses, ports, TCP flags and the state of the connection decide: whatever else is sent between the
// same two ports in the same state meets the same end, however long it is and whatever it holds.
bool same_for_all_between_two_ports(const Ruleset& ruleset);

}  // namespace wmlab::lab::rules
