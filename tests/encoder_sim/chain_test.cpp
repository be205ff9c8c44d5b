// From an encoder over servers to players: what arrives is what was sent.
#include <filesystem>

#include "tests/encoder_sim/tools.hpp"

using namespace wmlab;
using namespace wmlab::tests;

TEST_CASE("encoder, origin, edge, player: the packets that arrive are those of the encoder", "[encoder_sim]") {
    Site site;
    const auto encoder = site.encoder({"--content", "event=synthetic:256k:64k"});
    CHECK(encoder->port("msbd") == 7007);
    const auto origin = site.server({"--pull", "event=" + site.url(*encoder), "--msbd-port", "0"});
    const auto edge = site.server({"--pull", "event=" + site.url(*origin)});
    const auto player = site.player(edge->port("control"), "event", {"--duration", "0.3"});
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(player->code() == 0);
    for (auto* sim : {edge.get(), origin.get(), encoder.get()}) site.stop(*sim);

    const auto sent = encoder->events(What::media_ended), received = player->events(What::media_ended);
    REQUIRE(sent.size() == 1);
    REQUIRE(received.size() == 1);
    CHECK(number(received[0], "packets") >= 3);
    CHECK(number(received[0], "damaged") == 0);
    CHECK(received[0].fields.at("header_digest") == sent[0].fields.at("header_digest"));
    CHECK(all_among(checksums(received), checksums(sent)));
    const auto pulled = edge->events(What::media_ended);
    CHECK(std::ranges::count(pulled, std::string{"msbd"}, &Event::leg) == 1);
}

TEST_CASE("several servers pull at once, and players of each get media", "[encoder_sim]") {
    Site site;
    const auto encoder = site.encoder();
    Site::Sims servers, players;
    for (int i = 0; i < 5; ++i) {
        servers.push_back(site.server({"--pull", "live=" + site.url(*encoder)}));
        players.push_back(site.player(servers.back()->port("control"), "live", {"--duration", "0.2"}));
    }
    REQUIRE(run_until(site.io, [&] { return std::ranges::all_of(players, &Sim::ended); }));
    for (const auto& player : players) CHECK(player->code() == 0);
    site.stop(servers);
    site.stop(*encoder);
    CHECK(encoder->events(What::media_ended).size() == 5);
}

TEST_CASE("7007 is taken: the encoder takes a port in 1024-5000, and says why", "[encoder_sim]") {
    Site site;
    const auto first = site.encoder();
    const auto second = site.encoder();
    const auto port = second->port("msbd");
    CHECK(port >= 1024);
    CHECK(port <= 5000);
    const auto listening = second->events(What::listening);
    REQUIRE(listening.size() == 1);
    CHECK(text(listening[0], "instead_of") == site.address + ":7007");
    CHECK(text(listening[0], "taken") == "EADDRINUSE");
    const auto server = site.server({"--pull", "live=" + site.url(*second)});
    const auto player = site.player(server->port("control"), "live", {"--duration", "0.1"});
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(player->code() == 0);
    for (auto* sim : {server.get(), second.get(), first.get()}) site.stop(*sim);
}

TEST_CASE("an encoder that stops says so, and its server's players hear the end", "[encoder_sim]") {
    Site site;
    auto encoder = site.encoder();
    const auto server = site.server({"--pull", "live=" + site.url(*encoder)});
    const auto player = site.player(server->port("control"), "live");
    REQUIRE(run_until(site.io, [&] { return player->has(What::media_started); }));
    site.stop(*encoder);
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(player->code() == 0);
    const auto said = server->events(What::received);
    CHECK(std::ranges::any_of(said, [](const auto& event) { return text(event, "message") == "MSB_MSG_IND_EOS"; }));
    site.stop(*server);
}

TEST_CASE("what an encoder sends goes on by multicast, with a station file once it is there", "[encoder_sim]") {
    Site site;
    const std::filesystem::path file = "/tmp/wmlab-chain-" + std::to_string(::getpid()) + ".nsc";
    const auto pid = static_cast<unsigned>(::getpid());
    const auto group = "239.200." + std::to_string(pid >> 8 & 255) + "." + std::to_string(pid & 255) + ":20081";
    const auto encoder = site.encoder({"--content", "event=synthetic:256k:64k"});
    const auto server = site.server({"--pull", "event=" + site.url(*encoder), "--station", "event=" + group + ",ttl=0",
                                     "--nsc-out", file.string()});
    REQUIRE(run_until(site.io, [&] { return std::filesystem::exists(file); }));
    Sim player{site.io,
               "player",
               "client_sim",
               client_sim::options(),
               {"--url", file.string(), "--interface", site.address, "--duration", "0.3"},
               client_sim::make};
    player.prepare(), player.start();
    REQUIRE(run_until(site.io, [&] { return player.ended(); }));
    std::filesystem::remove(file);
    CHECK(player.code() == 0);
    site.stop(*server);
    site.stop(*encoder);
    const auto sent = encoder->events(What::media_ended), received = player.events(What::media_ended);
    REQUIRE(sent.size() == 1);
    REQUIRE(received.size() == 1);
    CHECK(number(received[0], "packets") >= 3);
    CHECK(number(received[0], "damaged") == 0);
    CHECK(received[0].fields.at("lost").as_array().empty());
    CHECK(received[0].fields.at("header_digest") == sent[0].fields.at("header_digest"));
    CHECK(all_among(checksums(received), checksums(sent)));
}
