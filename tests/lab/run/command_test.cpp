// wmlab run and exec as people call them, with the real simulators.
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "common/evidence/journal.hpp"
#include "lab/programs/launcher.hpp"
#include "tests/catch.hpp"
#include "tests/lab/directory.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;
using namespace std::chrono_literals;

namespace {

std::string scenario_file(const std::string& name) { return std::string{WMLAB_SOURCE_DIR} + "/scenarios/" + name; }

// A call of wmlab, of an ordinary user where `who` says so.
std::vector<std::string> call(As who, std::vector<std::string> arguments) {
    std::vector<std::string> argv;
    if (who == As::user && ::geteuid() == 0) argv = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    argv.push_back(WMLAB_PROGRAM);
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
}

ToolResult wmlab_says(As who, std::vector<std::string> arguments, std::string_view input = {}) {
    return run_tool(Namespace::current(), call(who, std::move(arguments)), input);
}

// A call that goes on while the test does something to it.
struct Running {
    boost::asio::io_context io;
    Namespace here = Namespace::current();
    Launcher launcher{io};
    std::string output;
    std::optional<Ending> ending;
    std::shared_ptr<Process> process;

    explicit Running(std::vector<std::string> argv) {
        launcher.place("here", std::vector<std::string>{});
        Start start;
        start.host = "here";
        start.argv = std::move(argv);
        start.noise = [this](std::string_view part) { output += part; };
        start.ended = [this](const Ending& how) { ending = how; };
        process = launcher.start(std::move(start));
    }
    template <class Condition>
    bool until(Condition condition) {
        const auto limit = std::chrono::steady_clock::now() + 60s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > limit) return false;
            io.run_one_for(5ms);
        }
        return true;
    }
    bool over() {
        return until([&] { return ending.has_value(); });
    }
};

std::string words_of(const std::filesystem::path& file) {
    std::ifstream in{file};
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}

// The process of a simulator on a host, below the wmlab that was called.
pid_t simulator(pid_t outer, const std::string& host) {
    const auto parent_of = [](const std::string& pid) {
        std::istringstream stat{words_of("/proc/" + pid + "/stat")};
        std::string word;
        pid_t parent = 0;
        stat >> word >> word >> word >> parent;
        return parent;
    };
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
        const auto pid = entry.path().filename().string();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        const auto command = words_of(entry.path() / "cmdline");
        if (command.find(std::string{"server_sim\0", 11}) == std::string::npos ||
            command.find(std::string{"--host\0", 7} + host) == std::string::npos)
            continue;
        if (parent_of(std::to_string(parent_of(pid))) == outer) return std::stoi(pid);
    }
    return 0;
}

}  // namespace

TEST_CASE("the shipped scenarios are as they expect, as root and as an ordinary user", "[lab][command]") {
    struct Row {
        std::string file;
        As who;
    };
    // The web proxies are slow to come and go: once is enough, where it is harder for them. rollover.yaml has a test of
    // its own.
    const auto row = GENERATE(values<Row>({{"kb189416.yaml", As::root},
                                           {"kb189416.yaml", As::user},
                                           {"mms-blocked.yaml", As::root},
                                           {"mms-blocked.yaml", As::user},
                                           {"msbd.yaml", As::root},
                                           {"msbd.yaml", As::user},
                                           {"dcom.yaml", As::root},
                                           {"dcom.yaml", As::user},
                                           {"multicast.yaml", As::root},
                                           {"multicast.yaml", As::user},
                                           {"http-distribution.yaml", As::user},
                                           {"web-proxies.yaml", As::user}}));
    DYNAMIC_SECTION(row.file << " " << name(row.who)) {
        const auto result = wmlab_says(row.who, {"run", scenario_file(row.file)});
        INFO(result.output);
        CHECK(result.ending.code == 0);
        CHECK(result.output.find(" 0 not, 0 inconclusive") != std::string::npos);
    }
}

