// An encoder that is killed and started again: its server connects again, and its players go on.
#include <spawn.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/encoder_sim/tools.hpp"

extern char** environ;

using namespace wmlab;
using namespace wmlab::tests;

namespace {

// encoder_sim as a process of its own, which can be killed.
class Process {
public:
    Process(Site& site, std::vector<std::string> options) {
        std::vector<std::string> words = {ENCODER_SIM, "--bind",      site.address, "--no-http",
                                          "--quiet",   "--log-level", "off"};
        words.insert(words.end(), options.begin(), options.end());
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        posix_spawn_file_actions_t files;
        ::posix_spawn_file_actions_init(&files);
        ::posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1, 0);
        REQUIRE(::posix_spawn(&pid_, ENCODER_SIM, &files, nullptr, argv.data(), environ) == 0);
        ::posix_spawn_file_actions_destroy(&files);
    }
    ~Process() { kill(); }
    void kill() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("the encoder is killed and started again: players go on, the gap is told", "[encoder_sim]") {
    Site site;
    auto encoder = std::make_unique<Process>(site, std::vector<std::string>{"--content", "live=synthetic:256k"});
    const auto server = site.server({"--pull", "live=msbd://" + site.address});
    const auto player = site.player(server->port("control"), "live", {"--deadline", "20"});
    REQUIRE(run_until(site.io, [&] { return player->has(What::media_started); }));
    encoder->kill();
    REQUIRE(run_until(site.io, [&] { return server->has(What::retry); }));
    CHECK_FALSE(player->ended());
    encoder = std::make_unique<Process>(site, std::vector<std::string>{"--content", "live=synthetic:256k"});
    REQUIRE(run_until(
        site.io, [&] { return server->events(What::media_started, "").size() >= 3; }));  // twice, and to the player
    const auto resumed = server->events(What::media_resumed);
    REQUIRE(resumed.size() == 1);
    CHECK(number(resumed[0], "gap") > 0);
    CHECK(number(resumed[0], "lost") >= 0);
    // The player's session is the same, and its numbers go on.
    const auto connections = player->events(What::connected).size();
    player->stop();
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(connections == 1);
    const auto ends = player->events(What::media_ended);
    REQUIRE(ends.size() == 1);
    CHECK(ends[0].fields.at("lost").as_array().empty());
    CHECK(number(ends[0], "damaged") == 0);
    site.stop(*server);
}

TEST_CASE("an encoder with another stream comes back: players hear the end of the first", "[encoder_sim]") {
    Site site;
    auto encoder = std::make_unique<Process>(site, std::vector<std::string>{"--content", "live=synthetic:256k"});
    const auto server = site.server({"--pull", "live=msbd://" + site.address});
    const auto player = site.player(server->port("control"), "live", {"--deadline", "20"});
    REQUIRE(run_until(site.io, [&] { return player->has(What::media_started); }));
    encoder->kill();
    encoder = std::make_unique<Process>(site, std::vector<std::string>{"--content", "live=synthetic:64k:64k"});
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(player->code() == 0);
    const auto again = site.player(server->port("control"), "live", {"--duration", "0.1"});
    REQUIRE(run_until(site.io, [&] { return again->ended(); }));
    CHECK(again->code() == 0);
    site.stop(*server);
}
