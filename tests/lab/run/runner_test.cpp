#include "lab/run/runner.hpp"

#include <boost/json/serialize.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "lab/host/error.hpp"
#include "tests/catch.hpp"
#include "tests/lab/directory.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;
using namespace std::chrono_literals;

namespace {

// Stands in for a simulator: says each step of the protocol with the runner. What it does besides is in its
// environment.
constexpr const char* stand_in = R"(#!/usr/bin/env python3
import json, os, signal, socket, sys, time
name = os.path.basename(sys.argv[0])
host = sys.argv[sys.argv.index("--host") + 1]
flows = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "--flow"]
mood = os.environ.get("MOOD_" + name, "")
count = 0
def say(event, flow=None, **fields):
    global count
    count += 1
    line = {"time": "2026-11-24T16:31:32.123456789Z", "monotonic": time.monotonic_ns(), "host": host, "process": name,
            "event": event, **fields}
    if flow: line["flow"] = flow
    print(json.dumps(line), flush=True)
say("started", flows=flows, pid=os.getpid())
document = 0
for line in sys.stdin:
    if line == "...\n": break
    document += 1
if mood == "port taken":
    say("listen-failed", protocol="tcp", local="10.10.0.10:80", error="Address already in use")
    sys.exit(3)
say("listening", protocol="tcp", local="10.10.0.10:80", document=document)
say("ready")
for line in sys.stdin:
    if line == "start\n":
        if mood == "killed": os.kill(os.getpid(), signal.SIGKILL)
        for flow in flows:
            if name != "client_sim": continue
            say("flow-started", flow, type="probe", attempt=1)
            if mood != "never ends": say("flow-ended", flow, outcome="worked")
    if line == "stop\n":
        if mood == "does not stop":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: time.sleep(1)
        break
say("stopped", reason="stop", lines=count + 1)
)";

constexpr const char* scenario_text = R"(version: 1
name: stand-ins
zones:
  inside:  { subnet: 10.10.0.0/24, interface: fw-in }
  outside: { subnet: 10.20.0.0/24, interface: fw-out }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { deadline: 200ms, play: 100ms }
flows:
)";

ScenarioText text_with(const std::string& flows, const std::filesystem::path& directory, std::string hosts = {}) {
    auto yaml = std::string{scenario_text} + flows;
    if (!hosts.empty()) yaml.replace(yaml.find("content:"), 0, hosts);
    auto loaded = scenario::load(yaml, "test.yaml", directory, scenario::Files::not_checked);
    if (!loaded.ok()) throw std::runtime_error{scenario::explain(loaded.problems)};
    return {loaded.scenario, yaml, directory};
}

std::string with_stand_ins(const Directory& directory) {
    for (const auto* name : {"server_sim", "client_sim"})
        std::filesystem::permissions(directory.write(name, stand_in), std::filesystem::perms{0755});
    return directory.path();
}

constexpr const char* one_probe = "  - { id: reach, type: probe, from: player, to: media, protocol: tcp, ports: 80 }\n";

// "media server_sim ready" of every event but the wires
std::string told(const Run& run) {
    std::string text;
    for (const auto& event : run.events)
        if (event.event != evidence::What::wire)
            text += event.host + " " + event.process + " " + std::string{evidence::text(event.event)} +
                    (event.flow.empty() ? "" : " " + event.flow) + "\n";
    return text;
}

std::size_t position(const std::string& text, const std::string& part) { return text.find(part); }

const evidence::Event* find(const Run& run, evidence::What what) {
    const auto found = std::ranges::find(run.events, what, &evidence::Event::event);
    return found == run.events.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a run: both ends are ready before the flows start, and told to stop when they have ended", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(who, [&](const Inside& inside) {
        RunOptions options;
        options.crew.programs = programs;
        const auto result = run(text_with(one_probe, directory.path()), inside, options);
        return told(result);
    });
    const auto& text = outcome.text;
    INFO(text);
    CHECK(position(text, "lab wmlab ruleset-loaded") == 0);
    CHECK(position(text, "lab wmlab lab-up") < position(text, "started"));
    CHECK(position(text, "media server_sim ready") < position(text, "player client_sim flow-started reach"));
    CHECK(position(text, "player client_sim flow-ended reach") < position(text, "stopped"));
    CHECK(position(text, "media server_sim stopped") != std::string::npos);
    CHECK(position(text, "player client_sim stopped") != std::string::npos);
    CHECK(text.ends_with("lab wmlab stopped\n"));
    CHECK(position(text, "process-died") == std::string::npos);
}

