// The flows of a scenario, played by the programs in this process: pulled as long as asked, kept for those who need it,
// and the port that nobody could know beforehand.
#include "tests/encoder_sim/tools.hpp"

using namespace wmlab;
using namespace wmlab::tests;

namespace {

scenario::Ipv4 another_address() { return scenario::Ipv4::from(own_address()).value(); }

struct Cast {
    Site site;
    scenario::Scenario scenario;

    explicit Cast(std::vector<scenario::Flow> flows) {
        scenario.name = "loopback";
        scenario.zones = {{"inside", {}, "inside", {}}, {"outside", {}, "outside", {}}};
        scenario.hosts = {{"media", "inside", another_address(), false, {}, {}},
                          {"studio", "outside", another_address(), false, {}, {}},
                          {"player", "outside", another_address(), false, {}, {}}};
        scenario::Content event;
        event.name = "event";
        event.bitrate = 256'000;
        scenario.contents = {event};
        for (auto& flow : flows) {
            if (flow.content.empty()) flow.content = "event";
            flow.play = 200ms;
            flow.deadline = 5s;
            scenario.flows.push_back(std::move(flow));
        }
    }
    Sim sim(const std::string& host, const std::string& process) {
        if (process == "encoder_sim")
            return {site.io, host, process, encoder_sim::options(), {}, encoder_sim::make, &scenario};
        if (process == "server_sim")
            return {site.io, host, process, server_sim::options(), {}, server_sim::make, &scenario};
        return {site.io, host, process, client_sim::options(), {}, client_sim::make, &scenario};
    }
};

scenario::Flow pull_flow(std::string id, scenario::MsbdPort port = {}) {
    scenario::Flow flow;
    flow.id = std::move(id);
    flow.type = scenario::FlowType::msbd;
    flow.from = {"media"};
    flow.to = {"studio"};
    flow.source = scenario::Source::encoder;
    flow.msbd_port = port;
    return flow;
}

}  // namespace

TEST_CASE("a scenario: the pull ends when it has played, each end leaves its account", "[encoder_sim]") {
    Cast cast{{pull_flow("feed")}};
    auto encoder = cast.sim("studio", "encoder_sim"), server = cast.sim("media", "server_sim");
    for (auto* sim : {&encoder, &server}) sim->prepare(), sim->start();
    REQUIRE(run_until(cast.site.io, [&] { return server.has(What::flow_ended) && encoder.has(What::closed); }));
    const auto ended = server.events(What::flow_ended, "feed");
    REQUIRE(ended.size() == 1);
    CHECK(text(ended[0], "outcome") == "worked");
    const auto received = server.events(What::media_ended, "feed"), sent = encoder.events(What::media_ended, "feed");
    REQUIRE(received.size() == 1);
    REQUIRE(sent.size() == 1);
    CHECK(received[0].leg == "msbd");
    CHECK(all_among(checksums(received), checksums(sent)));
    cast.site.stop(server);
    cast.site.stop(encoder);
}

TEST_CASE("a scenario: a pull that a player lives on goes on until the server is stopped", "[encoder_sim]") {
    scenario::Flow watch;
    watch.id = "watch";
    watch.type = scenario::FlowType::mms_tcp;
    watch.from = {"player"};
    watch.to = {"media"};
    watch.content = "feed";  // what that flow brings
    Cast cast{{pull_flow("feed"), watch}};
    auto encoder = cast.sim("studio", "encoder_sim"), server = cast.sim("media", "server_sim"),
         player = cast.sim("player", "client_sim");
    for (auto* sim : {&encoder, &server, &player}) sim->prepare();
    // The player asks before anything was pulled: it is kept waiting.
    for (auto* sim : {&player, &server, &encoder}) sim->start();
    REQUIRE(run_until(cast.site.io, [&] { return player.ended() && server.has(What::flow_ended); }));
    CHECK(player.code() == 0);
    CHECK(server.events(What::closed, "feed").empty());
    cast.site.stop(server);
    cast.site.stop(encoder);
    CHECK(server.events(What::closed, "feed").size() == 1);
    CHECK(all_among(checksums(player.events(What::media_ended)), checksums(encoder.events(What::media_ended))));
}

TEST_CASE("a scenario: fallback flows get a port each, and the pulling end is told which", "[encoder_sim]") {
    scenario::MsbdPort fallback;
    fallback.fallback = true;
    Cast cast{{pull_flow("one", fallback), pull_flow("two", fallback), pull_flow("three", fallback)}};
    auto encoder = cast.sim("studio", "encoder_sim"), server = cast.sim("media", "server_sim");
    for (auto* sim : {&encoder, &server}) sim->prepare();
    std::set<std::uint16_t> ports;
    for (const auto& event : encoder.events(What::listening)) {
        if (event.flow.empty()) continue;  // 7007 itself
        const auto port = static_cast<std::uint16_t>(std::stoul(event.local.substr(event.local.rfind(':') + 1)));
        CHECK((port >= 1024 && port <= 5000));
        CHECK(text(event, "instead_of").ends_with(":7007"));
        ports.insert(port);
        server.context().endpoints[event.flow] = {"studio", port};
    }
    CHECK(ports.size() == 3);
    for (auto* sim : {&encoder, &server}) sim->start();
    REQUIRE(run_until(cast.site.io, [&] { return server.events(What::flow_ended).size() == 3; }));
    for (const auto& event : server.events(What::flow_ended)) CHECK(text(event, "outcome") == "worked");
    cast.site.stop(server);
    cast.site.stop(encoder);
}

TEST_CASE("a scenario: the source refuses the connection, the flow ends, the waiting player is told", "[encoder_sim]") {
    scenario::Flow watch;
    watch.id = "watch";
    watch.type = scenario::FlowType::mms_tcp;
    watch.from = {"player"};
    watch.to = {"media"};
    watch.content = "feed";  // what that flow brings
    Cast cast{{pull_flow("feed"), watch}};
    for (auto& flow : cast.scenario.flows) flow.deadline = 500ms;
    auto server = cast.sim("media", "server_sim"), player = cast.sim("player", "client_sim");
    for (auto* sim : {&server, &player}) sim->prepare(), sim->start();
    REQUIRE(run_until(cast.site.io, [&] { return player.ended() && server.has(What::flow_ended); }));
    CHECK(text(server.events(What::flow_ended)[0], "outcome") == "failed");
    CHECK(server.has(What::connect_failed));
    CHECK(number(player.events(What::flow_ended)[0], "hr") == double{0xC00D0033});  // NS_E_NO_STREAM
    cast.site.stop(server);
}
