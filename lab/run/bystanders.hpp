// Real programs of a lab: the `run:` programs of hosts (a proxy ...), which stand as long as the lab does, and the
// programs that `command` flows are about.
#pragma once
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/run/lab.hpp"

namespace wmlab::lab {

class HostPrograms {
public:
    // Starts the program of each of these hosts that has one, on another machine with the files that it names.
    // SetupFailed: it cannot be started.
    HostPrograms(Lab& lab, Recorder& recorder, const ScenarioText& scenario, const std::set<std::string>& hosts,
                 std::function<void(const std::string&)> say);
    ~HostPrograms();  // ends them
    // Until each proxy of these flows listens on its port; `listening` or `listen-failed` says so in the evidence.
    void wait_until_listening(const std::vector<scenario::FlowInstance>& flows);
    // Ends those on other machines. One that had ended by itself is then known to have: its message may still be under
    // way.
    void stop_elsewhere();

private:
    struct Member;
    std::string carry(const scenario::Host& host, const std::filesystem::path& directory) const;
    bool unreachable(const Member& member) const;  // another machine from which nothing came back
    Lab& lab_;
    Recorder& recorder_;
    const scenario::Scenario& scenario_;
    std::function<void(const std::string&)> say_;
    std::list<Member> members_;
    bool stopping_ = false;
};

class Commands {
public:
    Commands(Lab& lab, Recorder& recorder, const ScenarioText& scenario);
    ~Commands();
    // It has until the flow's deadline, then it is ended. Of several on one host each waits for the one before, and has
    // source ports of its own: so packets are known to be its.
    void start(const scenario::FlowInstance& flow);
    bool ended(const scenario::FlowInstance& flow) const;  // also where it could not be started
    void stop();                                           // what still runs

private:
    struct Member;
    void launch(const scenario::FlowInstance& flow);
    void next(const std::string& host);
    std::string own_ports(const std::string& host);
    Lab& lab_;
    Recorder& recorder_;
    const ScenarioText& text_;
    std::list<Member> members_;
    std::map<std::string, std::deque<scenario::FlowInstance>> waiting_;  // by host; the first one runs
    std::map<std::string, unsigned> blocks_;                             // of source ports given away, by host
    bool stopping_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what is posted may come later than our end
};

}  // namespace wmlab::lab
