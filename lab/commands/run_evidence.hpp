// All that the report of `wmlab run` rests on: the evidence of its trials, and what was measured besides. What the run
// adds to its report step by step, and a replay once more, is added here.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lab/commands/live.hpp"
#include "lab/commands/trial_evidence.hpp"

namespace wmlab::lab::commands {

// What packets of no flow can do under one ruleset and not under the other (--baseline).
struct SweptChange {
    Comparison found;         // opened, closed, tried, not_tried, notes, seconds
    std::string day;          // it was: what is accepted may have expired
    bool allow_open = false;  // --allow-open
};
void add_swept(Comparison& comparison, const SweptChange& swept, const scenario::Scenario& scenario);

// What changed in nothing but loss and time, run again under both rulesets.
struct SecondRuns {
    TrialEvidence before, after;
};

// What came of trying the suggestions (--suggest, --apply-suggestions): of dozens of labs only this is kept.
struct Proof {
    std::optional<Patch> patch;
    std::map<std::string, bool> flows;  // that have a suggestion: whether they pass with it
};
Proof proof_of(const Report& report);
void add_proof(Report& report, const Proof& proof);

struct RunEvidence {
    TrialEvidence run;
    std::optional<TrialEvidence> baseline;
    std::optional<SweptChange> swept;
    std::optional<SecondRuns> again;
    std::optional<LiveRun> live;
    std::optional<Proof> proof;
};

// Where under the run's folder the journals of its parts are; those of each part have `control_folder` and `alone_folder`.
inline constexpr std::string_view baseline_folder = "baseline", again_before_folder = "again/before", again_after_folder = "again/after";

}  // namespace wmlab::lab::commands
