// What each rule of the user's ruleset did for the flows of a run (`wmlab run --coverage`). Pure: joins the `trace`
// events of a DecisionLog that was asked for every rule with the judged legs.
#pragma once
#include <span>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

// In the kernel's order, of several firewalls one after the other. A rule is needed by a flow when it accepted, translated or led on a packet of a leg that
// works, or stopped what the scenario wants stopped.
std::vector<RuleUse> coverage(const Report& report, std::span<const evidence::Event> events);

}  // namespace wmlab::lab::rules
