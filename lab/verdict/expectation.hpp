// What a scenario expects of a flow, held against what it came to. Pure.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// Milliseconds until its legs stood: the sum, so that one slow leg counts. Nothing: the journals do not tell.
std::optional<double> setup_time(const FlowResult& flow);

// Fills as_expected of every flow and the summary's counts; `unmet` says what was measured and is not as
// expected. Again wherever more becomes known of a report, as the rules do.
void hold_against_expectations(Report& report);

}  // namespace wmlab::lab
