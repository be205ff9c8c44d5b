// A stream alias: the encoder registers it over DCOM, and the server pulls the stream by MSBD.
#include "tests/encoder_sim/tools.hpp"

using namespace wmlab;
using namespace wmlab::tests;

namespace {

std::vector<std::string> with_dcom(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--reserved-ports", "3001-3010", "--mapper-port", "0"});
    return more;
}

std::string mapper_of(const Site& site, const Sim& server) {
    return site.address + ":" + std::to_string(server.port("mapper"));
}

}  // namespace

TEST_CASE("an encoder's alias is a publishing point of the server, as long as the encoder lives",
          "[encoder_sim][dcom]") {
    Site site;
    const auto server = site.server(with_dcom());
    const auto encoder = site.encoder({"--alias", "talk", "--server", mapper_of(site, *server)});
    REQUIRE(run_until(site.io, [&] { return encoder->has(What::media_started); }));
    const auto player = site.player(server->port("control"), "talk", {"--duration", "0.2"});
    REQUIRE(run_until(site.io, [&] { return player->ended(); }));
    CHECK(player->code() == 0);
    site.stop(*encoder);
    CHECK(encoder->code() == 0);
    const auto ends = encoder->events(What::flow_ended);
    REQUIRE(ends.size() == 1);
    CHECK(text(ends[0], "outcome") == "worked");
    // What was registered has been taken back: the references were released.
    std::set<std::string> sent;
    for (const auto& event : encoder->events(What::sent)) sent.insert(text(event, "message"));
    CHECK(sent.contains("RegisterAlias"));
    CHECK(sent.contains("RemRelease"));
    site.stop(*server);
}

TEST_CASE("an alias on a range with a single port finds none: the media service has it", "[encoder_sim][dcom]") {
    Site site;
    const auto server = site.server({"--reserved-ports", "3001", "--mapper-port", "0"});
    const auto encoder = site.encoder({"--alias", "talk", "--server", mapper_of(site, *server)});
    REQUIRE(run_until(site.io, [&] { return encoder->has(What::flow_ended); }));
    const auto end = encoder->events(What::flow_ended).at(0);
    CHECK(text(end, "outcome") == "failed");
    CHECK(number(end, "hr") == 0x800706B9);
    site.stop(*encoder);
    CHECK(encoder->code() == 1);
    site.stop(*server);
}

TEST_CASE("an alias without a server is refused", "[encoder_sim][dcom]") {
    Site site;
    CHECK_THROWS_AS(site.encoder({"--alias", "talk"}), process::UsageError);
}
