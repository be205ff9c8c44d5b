// Runs a scenario's flows in the built-in lab and returns everything that was seen, for the judge to read.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/network/sandbox.hpp"
#include "lab/run/crew.hpp"
#include "lab/rules/circumstances.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

struct Run {
    std::vector<evidence::Event> events;
    std::vector<std::string> problems;  // of reading journals: evidence may be missing
    std::vector<std::string> notes;     // what this system does not allow in labs
    std::vector<rules::Conditional> conditionals;  // rules whose word depends on more than the packet
    std::map<std::string, std::string> device_logs;  // by firewall: what its own log said, as text
    bool interrupted = false;           // SIGINT or SIGTERM: the events are those up to then
};

struct RunOptions {
    std::filesystem::path ruleset;                     // empty: the firewall forwards everything
    Setting setting;                                   // where the hosts are
    std::filesystem::path captures;                    // directory for pcapng files; empty: none
    bool control = false;                              // positive control; said in the evidence, changes nothing else
    std::vector<std::string> flows;                    // exactly these instances; empty: all
    bool trace = true;                                 // ask the kernel which rule decided
    unsigned trace_buffer = 0;                         // bytes; 0: what the trace wants
    bool coverage = false;                             // and what every rule did
    unsigned jobs = 0;                                 // flows at a time; 0: no limit
    std::filesystem::path journals;                    // directory for one journal per host and program; empty: none
    std::function<void(const evidence::Event&)> seen;  // as it happens
    CrewOptions crew;
    std::chrono::milliseconds margin{20'000};  // of patience with each flow, besides its own deadlines
    // Called when the flows are over and the lab still stands (--keep).
    std::function<void(Lab&, const Run&)> before_end;
};

// To be called inside the sandbox. SetupFailed, RulesetRefused. Never longer than the flows' deadlines allow: what does
// not end by itself is ended, and the evidence says so.
Run run(const ScenarioText& scenario, const Inside& inside, const RunOptions& options);

// What the flow's own deadlines allow at most, in a machine that is not busy.
std::chrono::milliseconds longest(const scenario::Flow& flow);

}  // namespace wmlab::lab
