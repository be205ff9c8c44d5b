// wmlab's end of the join to a firewall that is another machine (lab/firewall/join.hpp): started by a command prefix,
// told the scenario's addresses, asked at the end which rule decided. What it cannot do costs rules, never verdicts.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lab/firewall/running.hpp"
#include "lab/rules/match.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

struct GatewayOptions {
    std::vector<std::string> prefix;  // the command by which the firewall is reached
    std::filesystem::path ruleset;    // the file its rules are said to be; empty: none is known
    bool trace = true;
    unsigned trace_buffer = 0;       // 0: what the trace wants
    std::filesystem::path journals;  // the running rules are kept there, for their lines; empty: nowhere
    std::chrono::milliseconds start_limit{20'000}, carry_limit{180'000}, finish_limit{20'000};
};

class Gateway {
public:
    // `scenario`: as the firewall sees it. Returns when the firewall's trace runs, or when it is known why it does not.
    Gateway(Lab& lab, const scenario::Scenario& scenario, GatewayOptions options);
    ~Gateway();  // ends it: the kernel there takes the table
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    // The `trace` events. `events`: of the run, for the rules' counters where there is no trace.
    std::vector<evidence::Event> finish(std::span<const evidence::Event> events);
    const std::string& box() const { return scenario_.firewall.name; }
    std::vector<std::string> notes;  // for the report

private:
    struct State;
    void read(std::string_view line);
    void carry(const std::string& machine);
    void job(const RunningRules& running);
    rules::Source places(const RunningRules& running);
    bool wait(const std::function<bool()>& done, std::chrono::milliseconds limit);
    std::string who() const;

    Lab& lab_;
    const scenario::Scenario& scenario_;
    GatewayOptions options_;
    std::unique_ptr<State> state_;
};

// A program that ends with its input: ended so, or killed when it has not in two seconds.
void end_program(Lab& lab, Process& program);

// The packets that must have come to the firewall, by what the ends of each flow wrote down; with the names that the
// ruleset under test has for the interfaces.
std::vector<rules::Packet> packets_sent(const scenario::Scenario& scenario, std::span<const evidence::Event> events);

}  // namespace wmlab::lab
