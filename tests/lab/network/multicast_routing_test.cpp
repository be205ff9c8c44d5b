#include "lab/network/multicast_routing.hpp"

#include <boost/json/serialize.hpp>

#include "common/scenario/loader.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

std::string routes_of(const std::string& firewall, const std::string& flows) {
    const auto loaded = scenario::load(
        "version: 1\nzones:\n  a: { subnet: 10.1.0.0/24 }\n  b: { subnet: 10.2.0.0/24 }\n"
        "  c: { subnet: 10.3.0.0/24 }\nhosts:\n  media: { zone: a, address: 10.1.0.10 }\n"
        "  near: { zone: a, address: 10.1.0.11 }\n  p: { zone: b, address: 10.2.0.10 }\n"
        "  q: { zone: b, address: 10.2.0.11 }\n  r: { zone: c, address: 10.3.0.10 }\n" +
            firewall + "content: { lecture: { synthetic: audio } }\nflows:\n" + flows,
        "test.yaml", ".", scenario::Files::not_checked);
    REQUIRE(scenario::explain(loaded.problems).empty());
    std::string text;
    for (const auto& route : multicast_routes(loaded.scenario)) {
        text += route.source.text() + " " + route.group.text() + " " + route.from + " ->";
        for (const auto& zone : route.to) text += " " + zone;
        text += "; ";
    }
    return text;
}

}  // namespace

TEST_CASE("multicast routes: what the flows need, as far as the scenario allows", "[lab]") {
    const std::string to_all =
        "  - { id: f, type: multicast, from: media, to: [near, p, q, r], group: 239.1.2.3, port: 8080 }\n";
    CHECK(routes_of("", to_all) == "10.1.0.10 239.1.2.3 a -> b c; ");
    CHECK(
        routes_of("", "  - { id: f, type: multicast, from: media, to: near, group: 239.1.2.3, port: 8080 }\n").empty());
    CHECK(routes_of("", "  - { id: f, type: multicast, from: media, to: p, group: 224.0.0.77, port: 8080 }\n").empty());
    CHECK(routes_of("", to_all + "  - { id: g, type: multicast, from: r, to: p, group: 239.1.2.3, port: 8080 }\n") ==
          "10.1.0.10 239.1.2.3 a -> b c; 10.3.0.10 239.1.2.3 c -> b; ");
    const auto allowed = [](const std::string& routes) { return "firewall: { multicast_routes: " + routes + " }\n"; };
    CHECK(routes_of(allowed("[]"), to_all).empty());
    CHECK(routes_of(allowed("[{ from: a, to: b, groups: 239.1.0.0/16 }]"), to_all) == "10.1.0.10 239.1.2.3 a -> b; ");
    CHECK(routes_of(allowed("[{ from: a, to: [b, c], groups: [239.2.0.0/16, 239.1.2.3] }]"), to_all) ==
          "10.1.0.10 239.1.2.3 a -> b c; ");
    CHECK(routes_of(allowed("[{ from: b, to: [a, c], groups: 239.0.0.0/8 }]"), to_all).empty());
}
