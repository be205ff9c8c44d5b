// What a change of the rules opens and closes: the same crafted packets under both rulesets.
#pragma once
#include <filesystem>

#include "common/scenario/model.hpp"
#include "lab/audit/plan.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// Fills what a comparison says of openings and closings. In the sandbox. SetupFailed, RulesetRefused.
void explore_change(const scenario::Scenario& scenario, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions,
                    Comparison& comparison);

}  // namespace wmlab::lab
