#include "lab/programs/launcher.hpp"

#include <poll.h>

#include "lab/host/error.hpp"
#include "lab/network/network.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;
using namespace std::chrono_literals;

namespace {

// Programs run in the place the tests are in: what is tested here needs no lab.
struct Host {
    boost::asio::io_context io;
    Namespace here = Namespace::current();
    Launcher launcher{io};
    std::vector<std::string> lines;
    std::string noise;
    std::optional<Ending> ending;
    std::shared_ptr<Process> process;

    explicit Host(std::vector<std::string> argv, std::vector<std::string> prefix = {}) {
        launcher.place("media", std::move(prefix));
        Start start;
        start.host = "media";
        start.argv = std::move(argv);
        start.line = [this](std::string_view line) { lines.emplace_back(line); };
        start.noise = [this](std::string_view part) { noise += part; };
        start.ended = [this](const Ending& how) { ending = how; };
        process = launcher.start(std::move(start));
    }
    bool wait(std::chrono::seconds limit = 20s) {
        const auto until = std::chrono::steady_clock::now() + limit;
        while (!ending && std::chrono::steady_clock::now() < until) io.run_one_until(until);
        return ending.has_value();
    }
};

}  // namespace

TEST_CASE("a program's lines, its noise and its end are reported, in this order", "[lab]") {
    Host host{{"sh", "-c", "echo one; echo two >&2; printf three; exit 7"}};
    REQUIRE(host.wait());
    CHECK(host.lines == std::vector<std::string>{"one", "three"});
    CHECK(host.noise == "two\n");
    CHECK(host.ending->code == 7);
    CHECK(host.ending->text() == "exit status 7");
}

TEST_CASE("input is passed on, much of it too, and its end", "[lab]") {
    Host host{{"sh", "-c", "cat | wc -c"}};
    host.process->write(std::string(3'000'000, 'x'));
    host.process->write("y\n");
    host.process->close_input();
    REQUIRE(host.wait());
    CHECK(host.lines == std::vector<std::string>{"3000002"});
}

TEST_CASE("a program that is ended by a signal says which", "[lab]") {
    Host host{{"sleep", "1000"}};
    host.process->signal(SIGTERM);
    REQUIRE(host.wait());
    CHECK(host.ending->signal == SIGTERM);
    CHECK(host.ending->text() == "signal 15 (Terminated)");
}

TEST_CASE("what a program leaves behind does not keep its end from being seen, and is ended", "[lab]") {
    Host host{{"sh", "-c", "sleep 1000 & echo $!"}};
    REQUIRE(host.wait());
    REQUIRE(host.lines.size() == 1);
    const auto left = std::stoi(host.lines.front());
    const auto until = std::chrono::steady_clock::now() + 20s;
    const auto gone = [&] {  // a zombie that nobody has reaped yet is gone too
        std::string state = "Z";
        if (auto* const status = std::fopen(("/proc/" + std::to_string(left) + "/stat").c_str(), "r")) {
            char name[64], letter = 0;
            if (std::fscanf(status, "%*d %63s %c", name, &letter) == 2) state = letter;
            std::fclose(status);
        }
        return state == "Z" || state == "X";
    };
    while (!gone() && std::chrono::steady_clock::now() < until) ::poll(nullptr, 0, 2);
    CHECK(gone());
}

TEST_CASE("a program starts with the three standard streams and no other, and default signals", "[lab]") {
    Host host{
        {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)' /proc/self/status | tr '\\n\\t' '  '"}};
    REQUIRE(host.wait());
    REQUIRE(host.lines.size() == 1);
    CHECK(host.lines.front() == "0 1 2 3 SigBlk: 0000000000000000 SigIgn: 0000000000000000 ");  // 3: ls itself
}

TEST_CASE("a program that is not there, or not allowed, is a plain error", "[lab]") {
    CHECK_THROWS_AS(Host({"no-such-program-anywhere"}), SetupFailed);
    CHECK_THROWS_AS(Host({"/etc/passwd"}), SetupFailed);
}

TEST_CASE("a host may be reached by a command prefix", "[lab]") {
    Host host{{"echo", "there"}, {"env", "-u", "HOME"}};
    REQUIRE(host.wait());
    CHECK(host.lines == std::vector<std::string>{"there"});
}

TEST_CASE("programs run in their host's network and under its name", "[lab]") {
    const auto who = GENERATE(As::root, As::user);
    INFO(name(who));
    const auto outcome = in_lab(who, [](const Inside&) {
        const Network network{two_zones()};
        boost::asio::io_context io;
        Launcher launcher{io};
        std::string text;
        for (const auto* host : {"media", "player"}) {
            launcher.place(host, network.host(host));
            bool over = false;
            Start start;
            start.host = host;
            start.argv = {"sh", "-c", "hostname; ip -4 -o addr show eth0 | awk '{print $4}'"};
            start.line = [&](std::string_view line) { text += std::string{line} + " "; };
            start.noise = [&](std::string_view part) { text += part; };
            start.ended = [&](const Ending&) { over = true; };
            const auto process = launcher.start(start);
            while (!over) io.run_one();
        }
        return text;
    });
    CHECK(outcome.text == "media 10.10.0.10/24 player 10.20.0.10/24 ");
}