TEST_CASE("the rollover ends with what is open, in time, and every attempt is listed", "[lab][command]") {
    const Directory directory;
    const auto journals = directory.path() / "journals";
    const auto report = directory.path() / "report.json";
    const auto result = wmlab_says(As::root, {"run", scenario_file("rollover.yaml"), "--journal", journals, "--report",
                                              "json:" + report.string()});
    INFO(result.output);
    REQUIRE(result.ending.code == 0);
    const auto document = boost::json::parse(words_of(report));
    std::map<std::string, std::vector<std::string>> attempts;
    for (const auto& flow : document.at("flows").as_array())
        for (const auto& attempt : flow.at("attempts").as_array()) {
            attempts[std::string{flow.at("id").as_string()}].emplace_back(attempt.at("transport").as_string());
            if (flow.at("verdict").as_string() != "blocked") continue;
            CHECK(attempt.at("verdict").as_string() == "blocked");
            CHECK(attempt.at("cause").as_string() == "dropped");
        }
    using Told = std::vector<std::string>;
    CHECK(attempts["nothing-shut"] == Told{"udp"});
    CHECK(attempts["udp-shut"] == Told{"udp", "tcp"});
    CHECK(attempts["mms-shut"] == Told{"udp", "tcp", "http"});
    CHECK(attempts["all-but-proxy-shut"] == Told{"udp", "tcp", "http", "http-proxy"});
    CHECK(attempts["all-shut"] == Told{"udp", "tcp", "http", "http-proxy"});

    // Within twice the deadline of each attempt, and what is played.
    for (const auto& entry : std::filesystem::directory_iterator{journals}) {
        if (entry.path().filename().string().find("client_sim") == std::string::npos) continue;
        std::ifstream in{entry.path()};
        std::optional<std::chrono::nanoseconds> began;
        for (const auto& event : evidence::read_journal(in, entry.path().string()).events) {
            if (event.event == evidence::What::flow_started && !began) began = event.monotonic;
            if (event.event != evidence::What::flow_ended || !began) continue;
            const auto took = event.monotonic - *began;
            INFO(event.flow << " took " << took / 1ms << " ms");
            CHECK(took < attempts[event.flow].size() * 2 * 1000ms + 500ms);
        }
    }
}

TEST_CASE("run --coverage says of every rule which flows need it", "[lab][command]") {
    const Directory directory;
    const auto rules =
        directory.write("site.nft",
                        "table inet filter {\n  set players { type ipv4_addr; elements = { 10.20.0.10 } }\n"
                        "  chain mms {\n    tcp dport 1755 accept\n    tcp dport 80 accept\n  }\n"
                        "  chain forward {\n    type filter hook forward priority filter; policy drop;\n"
                        "    counter\n    ct state established accept\n    ip saddr @players jump mms\n  }\n}\n");
    const auto result = wmlab_says(GENERATE(As::root, As::user), {"run", scenario_file("kb189416.yaml"), "--only",
                                                                  "unicast-tcp", "--ruleset", rules, "--coverage"});
    INFO(result.output);
    CHECK(result.ending.code == 0);
    const auto has = [&](std::string use, int line) {
        use.resize(11, ' ');
        return result.output.find(use + rules.string() + ":" + std::to_string(line) + ": ") != std::string::npos;
    };

    CHECK(has("needed", 4));
    CHECK(has("never hit", 5));
    CHECK(has("hit", 9));
    CHECK(has("needed", 10));
    CHECK(has("needed", 11));
}