TEST_CASE("a simulator gets the scenario's own text, up to its end of document", "[lab]") {
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        RunOptions options;
        options.crew.programs = programs;
        auto text = text_with(one_probe, directory.path());
        const auto lines = std::ranges::count(text.yaml, '\n');
        text.yaml += "...\nstart\nstop\n";
        const auto result = run(text, inside, options);
        const auto* const listening = find(result, evidence::What::listening);
        return std::to_string(lines - listening->fields.at("document").as_int64());
    });
    CHECK(outcome.text == "0");
}

TEST_CASE("a simulator that is killed is told of, and does not stop the run", "[lab]") {
    const auto victim = GENERATE(std::string{"server_sim"}, std::string{"client_sim"});
    INFO(victim);
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        ::setenv(("MOOD_" + victim).c_str(), "killed", 1);
        RunOptions options;
        options.crew.programs = programs;
        const auto result = run(text_with(one_probe, directory.path()), inside, options);
        const auto* const died = find(result, evidence::What::process_died);
        return died == nullptr ? "nobody died\n" + told(result)
                               : died->host + " " + boost::json::serialize(died->fields);
    });
    CHECK(outcome.text.starts_with(victim == "server_sim" ? R"(media {"program":"server_sim","signal":9)"
                                                          : R"(player {"program":"client_sim","signal":9)"));
}

TEST_CASE("a port that is taken ends the set-up and names the port and its holder", "[lab]") {
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        ::setenv("MOOD_server_sim", "port taken", 1);
        RunOptions options;
        options.crew.programs = programs;
        const auto text = text_with(one_probe, directory.path(), "");
        run(text, inside, options);
        return std::string{"it ran"};
    });
    CHECK(outcome.code == 1);
    CHECK(outcome.text == "cannot bind tcp 10.10.0.10:80 on media for server_sim: Address already in use");
}

TEST_CASE("a flow that never ends is given up after its patience, a program that does not stop is ended", "[lab]") {
    const auto mood = GENERATE(std::string{"never ends"}, std::string{"does not stop"});
    INFO(mood);
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        ::setenv("MOOD_client_sim", mood.c_str(), 1);
        RunOptions options;
        options.crew.programs = programs;
        options.margin = 10ms;
        options.crew.stop_limit = 300ms;
        options.crew.terminate_limit = 300ms;
        const auto result = run(text_with(one_probe, directory.path()), inside, options);
        return told(result);
    });
    INFO(outcome.text);
    CHECK(outcome.code == 0);
    CHECK(outcome.text.ends_with("lab wmlab stopped\n"));
    CHECK((outcome.text.find("process-died") != std::string::npos) == (mood == "does not stop"));
}

TEST_CASE("an interrupted run ends at once with the evidence there is", "[lab]") {
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        ::setenv("MOOD_client_sim", "never ends", 1);
        RunOptions options;
        options.crew.programs = programs;
        options.margin = 1h;
        options.seen = [](const evidence::Event& event) {
            if (event.event == evidence::What::flow_started) ::raise(SIGINT);
        };
        const auto result = run(text_with(one_probe, directory.path()), inside, options);
        return (result.interrupted ? "interrupted\n" : "not\n") + told(result);
    });
    INFO(outcome.text);
    CHECK(outcome.text.starts_with("interrupted\n"));
    CHECK(outcome.text.find("media server_sim stopped") != std::string::npos);
    CHECK(outcome.text.find("player client_sim stopped") != std::string::npos);
}

