// What a change of the rules opens and closes: the same crafted packets under both rulesets.
#pragma once
#include <filesystem>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/plan.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// Fills what a comparison says of openings and closings. In the sandbox. SetupFailed, RulesetRefused.
void explore_change(const scenario::Scenario& scenario, const std::filesystem::path& before, const std::filesystem::path& after, const Dimensions& dimensions,
                    Comparison& comparison);

// Of several firewalls each one by itself, as if the others let everything through; `before`: all of them, as they were.
void explore_changes(const scenario::Scenario& scenario, const std::vector<scenario::Firewall>& before, const Dimensions& dimensions, Comparison& comparison);

}  // namespace wmlab::lab
