// Sweeps all ports between the hosts of every pair of zones, through the lab's firewall, and compares with what the
// flows need.
#pragma once
#include <filesystem>
#include <functional>

#include "common/scenario/model.hpp"
#include "lab/audit/findings.hpp"
#include "lab/audit/plan.hpp"

namespace wmlab::lab {

struct AuditOptions {
    std::filesystem::path ruleset;                     // empty: the scenario's
    std::function<void(const std::string&)> progress;  // "outside -> inside ..."
    Dimensions dimensions{std::begin(all_dimensions), std::end(all_dimensions)};
    bool every_host = false;                           // also those that no rule can tell from others
};

// To be called inside the sandbox. SetupFailed, RulesetRefused.
AuditReport audit(const scenario::Scenario& scenario, const AuditOptions& options);

}  // namespace wmlab::lab
