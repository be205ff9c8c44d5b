// Makes the suggestions of a report one change of the user's files and proves it: the flows pass with it, in a scratch
// copy, and do not pass without it, nor without any one of its rules.
#pragma once
#include "lab/commands/trial.hpp"

namespace wmlab::lab::commands {

// What a change of the rules opens that no flow needs.
struct Excess {
    std::string words;     // a sentence
    bool answers = false;  // only from a flow's far end back to its near end: where rules know no connections, answers need it
};
class RulesetCopy;
using Opened = std::function<std::vector<Excess>(const RulesetCopy& patched)>;  // its files exist

// Fills the report's patch, and suggestion_proven of every flow that has a suggestion. The user's files stay as they
// are. SetupFailed; Interrupted, then nothing counts as proven.
void prove_suggestions(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options,
                       const Opened& opened = {});

}  // namespace wmlab::lab::commands
