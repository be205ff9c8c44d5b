// The verdicts: a pure function of the scenario and of what the processes and the wires recorded.
// The order of events does not matter; less evidence can only weaken a verdict to `inconclusive`.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct JudgeOptions {
    bool control_run = false;           // a second lab with the firewall open was run; `control` holds its events
    std::string ruleset;                // for the report; empty: the scenario's, if it names one
    double seconds = 0;                 // for the summary
    std::vector<std::string> problems;  // of reading the journals; not empty: evidence may be missing
    std::function<bool(const scenario::FlowInstance&)> only;  // flows to judge; empty: all
};

// Flows that need the positive control before they may be called blocked: run exactly these with the firewall open.
std::vector<std::string> needs_control(const Report& report);

Report judge(const scenario::Scenario& scenario, std::span<const evidence::Event> events,
             std::span<const evidence::Event> control = {}, const JudgeOptions& options = {});

// 0 every flow as expected; 1 some flow is not, the change must not go live, or not every report could be `written`; 4 nothing of that, but some flow is
// inconclusive, no flow was tested, an event could not be done, or something that the change lets through could not be tried.
int exit_code(const Report& report, bool written = true);

}  // namespace wmlab::lab
