#include "common/process/probe.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "common/process/privileges.hpp"
#include "tests/catch.hpp"
#include "tests/client_sim/lab.hpp"

using namespace wmlab;
using namespace wmlab::tests;
using scenario::FlowType;
using scenario::Protocol;

namespace {

scenario::Flow probe(std::string id, Protocol protocol, scenario::PortList ports) {
    auto out = flow(std::move(id), FlowType::probe);
    out.protocol = protocol;
    out.ports = std::move(ports);
    out.deadline = 10s;
    return out;
}

}  // namespace

TEST_CASE("probes: the nonce arrives and its echo comes back, port by port", "[client_sim]") {
    Lab lab{{probe("tcp", Protocol::tcp, {{2301, 2305}, {2400, 2400}}), probe("udp", Protocol::udp, {{2301, 2305}})}};
    REQUIRE(lab.play());
    CHECK(lab.client.code() == 0);
    for (const auto* id : {"tcp", "udp"}) {
        const std::size_t ports = id == std::string{"tcp"} ? 6 : 5;
        CHECK(text(lab.end_of(id), "outcome") == "worked");
        std::set<std::string> sent, received, answered;
        for (const auto& event : lab.client.events(What::probe_sent, id)) sent.insert(text(event, "nonce"));
        for (const auto& event : lab.client.events(What::probe_answered, id)) answered.insert(text(event, "nonce"));
        for (const auto& event : lab.server->events(What::probe_received, id)) received.insert(text(event, "nonce"));
        CHECK(answered.size() == ports);
        CHECK(std::ranges::includes(received, answered));
        CHECK(std::ranges::includes(sent, received));
        CHECK(lab.server->events(What::listening, id).size() == ports);
    }
}

TEST_CASE("probes: a closed port is refused by the host itself, at once", "[client_sim]") {
    Lab lab{{probe("tcp", Protocol::tcp, {{2301, 2301}}), probe("udp", Protocol::udp, {{2301, 2301}})}, false};
    REQUIRE(lab.play());
    for (const auto* id : {"tcp", "udp"}) {
        CHECK(text(lab.end_of(id), "outcome") == "failed");
        const auto failed = lab.client.events(What::connect_failed, id);
        REQUIRE(failed.size() == 1);
        CHECK(failed[0].leg == "probe");
        CHECK(failed[0].fields.at("failure").as_object().at("kind").as_string() == "refused");
    }
    CHECK(lab.client.events(What::connect_failed, "udp")[0].fields.at("failure").as_object().contains("icmp"));
}

TEST_CASE("probes: a port that cannot be bound is reported, the others are probed", "[client_sim]") {
    const auto protocol = GENERATE(Protocol::tcp, Protocol::udp);
    Lab lab{{probe("p", protocol, {{2301, 2303}})}};
    std::optional<net::tcp::acceptor> tcp;
    std::optional<net::udp::socket> udp;
    if (protocol == Protocol::tcp)
        tcp = net::listen_tcp(lab.io.get_executor(), {lab.media(), 2302}).value();
    else
        udp = net::bind_udp(lab.io.get_executor(), {lab.media(), 2302}).value();
    lab.scenario.flows[0].deadline = 1s;
    REQUIRE(lab.play());
    const auto failed = lab.server->events(What::listen_failed, "p");
    REQUIRE(failed.size() == 1);
    CHECK(failed[0].local == lab.media().to_string() + ":2302");
    CHECK(text(failed[0], "error") == "EADDRINUSE");
    CHECK_THAT(text(failed[0], "holder"), contains("client_sim_test"));
    CHECK(lab.client.events(What::probe_answered, "p").size() == 2);
}

TEST_CASE("probes: a sweep tells listeners by ranges and settles every port", "[client_sim]") {
    process::raise_descriptor_limit();  // as the programs do: both ends are in this process
    Lab lab{{probe("tcp", Protocol::tcp, {{20000, 20499}}), probe("udp", Protocol::udp, {{20000, 20499}})}};
    REQUIRE(lab.play());
    CHECK(text(lab.end_of("tcp"), "reason") == "500 of 500 ports answered");
    CHECK(text(lab.end_of("udp"), "reason") == "500 of 500 ports answered");
    CHECK(lab.client.events(What::probe_answered).size() == 1000);
    const auto listening = lab.server->events(What::listening, "tcp");
    REQUIRE(listening.size() == 1);
    CHECK(text(listening[0], "ports") == "20000-20499");
}

TEST_CASE("probes: more ports than descriptors are held by further processes", "[client_sim]") {
    const auto before = [] {
        rlimit limit{};
        ::getrlimit(RLIMIT_NOFILE, &limit);
        return limit;
    }();
    const rlimit few{512, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &few);
    {
        Lab lab{{probe("udp", Protocol::udp, {{21000, 21599}}), probe("tcp", Protocol::tcp, {{21000, 21099}})}};
        REQUIRE(lab.play());
        CHECK(text(lab.end_of("udp"), "reason") == "600 of 600 ports answered");
        CHECK(text(lab.end_of("tcp"), "reason") == "100 of 100 ports answered");
        CHECK(lab.server->events(What::probe_received, "udp").size() >= 600);
        CHECK(lab.server->events(What::listening, "udp").size() >= 2);
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("probes: what is no probe is not taken for one", "[client_sim]") {
    const auto nonce = process::new_nonce();
    auto message = process::probe_message(nonce);
    CHECK(process::nonce_in(message) == nonce);
    CHECK(nonce != process::new_nonce());
    CHECK_FALSE(process::nonce_in(std::span{message}.first(process::probe_size - 1)));
    for (std::size_t i = 0; i < message.size(); ++i) {
        auto damaged = message;
        damaged[i] ^= std::byte{0x80};
        CHECK_FALSE(process::nonce_in(damaged));
    }
    CHECK(process::ports_text({1, 2, 3, 7, 9, 10}) == "1-3 7 9-10");
}