TEST_CASE("a command flow: its end, its last words, and no longer than its deadline", "[lab]") {
    struct Row {
        std::string name, run, says;
    };
    const auto row = GENERATE(values<Row>({
        {"a program that works", "[sh, -c, 'echo fine']", R"({"exit":0,"output":"fine\n"} worked)"},
        {"a program that fails", "[sh, -c, 'echo bad >&2; exit 4']", R"({"exit":4,"output":"bad\n"} failed)"},
        {"a program that does not end", "[sleep, '1000']", R"({"signal":15,"output":"","too_long":true} failed)"},
        {"a host's name resolves", "[sh, -c, 'getent hosts media | tr -s \" \"; hostname']",
         R"({"exit":0,"output":"10.10.0.10 media\nplayer\n"} worked)"},
    }));
    DYNAMIC_SECTION(row.name) {
        const Directory directory;
        const auto programs = with_stand_ins(directory);
        const auto outcome = in_lab(As::user, [&](const Inside& inside) {
            RunOptions options;
            options.crew.programs = programs;
            const auto result =
                run(text_with("  - { id: real, type: command, from: player, to: media, deadline: 2s, run: " + row.run +
                                  " }\n",
                              directory.path()),
                    inside, options);
            const auto* const exited = find(result, evidence::What::program_exited);
            const auto* const ended = find(result, evidence::What::flow_ended);
            if (exited == nullptr || ended == nullptr) return told(result);
            return boost::json::serialize(exited->fields) + " " + std::string{ended->fields.at("outcome").as_string()};
        });
        CHECK(outcome.text == row.says);
    }
}

TEST_CASE("a command that cannot be started says so, as a shell would", "[lab]") {
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::user, [&](const Inside& inside) {
        RunOptions options;
        options.crew.programs = programs;
        const auto result =
            run(text_with("  - { id: real, type: command, from: player, to: media, run: [no-such-program] }\n",
                          directory.path()),
                inside, options);
        return boost::json::serialize(find(result, evidence::What::program_exited)->fields);
    });
    CHECK(outcome.text.find(R"("exit":127)") != std::string::npos);
    CHECK(outcome.text.find("no-such-program") != std::string::npos);
}

TEST_CASE("journals of every program and of the runner are kept, and read back whole", "[lab]") {
    const Directory directory;
    const auto programs = with_stand_ins(directory);
    const auto outcome = in_lab(As::root, [&](const Inside& inside) {
        RunOptions options;
        options.crew.programs = programs;
        options.journals = directory.path() / "journals";
        const auto text = text_with(one_probe, directory.path());
        run(text, inside, options);
        const auto result = run(text, inside, options);  // the second run's replace the first's
        return std::to_string(result.events.size());
    });
    std::size_t events = 0;
    for (const auto* name : {"media.server_sim", "player.client_sim", "wmlab"}) {
        std::ifstream in{directory.path() / "journals" / (std::string{name} + ".jsonl")};
        const auto journal = evidence::read_journal(in, name);
        CHECK(journal.problems.empty());
        CHECK_FALSE(journal.truncated);
        CHECK(journal.events.back().event == evidence::What::stopped);
        CHECK(journal.events.back().fields.at("lines") == journal.events.size());
        events += journal.events.size();
    }
    CHECK(std::to_string(events) == outcome.text);
}

TEST_CASE("a host's real program: a proxy is waited for, one that ends is told of", "[lab]") {
    struct Row {
        std::string name, program, says;
    };
    const auto row = GENERATE(values<Row>({
        {"it listens", "[python3, -m, http.server, '3128']", "listening"},
        {"it ends", "[sh, -c, 'echo no config; exit 1']", "program-exited"},
    }));
    DYNAMIC_SECTION(row.name) {
        const Directory directory;
        const auto programs = with_stand_ins(directory);
        const auto outcome = in_lab(As::user, [&](const Inside& inside) {
            RunOptions options;
            options.crew.programs = programs;
            const auto result = run(
                text_with("  - { id: web, type: http, from: player, to: media, proxy: { host: proxy, port: 3128 } }\n",
                          directory.path(),
                          "  proxy: { zone: outside, address: 10.20.0.13, run: " + row.program + " }\n"),
                inside, options);
            return told(result);
        });
        INFO(outcome.text);
        CHECK(outcome.text.find("proxy wmlab " + row.says) != std::string::npos);
        CHECK((outcome.text.find("proxy wmlab listen-failed") == std::string::npos) == (row.says == "listening"));
    }
}
