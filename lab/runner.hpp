// Runs a scenario's flows in the built-in lab and returns everything that was seen, for the judge to read.
#pragma once
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/sandbox.hpp"

namespace wmlab::lab {

struct ScenarioText {  // a validated scenario and the text it was read from, which simulators get as it is
    scenario::Scenario scenario;
    std::string yaml;
    std::filesystem::path directory;  // what relative paths in the text are relative to
};

struct RunOptions {
    std::optional<std::filesystem::path> ruleset;      // instead of the scenario's; empty path: the open firewall
    bool control = false;                              // positive control: the firewall forwards everything
    std::string only;                                  // flow instances by glob; empty: all
    std::vector<std::string> flows;                    // exactly these instances; empty: all that `only` lets through
    unsigned jobs = 0;                                 // flows at a time; 0: no limit
    std::filesystem::path journals;                    // directory for one journal per host and program; empty: none
    std::function<void(const evidence::Event&)> seen;  // as it happens
    std::function<void(const std::string&)> say;       // what programs write to standard error, notes
    std::function<void()> keep;                        // called in the finished lab before it is taken down (--keep)
};

struct Run {
    std::vector<evidence::Event> events;
    bool interrupted = false;  // SIGINT or SIGTERM: the events up to then
};

// To be called inside the sandbox. SetupFailed, RulesetRefused. Never longer than the flows' deadlines allow: what does
// not end by itself is ended, and the events say so.
Run run(const ScenarioText& scenario, const Inside& inside, const RunOptions& options);

}  // namespace wmlab::lab
