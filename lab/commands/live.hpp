// --live: plays all flows under the old ruleset and applies the new one meanwhile, as the gateway's people do.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lab/commands/trial.hpp"

namespace wmlab::lab::commands {

inline constexpr std::string_view live_folder = "live";  // of its journals

struct LiveRun {
    std::filesystem::path ruleset;    // that was applied
    std::vector<std::string> flows;   // that were asked for; empty: all
    FurtherRun run;                   // under the ruleset before
};
// What each flow that was running noticed, joined with what the change does to it (`change`). Pure.
Live tell_live(const scenario::Scenario& scenario, const LiveRun& live, const Comparison& change);

// Inside the sandbox; SetupFailed, RulesetRefused.
LiveRun run_live(const ScenarioText& text, const Inside& inside, const TrialOptions& options, const std::filesystem::path& before,
                 const std::filesystem::path& after);

}  // namespace wmlab::lab::commands
