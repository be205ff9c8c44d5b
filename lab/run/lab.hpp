// One lab, standing: hosts, firewall with its ruleset, the witness on every wire, and the means to start programs.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/capture/pcapng.hpp"
#include "lab/capture/wire.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/error.hpp"
#include "lab/network/multicast_routing.hpp"
#include "lab/network/network.hpp"
#include "lab/network/sandbox.hpp"
#include "lab/network/setting.hpp"
#include "lab/programs/launcher.hpp"
#include "lab/run/recorder.hpp"

namespace wmlab::lab {

struct ScenarioText {  // a validated scenario and the text it was read from, which simulators get as it is
    scenario::Scenario scenario;
    std::string yaml;
    std::filesystem::path directory;  // what relative paths in the text are relative to
    std::string original{};           // as the user's file has it, where `yaml` is made of it; empty: as `yaml`
};

class Lab {
public:
    // `ruleset`: of a single firewall, several have theirs in the scenario; empty, and `setting.plain` for several: it
    // forwards everything. SetupFailed, RulesetRefused.
    // `captures`: a directory for pcapng files; empty: none.
    Lab(const scenario::Scenario& scenario, const Inside& inside, const std::filesystem::path& ruleset,
        Recorder& recorder, const Setting& setting = {}, const std::filesystem::path& captures = {});

    boost::asio::io_context io;
    const Setting setting;
    const std::vector<BoxRules> boxes;  // the firewalls, and what each has loaded
    Network network;
    std::vector<MulticastRoute> routes;
    MulticastRouting multicast;
    std::optional<Captures> captures;
    Wire wire;
    Launcher launcher;
    std::vector<std::string> notes;  // what this system does not allow
    std::map<std::string, SetupFailed, std::less<>>
        unreachable;        // hosts on other machines, and why: theirs are no flows
    int interruptions = 0;  // the user's requests for an end so far, also those before the lab was there

    // Runs what happens until `done` holds (true), or the time is over or the user interrupts (false).
    bool wait(const std::function<bool()>& done, std::chrono::steady_clock::time_point limit);
    // The same, but an interruption is not minded (clean-up).
    bool wait_regardless(const std::function<bool()>& done, std::chrono::steady_clock::time_point limit);

    const Namespace* place_of(const std::string& host) const;  // null: the host is another machine

    // The lines of /etc/hosts for a program on this host, where they differ from the lab's.
    std::string names_at(const std::string& host) const;

    // What a user types outside to get a shell on each host and on the firewall; for --keep.
    std::string how_to_enter() const;

    bool open() const { return all_open(boxes); }  // nothing is loaded anywhere

private:
    void listen_for_interruptions();
    const scenario::Scenario& scenario_;
    const Inside& inside_;
    boost::asio::posix::stream_descriptor interruption_;
};

}  // namespace wmlab::lab
