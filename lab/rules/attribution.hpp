// From the kernel's decisions, as the `trace` events of a DecisionLog tell them, to the rule a report names. Pure.
#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

// Fills rule, near_miss and suggestions of every flow of the report from `trace` events. `lost`: trace messages were
// lost; then only what the trace positively shows is named and the report says so.
void attribute(Report& report, const scenario::Scenario& scenario, std::span<const evidence::Event> events);

// In which wave each flow was played, as the runner told it.
std::map<std::string, std::int64_t, std::less<>> waves_of(std::span<const evidence::Event> events);

// A rule as a trace event tells it; null gives nothing.
std::optional<RuleRef> ref_from(const boost::json::object* rule, const evidence::Event& event);

}  // namespace wmlab::lab::rules
