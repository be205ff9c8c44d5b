// Flows of type dcom: client_sim's administrator against server_sim's DCOM, over loopback.
#include <algorithm>
#include <set>

#include "tests/catch.hpp"
#include "tests/client_sim/lab.hpp"
#include "tests/own_network.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using scenario::FlowType;
using scenario::Protocol;

namespace {

scenario::Flow dcom(std::string id, unsigned processes, Protocol transport = Protocol::tcp,
                    scenario::PortRange range = {3001, 3010}) {
    auto out = flow(std::move(id), FlowType::dcom);
    out.processes = processes;
    out.transport = transport;
    out.reserved_ports = {range};
    return out;
}

std::set<std::string> messages(const std::vector<Event>& events) {
    std::set<std::string> out;
    for (const auto& event : events) out.insert(text(event, "message"));
    return out;
}

std::uint16_t port_of(const std::string& endpoint) {
    return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

}  // namespace

TEST_CASE("dcom flow: mapper, activation, a call to each process, release", "[client_sim][dcom]") {
    own_network();
    const auto transport = GENERATE(Protocol::tcp, Protocol::udp);
    Lab lab{{dcom("admin", 3, transport)}};
    REQUIRE(lab.play());
    const auto end = lab.end_of("admin");
    CHECK(text(end, "reason") == "3 processes answered on ports 3001, 3002, 3003");
    CHECK(text(end, "outcome") == "worked");
    CHECK(text(end, "transport") == scenario::text(transport));
    CHECK(lab.client.code() == 0);

    // Both ends tell the same story in the specification's words.
    const auto activation = transport == Protocol::tcp ? "RemoteCreateInstance" : "RemoteActivation";
    for (const auto* sim : {&lab.client, &*lab.server}) {
        const auto got = messages(sim->events(What::received));
        for (const auto* name : {activation, "ept_map", "ComplexPing", "QueryState", "RemRelease"}) {
            INFO(name);
            CHECK(got.contains(name));
        }
    }
    // The server knows whose calls they were, and the legs are named.
    std::set<std::string> legs;
    for (const auto& event : lab.server->events(What::received, "admin")) legs.insert(event.leg);
    CHECK(legs == std::set<std::string>{"mapper", "object"});
    // Every call went to the address and port of the reference.
    std::set<std::uint16_t> called;
    for (const auto& event : lab.client.events(What::connecting, "admin"))
        if (event.leg == "object") called.insert(port_of(event.remote));
    CHECK(called == std::set<std::uint16_t>{3001, 3002, 3003});
    for (const auto& event : lab.client.events(What::received, "admin"))
        if (text(event, "message") == activation) CHECK(text(event, "dialled") == lab.media().to_string());
}

TEST_CASE("dcom flow: ten processes on ten ports, and an eleventh that finds none", "[client_sim][dcom]") {
    own_network();
    const auto transport = GENERATE(Protocol::tcp, Protocol::udp);
    SECTION("ten") {
        Lab lab{{dcom("ten", 10, transport)}};
        REQUIRE(lab.play());
        CHECK(text(lab.end_of("ten"), "outcome") == "worked");
        std::set<std::string> bound;
        for (const auto& event : lab.server->events(What::listening))
            if (event.leg == "object") bound.insert(event.local);
        CHECK(bound.size() == 10);
    }
    SECTION("eleven") {
        Lab lab{{dcom("eleven", 11, transport)}};
        REQUIRE(lab.play());
        const auto end = lab.end_of("eleven");
        CHECK(text(end, "outcome") == "failed");
        CHECK(number(end, "hr") == 0x800706B9);
        CHECK(text(end, "reason").find("no port left for another process") != std::string::npos);
        const auto sent = lab.server->events(What::sent, "eleven");
        const auto exhausted =
            std::ranges::find_if(sent, [](const Event& event) { return event.fields.contains("exhausted"); });
        REQUIRE(exhausted != sent.end());
        CHECK(text(*exhausted, "reason") == "no port is left in 3001-3010 (10 processes are running)");
        CHECK(number(*exhausted, "hr") == 0x800706B9);
    }
}

TEST_CASE("dcom flow: flows side by side share the range, each judged by its own calls", "[client_sim][dcom]") {
    own_network();
    Lab lab{{dcom("a", 3), dcom("b", 3), dcom("c", 2, Protocol::udp)}};
    REQUIRE(lab.play());
    for (const auto* id : {"a", "b", "c"}) {
        CHECK(text(lab.end_of(id), "outcome") == "worked");
        CHECK_FALSE(lab.server->events(What::received, id).empty());
    }
}

TEST_CASE("dcom flow: a server that is not there refuses at the mapper", "[client_sim][dcom]") {
    own_network();
    const auto transport = GENERATE(Protocol::tcp, Protocol::udp);
    Lab lab{{dcom("admin", 1, transport)}, false};
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("admin"), "outcome") == "failed");
    CHECK(number(lab.end_of("admin"), "hr") == 0x800706BA);
    const auto failed = lab.client.events(What::connect_failed, "admin");
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].leg == "mapper");
    CHECK(failed[0].fields.at("failure").as_object().at("kind").as_string() == "refused");
}

