// All that the report of one trial rests on, and the report as a function of it: so a run and whoever judges it again
// come to the same.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/commands/device_advice.hpp"
#include "lab/rules/circumstances.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

inline constexpr std::string_view control_folder = "control", alone_folder = "alone";  // of further runs' journals, FLOW in the latter

// Some of the flows, run once more.
struct FurtherRun {
    std::vector<evidence::Event> events;
    std::vector<std::string> problems;  // of reading the journals
    bool interrupted = false;
};

struct TrialEvidence {
    std::vector<std::filesystem::path> rulesets;  // the files
    std::string ruleset;                          // for the report
    std::vector<std::string> flows;               // that were asked for; empty: all
    bool built_in = true;                         // the firewall
    bool interrupted = false;
    bool coverage = false;  // is wanted in the report
    double seconds = 0;     // it took

    std::vector<evidence::Event> events;
    std::vector<std::string> problems;             // of reading the journals
    std::vector<rules::Conditional> conditionals;  // rules whose word depends on more than the packet
    std::map<std::string, DeviceLog> device_logs;  // by firewall
    std::chrono::sys_time<std::chrono::nanoseconds> read_at{};  // they were: for lines without a year
    std::optional<FurtherRun> control;          // with the firewall open
    std::map<std::string, FurtherRun> alone;    // by flow: in a firewall that had seen nothing before
    std::vector<std::string> notes;             // what this system does not allow in labs
    std::vector<std::string> capture_problems;  // of writing verdicts into the captures
};

// Runs what the judge asks for; nothing: it cannot be run, so that only what is in the evidence counts.
struct FurtherRuns {
    std::function<FurtherRun(const std::vector<std::string>& flows)> control;
    std::function<FurtherRun(const std::string& flow)> alone;
};

// Further runs go into the evidence. Of all else nothing but `evidence` counts: no file, no clock.
Report judge_trial(const scenario::Scenario& scenario, TrialEvidence& evidence, const FurtherRuns& more = {});

}  // namespace wmlab::lab::commands
