// The whole life of a simulator, run in a child process whose standard streams are pipes.
#include "common/process/program.hpp"

#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <tuple>
#include <utility>

#include "common/net/bind.hpp"
#include "common/process/control.hpp"
#include "common/process/privileges.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::process;

namespace {

constexpr const char* scenario_yaml = R"(version: 1
name: two hosts
zones:
  inside: { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media: { zone: inside, address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
content:
  lecture: { synthetic: audio }
flows:
  - { id: one, type: mms-tcp, from: player, to: media }
  - { id: two, type: mms-udp, from: player, to: media }
)";

// Works until it is stopped; `--quick` ends by itself, with 1 where `--fail` is given.
class Dummy : public Simulator {
public:
    explicit Dummy(Context& context) : context_{context}, stopped_{context.io} {
        stopped_.expires_at(asio::steady_timer::time_point::max());
    }
    void prepare() override {
        if (context_.options.contains("unbindable")) throw EnvironmentError{"cannot bind tcp 127.0.0.1:1"};
    }
    asio::awaitable<int> run() override {
        for (const auto& flow : context_.flows) {
            const auto end = context_.other_end(flow, flow.to, 1755);
            boost::json::object fields;
            fields["target"] = end.host + ":" + std::to_string(end.port);
            context_.write(evidence::What::flow_started, flow.id, "", std::move(fields));
        }
        if (context_.options.contains("throws")) throw std::runtime_error{"a bug"};
        if (context_.options.contains("quick")) co_return context_.options.contains("fail") ? 1 : 0;
        try {
            co_await stopped_.async_wait(asio::use_awaitable);
        } catch (const boost::system::system_error&) {
        }
        context_.write(evidence::What::flow_ended, "", "");
        co_return 0;
    }
    void stop() override { stopped_.cancel(); }

private:
    Context& context_;
    asio::steady_timer stopped_;
};

struct Child {
    pid_t pid = 0;
    int in = -1, out = -1, err = -1;

    explicit Child(std::vector<const char*> arguments) {
        int to[2], from[2], log[2];
        REQUIRE(::pipe(to) == 0);
        REQUIRE(::pipe(from) == 0);
        REQUIRE(::pipe(log) == 0);
        pid = ::fork();
        if (pid == 0) {
            ::dup2(to[0], 0), ::dup2(from[1], 1), ::dup2(log[1], 2);
            for (int descriptor = 3; descriptor < 64; ++descriptor) ::close(descriptor);
            std::signal(SIGTERM, SIG_DFL), std::signal(SIGINT, SIG_DFL);
            Description description{
                "dummy_sim", "a test", "dummy_sim", boost::program_options::options_description{}, {}};
            auto add = description.options.add_options();
            for (const auto* name : {"quick", "fail", "throws", "unbindable"}) add(name, "");
            arguments.insert(arguments.begin(), "dummy_sim");
            const int code = process::run(description, static_cast<int>(arguments.size()), arguments.data(),
                                          [](Context& context) { return std::make_unique<Dummy>(context); });
            ::_exit(code);
        }
        ::close(to[0]), ::close(from[1]), ::close(log[1]);
        in = to[1], out = from[0], err = log[0];
    }
    ~Child() {
        end_input();
        if (pid > 0) ::kill(pid, SIGKILL), ::waitpid(pid, nullptr, 0);
        ::close(out), ::close(err);
    }
    void say(std::string_view text) const {
        std::signal(SIGPIPE, SIG_IGN);  // a child that is gone is told by its exit code
        std::ignore = ::write(in, text.data(), text.size());
    }
    void end_input() {
        if (in >= 0) ::close(std::exchange(in, -1));
    }
    // Lines of the journal up to one with this event.
    std::string until(const std::string& event) {
        const auto wanted = "\"event\":\"" + event + "\"";
        while (seen_.find(wanted) == std::string::npos && more()) {
        }
        return seen_;
    }
    std::string all() {
        while (more()) {
        }
        return seen_;
    }
    std::string complaints() const {
        std::string text;
        char buffer[4096];
        for (ssize_t got = 0; (got = ::read(err, buffer, sizeof buffer)) > 0;)
            text.append(buffer, static_cast<std::size_t>(got));
        return text;
    }
    int code() {
        int status = 0;
        ::waitpid(std::exchange(pid, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

private:
    bool more() {
        char buffer[4096];
        const auto got = ::read(out, buffer, sizeof buffer);
        if (got > 0) seen_.append(buffer, static_cast<std::size_t>(got));
        return got > 0;
    }
    std::string seen_;
};

std::vector<std::string> events_of(const std::string& journal) {
    std::istringstream text{journal};
    std::vector<std::string> words;
    for (const auto& event : evidence::read_journal(text, "journal").events)
        words.emplace_back(evidence::text(event.event));
    return words;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("a runner starts and stops a simulator, and reads a complete journal", "[process]") {
    Child child{{"--scenario", "-", "--host", "player", "--journal", "-"}};
    child.say(scenario_yaml);
    child.say("...\n");
    CHECK(child.until("ready").find("flow-started") == std::string::npos);  // only after `start`
    child.say("endpoint two 10.10.0.99:4711\nstart\n");
    child.until("flow-started");
    child.say("stop\n");
    const auto journal = child.all();
    CHECK(child.code() == 0);
    CHECK(events_of(journal) == Words{"started", "ready", "flow-started", "flow-started", "flow-ended", "stopped"});
    CHECK(journal.find(R"("flows":["one","two"])") != std::string::npos);
    CHECK(journal.find(R"("target":"media:1755")") != std::string::npos);
    CHECK(journal.find(R"("target":"10.10.0.99:4711")") != std::string::npos);
    CHECK(journal.find(R"("reason":"stop")") != std::string::npos);
}

TEST_CASE("the end of the input means stop, before start as well", "[process]") {
    Child child{{"--scenario", "-", "--host", "player", "--journal", "-"}};
    child.say(scenario_yaml);
    child.say("...\nsta");
    child.end_input();
    CHECK(events_of(child.all()) == Words{"started", "ready", "stopped"});
    CHECK(child.code() == 0);
}

TEST_CASE("a simulator whose work is done waits for the runner's stop", "[process]") {
    Child child{{"--scenario", "-", "--host", "player", "--journal", "-", "--quick", "--flow", "one"}};
    child.say(scenario_yaml);
    child.say("...\nstart\n");
    child.until("flow-started");
    CHECK(::kill(child.pid, 0) == 0);
    child.say("stop\n");
    CHECK(events_of(child.all()) == Words{"started", "ready", "flow-started", "stopped"});
    CHECK(child.code() == 0);
}

TEST_CASE("signals end a simulator with its journal complete", "[process]") {
    const int signal = GENERATE(SIGINT, SIGTERM);
    Child child{{"--journal", "-"}};
    child.until("ready");
    ::kill(child.pid, signal);
    const auto journal = child.all();
    CHECK(events_of(journal) == Words{"started", "ready", "flow-ended", "stopped"});
    CHECK(journal.find(R"("reason":"signal")") != std::string::npos);
    CHECK(child.code() == 0);
}

TEST_CASE("exit codes", "[process]") {
    struct Row {
        std::string name;
        std::vector<const char*> arguments;
        int code;
        std::string said;
    };
    const auto row = GENERATE(values<Row>({
        {"a tool that worked", {"--quick"}, 0, ""},
        {"a tool that did not", {"--quick", "--fail"}, 1, ""},
        {"a bug is not silent", {"--throws"}, 1, "a bug"},
        {"help", {"--help"}, 0, ""},
        {"version", {"--version"}, 0, ""},
        {"an unknown option", {"--frobnicate"}, 2, "frobnicate"},
        {"a scenario without a host", {"--scenario", "/dev/null"}, 2, ""},
        {"a host without a scenario", {"--host", "player"}, 2, "--host goes with --scenario"},
        {"a scenario that is not there", {"--scenario", "/nowhere.yaml", "--host", "a"}, 2, "cannot be read"},
        {"a config file that is not there", {"--config", "/nowhere.conf"}, 2, "cannot be read"},
        {"an unknown log level", {"--log-level", "loud"}, 2, "unknown log level `loud`"},
        {"a port that is taken", {"--unbindable"}, 3, "cannot bind tcp 127.0.0.1:1"},
        {"a journal that cannot be written", {"--journal", "/nowhere/at/all"}, 3, "cannot write the journal"},
    }));
    DYNAMIC_SECTION(row.name) {
        Child child{row.arguments};
        child.end_input();
        child.all();
        CHECK_THAT(child.complaints(), contains(row.said));
        CHECK(child.code() == row.code);
    }
}

TEST_CASE("a wrong scenario is explained with file, line and column", "[process]") {
    Child child{{"--scenario", "-", "--host", "player"}};
    std::string yaml{scenario_yaml};
    yaml.replace(yaml.find("mms-udp"), 7, "mms-upd");
    child.say(yaml);
    child.say("...\n");
    CHECK_THAT(child.complaints(), contains("13:") && contains("mms-upd"));
    CHECK(child.code() == 2);
}

TEST_CASE("unknown hosts and flows are usage errors", "[process]") {
    const auto argument = GENERATE(std::string{"nobody"}, std::string{"flow"});
    Child child{argument == "flow" ? std::vector<const char*>{"--scenario", "-", "--host", "player", "--flow", "three"}
                                   : std::vector<const char*>{"--scenario", "-", "--host", "nobody"}};
    child.say(scenario_yaml);
    child.say("...\n");
    CHECK_THAT(child.complaints(), contains("the scenario has no"));
    CHECK(child.code() == 2);
}

TEST_CASE("a config file gives options, the command line wins", "[process]") {
    const auto name = "/tmp/wmlab-config-" + std::to_string(::getpid());
    std::ofstream{name} << "# quick work\nquick =\nfail =\njournal = /nowhere/at/all\n";
    Child child{{"--config", name.c_str(), "--journal", "-"}};
    CHECK(events_of(child.all()) == Words{"started", "ready", "stopped"});
    CHECK(child.code() == 1);
    ::unlink(name.c_str());
}

TEST_CASE("commands of the control channel", "[process]") {
    CHECK(std::holds_alternative<Start>(command_from("start")));
    CHECK(std::holds_alternative<Stop>(command_from(" stop\r")));
    CHECK(std::holds_alternative<Unknown>(command_from("start now")));
    CHECK(std::holds_alternative<Unknown>(command_from("endpoint one media")));
    CHECK(std::get<Hasten>(command_from("hasten 6.25")).by == 6.25);
    for (const auto* line : {"hasten", "hasten 0", "hasten 0.9", "hasten -5", "hasten nan", "hasten inf", "hasten 1e9", "hasten 75 x"})
        CHECK(std::holds_alternative<Unknown>(command_from(line)));
    const auto endpoint = command_from("endpoint load#17 media:7007");
    REQUIRE(std::holds_alternative<Endpoint>(endpoint));
    CHECK(std::get<Endpoint>(endpoint).flow == "load#17");
    CHECK(std::get<Endpoint>(endpoint).at == net::HostPort{"media", 7007});
    CHECK(endpoint_option("station[media->edge]=edge:8080")->flow == "station[media->edge]");
    CHECK_FALSE(endpoint_option("=edge:8080"));
    CHECK_FALSE(endpoint_option("one"));
}

TEST_CASE("root is dropped for good, but never at the price of the content", "[process]") {
    if (::geteuid() != 0) {
        CHECK(how_to_drop({}, {}) == Drop::not_root);
        return;
    }
    const std::filesystem::path secret = "/tmp/wmlab-secret-" + std::to_string(::getpid());
    std::ofstream{secret} << "x";
    std::filesystem::permissions(secret, std::filesystem::perms::owner_read);
    const std::vector<std::filesystem::path> secrets{secret};
    const auto whole = how_to_drop({}, {});
    CHECK(how_to_drop(secrets, {}) == Drop::capabilities_only);
    CHECK(::geteuid() == 0);  // asking changes nothing
    const auto in_child = [&](const std::vector<std::filesystem::path>& reads) {
        const pid_t child = ::fork();
        if (child == 0) {
            drop_root_for_good(reads, {});
            asio::io_context io;
            const bool can_bind =
                net::bind_udp(io.get_executor(), {asio::ip::make_address("127.0.0.99"), 80}).has_value();
            const bool is_root = ::geteuid() == 0, can_return = ::seteuid(0) == 0 && !is_root;
            const bool can_read = reads.empty() || std::ifstream{reads[0]}.get() == 'x';
            ::_exit((can_bind ? 1 : 0) + (can_return ? 2 : 0) + (can_read ? 0 : 4) + (is_root ? 8 : 0));
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        return WEXITSTATUS(status);
    };
    CHECK(in_child({}) == (whole == Drop::to_nobody ? 0 : 8));
    CHECK(in_child(secrets) == 8);
    std::filesystem::remove(secret);
}
