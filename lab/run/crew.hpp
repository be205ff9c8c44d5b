// The simulators of one wave: started on their hosts, told when to begin and when to stop, watched while they run. The
// protocol is that of docs/architecture.md: the scenario and commands on standard input, the journal on standard
// output.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/model.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

struct CrewOptions {
    std::filesystem::path programs;                 // where the simulators are; empty: beside wmlab, then in PATH
    std::function<void(const std::string&)> say;    // what went wrong, for people
    std::function<bool(scenario::Program)> wanted;  // which programs to start; empty: all
    double hasten = 1;                              // pauses and keep-alives take the so-manieth part (haste.hpp)
    bool direct = false;  // nothing translates: hosts are dialled at their own addresses, not as `published`
    // Generous: a busy machine is no reason to give up.
    std::chrono::milliseconds ready_limit{30'000}, stop_limit{10'000}, terminate_limit{3'000};
};

class Crew {
public:
    // Starts the programs that speak for the flows, on every host that takes part. SetupFailed: one cannot be started.
    Crew(Lab& lab, Recorder& recorder, const ScenarioText& scenario, const std::vector<scenario::FlowInstance>& flows,
         CrewOptions options);
    ~Crew();

    // Until every program that lives is ready. SetupFailed where a port is taken, naming it and its holder. A machine
    // that cannot be reached, or has another version of the simulators, is left out (Lab::unreachable), and the
    // evidence says so. False: the user interrupts.
    bool wait_until_ready();
    void start();  // the flows may begin; who must connect to a port chosen meanwhile is told which
    // Every one of these flows has ended, or its opening program has.
    bool ended(const scenario::FlowInstance& flow) const;
    // What is sent so is dropped for good: who waits for it, or for an answer to it, on the host with this address need not.
    void lost(scenario::Ipv4 host, const std::string& protocol, const std::string& local, const std::string& remote);
    // Ends the host's simulators as a crash does; `again`: and starts them anew, at once. The evidence says on whose word.
    void kill(const std::string& host, bool again);
    void stop();  // told so first, made to after a while; returns when all have ended

private:
    struct Member;
    void launch(Member& member);      // SetupFailed
    void tell_start(Member& member);  // its flows may begin
    Member* opener(const scenario::FlowInstance& flow) const;
    void read(Member& member, std::string_view line);
    void over(Member& member, const Ending& ending);
    [[noreturn]] void refuse(const Member& member) const;
    std::optional<SetupFailed> refused_by_machine(const Member& member) const;
    void give_up(Member& member, const SetupFailed& why);  // on its host, for the rest of the run
    void ping(Member& member);
    void pong(Member& member, const evidence::Event& event);
    void measure_clocks();

    Lab& lab_;
    Recorder& recorder_;
    const scenario::Scenario& scenario_;
    std::string yaml_;  // as a simulator gets it
    std::filesystem::path directory_;
    CrewOptions options_;
    std::vector<std::unique_ptr<Member>> members_;
    std::set<std::string, std::less<>> ended_;  // flows
    struct Endpoint {
        const Member* listener;
        std::string at;  // "studio:3456"
    };
    std::map<std::string, Endpoint, std::less<>> endpoints_;  // by flow
    void say(const std::string& sentence) const;
    bool stopping_ = false;
};

}  // namespace wmlab::lab
