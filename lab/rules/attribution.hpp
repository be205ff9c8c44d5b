// From the kernel's decisions, as the `trace` events of a DecisionLog tell them, to the rule a report names. Pure.
#pragma once
#include <span>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

// Fills rule, near_miss and suggestions of every flow of the report from `trace` events. `lost`: trace messages were
// lost; then only what the trace positively shows is named and the report says so.
void attribute(Report& report, const scenario::Scenario& scenario, std::span<const evidence::Event> events);

}  // namespace wmlab::lab::rules