TEST_CASE("one multicast into two zones: the rule that shuts one is named, the other misses nothing",
          "[lab][command]") {
    const Directory directory;
    const auto rules = directory.write("one-zone.nft",
                                       "table inet filter {\n  chain forward {\n"
                                       "    type filter hook forward priority filter; policy accept;\n"
                                       "    oifname \"branch\" drop\n  }\n}\n");
    const auto file = directory.write("two-zones.yaml", R"(version: 1
zones:
  inside:  { subnet: 10.10.0.0/24 }
  branch:  { subnet: 10.30.0.0/24 }
  outside: { subnet: 10.20.0.0/24 }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  office: { zone: branch,  address: 10.30.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { deadline: 1s, play: 500ms }
flows:
  - { id: station, type: multicast, from: media, to: [office, player], group: 239.1.2.3, port: 8080 }
)");
    const auto result = wmlab_says(GENERATE(As::root, As::user), {"run", file, "--ruleset", rules});
    INFO(result.output);
    CHECK(result.ending.code == 1);
    CHECK(result.output.find("station[media->office]: blocked at media: dropped") != std::string::npos);
    CHECK(result.output.find("one-zone.nft:4: oifname \"branch\" drop") != std::string::npos);
    CHECK(result.output.find("2 flows: 1 as expected, 1 not, 0 inconclusive") != std::string::npos);
}

TEST_CASE("a ruleset that nft refuses ends the run with nft's words, the file and the line", "[lab][command]") {
    const Directory directory;
    const auto rules =
        directory.write("bad.nft", "table inet filter {\n  chain forward {\n    tcp dprt 80 accept\n  }\n}\n");
    const auto result = wmlab_says(As::user, {"run", scenario_file("kb189416.yaml"), "--ruleset", rules});
    INFO(result.output);
    CHECK(result.ending.code == 2);
    CHECK(result.output.find(rules.string() + ":3:") != std::string::npos);
    CHECK(result.output.find("syntax error") != std::string::npos);
}

TEST_CASE("what cannot be run is refused before a lab is built", "[lab][command]") {
    struct Row {
        std::string name;
        std::vector<std::string> arguments;
        std::string says;
    };
    const auto row = GENERATE(values<Row>({
        {"no scenario", {"run"}, "which scenario"},
        {"a scenario that is not there", {"run", "nowhere.yaml"}, "nowhere.yaml"},
        {"a ruleset that is not there",
         {"run", scenario_file("kb189416.yaml"), "--ruleset", "nowhere.nft"},
         "nowhere.nft"},
        {"no flow of the name", {"run", scenario_file("kb189416.yaml"), "--only", "x*"}, "no flow that matches `x*`"},
        {"no flow of another type",
         {"run", scenario_file("multicast.yaml"), "--without", "multicast"},
         "multicast.yaml has no flow but of type multicast"},
        {"an unknown report format", {"run", scenario_file("kb189416.yaml"), "--report", "jsn"}, "jsn"},
        {"a report nobody can write",
         {"run", scenario_file("kb189416.yaml"), "--report", "json:/no/where"},
         "/no/where"},
        {"a host that is not there", {"exec", scenario_file("kb189416.yaml"), "playr", "--", "true"}, "mean `player`"},
        {"no command", {"exec", scenario_file("kb189416.yaml"), "player"}, "COMMAND"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto result = wmlab_says(As::user, row.arguments);
        INFO(result.output);
        CHECK(result.ending.code == 2);
        CHECK(result.output.find(row.says) != std::string::npos);
    }
}

TEST_CASE("exec runs a program on a host with the servers there, and exits with its status", "[lab][command]") {
    struct Row {
        std::string name;
        std::vector<std::string> command;
        int code;
        std::string says;
    };
    const auto row = GENERATE(values<Row>({
        {"its status", {"sh", "-c", "exit 7"}, 7, ""},
        {"its signal", {"sh", "-c", "kill -TERM $$"}, 128 + SIGTERM, ""},
        {"its input", {"cat"}, 0, "from the caller"},
        {"host names", {"getent", "hosts", "media"}, 0, "10.10.0.10"},
        {"a server that answers",
         {"python3", "-c", "import socket; socket.create_connection(('media', 1755), 5); print('there')"},
         0,
         "there"},
        {"a program that is not there", {"no-such-program"}, 127, "no-such-program"},
    }));
    DYNAMIC_SECTION(row.name) {
        std::vector<std::string> arguments{"exec", scenario_file("kb189416.yaml"), "player", "--"};
        arguments.insert(arguments.end(), row.command.begin(), row.command.end());
        const auto result = wmlab_says(As::user, arguments, "from the caller\n");
        INFO(result.output);
        CHECK(result.ending.code == row.code);
        CHECK(result.output.find(row.says) != std::string::npos);
    }
}

TEST_CASE("an interrupted run still reports, and exits with 130", "[lab][command]") {
    const Directory directory;
    Running running{
        call(As::root, {"run", scenario_file("mms-blocked.yaml"), "--journal", directory.path() / "journals"})};
    REQUIRE(running.until([&] {
        return words_of(directory.path() / "journals/good.client_sim.jsonl").find("flow-started") != std::string::npos;
    }));
    ::kill(running.process->pid(), SIGINT);
    REQUIRE(running.over());
    INFO(running.output);
    CHECK(running.ending->code == 130);
    CHECK(running.output.find("11 flows:") != std::string::npos);
}

TEST_CASE("flows of a simulator that is killed are inconclusive, never blocked, the others get their verdict",
          "[lab][command]") {
    const Directory directory;
    const auto file = directory.write("two.yaml", R"(version: 1
name: two servers
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  doomed: { zone: inside,  address: 10.10.0.10 }
  media:  { zone: inside,  address: 10.10.0.11 }
  player: { zone: outside, address: 10.20.0.10 }
content: { lecture: { synthetic: audio } }
defaults: { content: lecture, play: 3s }
flows:
  - { id: cut-off, type: mms-udp, from: player, to: doomed }
  - { id: cut-off-tcp, type: mms-tcp, from: player, to: doomed }
  - { id: whole, type: mms-udp, from: player, to: media }
)");
    Running running{call(As::root, {"run", file, "--journal", directory.path() / "journals"})};
    REQUIRE(running.until([&] {
        return words_of(directory.path() / "journals/doomed.server_sim.jsonl").find("media-started") !=
               std::string::npos;
    }));
    const auto victim = simulator(running.process->pid(), "doomed");
    REQUIRE(victim > 0);
    ::kill(victim, SIGKILL);
    REQUIRE(running.over());
    const auto& text = running.output;
    INFO(text);
    CHECK(running.ending->code == 4);
    CHECK(text.find("blocked") == std::string::npos);
    CHECK(text.find("2 inconclusive") != std::string::npos);
    std::ifstream in{directory.path() / "journals/doomed.server_sim.jsonl"};
    CHECK(evidence::read_journal(in, "doomed").problems.empty());
}

TEST_CASE("two runs at the same time do not get in each other's way", "[lab][command]") {
    Running other{call(As::user, {"run", scenario_file("kb189416.yaml"), "--only", "unicast*"})};
    const auto result = wmlab_says(As::root, {"run", scenario_file("kb189416.yaml"), "--only", "unicast*"});
    INFO(result.output);
    CHECK(result.ending.code == 0);
    REQUIRE(other.over());
    INFO(other.output);
    CHECK(other.ending->code == 0);
}

TEST_CASE("doctor: labs work here, and the verdicts of its own lab follow", "[lab][command]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto result = wmlab_says(who, {"doctor", "--prove"});
    INFO(result.output);
    CHECK(result.ending.code == 0);
    CHECK(result.output.find("no  ") == std::string::npos);
    CHECK(result.output.find("tcp-rejected  blocked rejected") != std::string::npos);
}

TEST_CASE("where user namespaces are forbidden the user reads which step failed and what to do", "[lab][command]") {
    // a user namespace may forbid further ones below it
    const auto outcome = in_lab(As::root, [](const Inside&) {
        const auto result = run_tool(
            Namespace::current(),
            {"sh", "-c",
             "unshare -Ur sh -c 'echo 0 > /proc/sys/user/max_user_namespaces && echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$0\" run \"$1\"' \"$0\" \"$1\"",
             WMLAB_PROGRAM, scenario_file("kb189416.yaml")});
        return std::to_string(result.ending.code) + "\n" + result.output;
    });
    INFO(outcome.text);
    CHECK(outcome.text.starts_with("3\n"));
    CHECK(outcome.text.find("cannot create a process namespace") != std::string::npos);
    CHECK(outcome.text.find("sysctl -w user.max_") != std::string::npos);
    CHECK(outcome.text.find("wmlab doctor") != std::string::npos);
}
