// Proves the suggestions of a report: applies them to a scratch copy of the ruleset and runs the flows again, until
// they pass or nothing new is suggested.
#pragma once
#include "lab/commands/trial.hpp"

namespace wmlab::lab::commands {

// Fills suggestion_proven of every flow that has a suggestion. The user's files stay as they are. SetupFailed.
void prove_suggestions(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options);

}  // namespace wmlab::lab::commands
