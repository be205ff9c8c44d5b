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

// What a load's players together came to and should not have, of `loss` and `setup_p95`; sentences.
std::vector<std::string> unmet_by(const LoadResult& load, const scenario::Expectation& expected);

// Fills as_expected of every flow and the summary's counts; `unmet` says what was measured and is not as
// expected. Again wherever more becomes known of a report, as the rules do.
void hold_against_expectations(Report& report);

}  // namespace wmlab::lab
