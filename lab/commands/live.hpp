// --live: plays all flows under the old ruleset and applies the new one meanwhile, as the gateway's people do.
#pragma once
#include <optional>

#include "lab/commands/trial.hpp"

namespace wmlab::lab::commands {

// What each flow that was running noticed, joined with what the change does to it (`change`). Nothing: the user
// interrupts. Inside the sandbox; SetupFailed, RulesetRefused.
std::optional<Live> try_live(const ScenarioText& text, const Inside& inside, const TrialOptions& options,
                             const std::filesystem::path& before, const std::filesystem::path& after, const Comparison& change);

}  // namespace wmlab::lab::commands
