// Distribution over HTTP: from an encoder over servers to players of every transport.
#include "tests/encoder_sim/tools.hpp"

using namespace wmlab;
using namespace wmlab::tests;

namespace {

struct HttpSite : Site {
    HttpSite() { http = true; }
};

bool says(const Sim& sim, What what, const std::string& field, const std::string& value) {
    return std::ranges::any_of(sim.events(what), [&](const Event& event) { return text(event, field) == value; });
}

}  // namespace

TEST_CASE("encoder, origin, edge over HTTP, players over every transport: what arrives is what was sent",
          "[encoder_sim]") {
    HttpSite site;
    const auto encoder = site.encoder({"--content", "event=synthetic:256k:64k", "--msbd-port", "0"});
    const auto origin = site.server({"--pull", "event=" + site.http_url(*encoder) + "event"});
    const auto edge = site.server({"--pull", "event=" + site.http_url(*origin) + "event"});
    const auto mms = site.address + ":" + std::to_string(edge->port("control")) + "/event";
    Site::Sims players;
    for (const auto& url : {site.http_url(*edge) + "event", "mmst://" + mms, "mmsu://" + mms})
        players.push_back(site.player(url, {"--duration", "0.3"}));
    REQUIRE(run_until(site.io, [&] { return std::ranges::all_of(players, &Sim::ended); }));
    for (auto* sim : {edge.get(), origin.get(), encoder.get()}) site.stop(*sim);

    const auto sent = encoder->events(What::media_ended);
    REQUIRE(sent.size() == 1);
    for (const auto& player : players) {
        CHECK(player->code() == 0);
        const auto received = player->events(What::media_ended);
        REQUIRE(received.size() == 1);
        CHECK(number(received[0], "packets") >= 3);
        CHECK(number(received[0], "damaged") == 0);
        CHECK(received[0].fields.at("header_digest") == sent[0].fields.at("header_digest"));
        CHECK(all_among(checksums(received), checksums(sent)));
    }
    // Two connections each, Describe and Play, with the names of the era.
    for (const auto* puller : {edge.get(), origin.get()}) {
        CHECK(puller->events(What::connected).size() == 2);
        CHECK(says(*puller, What::sent, "message", "Describe"));
        CHECK(says(*puller, What::sent, "message", "Play"));
    }
    CHECK(says(*encoder, What::received, "User-Agent", "NSServer/4.1.0.3923"));
    CHECK(says(*origin, What::received, "Server", "Rex 4.1.0.3923"));
    CHECK(says(*edge, What::received, "Server", "Cougar 4.1.0.3923"));
}

TEST_CASE("a server that pulls over HTTP comes again when its source is lost", "[encoder_sim]") {
    HttpSite site;
    auto encoder = site.encoder({"--content", "event=synthetic:256k", "--msbd-port", "0"});
    const auto port = std::to_string(encoder->port("http"));
    const auto server = site.server({"--pull", "event=" + site.http_url(*encoder) + "event"});
    const auto player = site.player(site.http_url(*server) + "event", {"--deadline", "10"});
    REQUIRE(run_until(site.io, [&] { return player->has(What::media_started); }));
    site.stop(*encoder);
    REQUIRE(run_until(site.io, [&] { return server->has(What::retry); }));
    encoder = site.encoder({"--content", "event=synthetic:256k", "--msbd-port", "0", "--http-port", port});
    REQUIRE(run_until(site.io, [&] { return server->has(What::media_resumed); }));
    CHECK_FALSE(player->ended());
    site.stop(*server);
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    site.stop(*encoder);
}

TEST_CASE("a source that does not have the stream: its refusal is the reason", "[encoder_sim]") {
    HttpSite site;
    const auto encoder = site.encoder({"--msbd-port", "0"});
    const auto server = site.server({"--pull", "event=" + site.http_url(*encoder) + "nothing"});
    REQUIRE(run_until(site.io, [&] { return server->has(What::retry); }));
    const auto reason = text(server->events(What::retry).at(0), "reason");
    INFO(reason);
    CHECK(reason.starts_with("the server answered 404"));
    for (auto* sim : {server.get(), encoder.get()}) site.stop(*sim);
}