TEST_CASE("dcom flow: a port of the range that somebody else holds is skipped", "[client_sim][dcom]") {
    own_network();
    Lab lab{{dcom("admin", 2)}};
    auto holder = net::listen_tcp(lab.io.get_executor(), {lab.media(), 3001});
    REQUIRE(holder.has_value());
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("admin"), "reason") == "2 processes answered on ports 3002, 3003");
    CHECK(lab.server->has(What::listen_failed));
}

TEST_CASE("dcom flow: a registry export gives the range", "[client_sim][dcom]") {
    own_network();
    auto admin = dcom("admin", 1);
    admin.reserved_ports.clear();
    SECTION("one that regedit wrote") {
        admin.registry = std::string{WMLAB_SOURCE_DIR} + "/tests/vectors/dcom/reg/wine_regedit5_long_list_N_N.reg";
        Lab lab{{admin}};
        REQUIRE(lab.play());
        CHECK(text(lab.end_of("admin"), "reason") == "1 process answered on port 1984");
    }
    SECTION("one that is not there") {
        admin.registry = "nowhere.reg";
        CHECK_THROWS_AS(Lab({admin}), process::EnvironmentError);
    }
}

TEST_CASE("dcom: a plain server, and an administrator at the command line", "[client_sim][dcom]") {
    own_network();
    asio::io_context io{1};
    const auto address = asio::ip::address_v4{own_net() + 1}.to_string();
    Sim server{io,
               "vm",
               "server_sim",
               server_sim::options(),
               {"--bind", address, "--reserved-ports", "3001-3003", "--mapper-port", "0", "--mms-port", "0",
                "--http-port", "0"},
               server_sim::make};
    server.prepare(), server.start();
    const auto mapper = server.port("mapper");
    REQUIRE(mapper != 0);
    const auto visit = [&](std::vector<std::string> more) {
        std::vector<std::string> line{"--admin", address + ":" + std::to_string(mapper)};
        line.insert(line.end(), more.begin(), more.end());
        Sim client{io, "vm", "client_sim", client_sim::options(), line, client_sim::make};
        client.prepare(), client.start();
        REQUIRE(run_until(io, [&] { return client.ended(); }));
        return text(client.events(What::flow_ended).at(0), "reason");
    };
    CHECK(visit({"--processes", "3"}) == "3 processes answered on ports 3001, 3002, 3003");
    CHECK(visit({"--processes", "4"}).find("no port left") != std::string::npos);
    server.stop();
    REQUIRE(run_until(io, [&] { return server.ended(); }));
}

TEST_CASE("dcom: options that contradict each other are refused", "[client_sim][dcom]") {
    own_network();
    asio::io_context io{1};
    const auto server = [&](std::vector<std::string> line) {
        return Sim{io, "vm", "server_sim", server_sim::options(), line, server_sim::make};
    };
    CHECK_THROWS_AS(server({"--reserved-ports", "3010-3001"}), process::UsageError);
    CHECK_THROWS_AS(server({"--reserved-ports", "3001", "--registry", "a.reg"}), process::UsageError);
    CHECK_THROWS_AS(server({"--print-registry"}), process::UsageError);
    CHECK_THROWS_AS(server({"--reserved-ports", "3001", "--print-registry", "6"}), process::UsageError);
}
