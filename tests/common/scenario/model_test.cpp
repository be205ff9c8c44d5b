#include "common/scenario/model.hpp"

#include "tests/catch.hpp"
#include "tests/common/scenario/scenarios.hpp"

using namespace wmlab::scenario;

TEST_CASE("addresses: only the four plain decimal numbers", "[scenario]") {
    CHECK(Ipv4::from("10.20.0.255")->value == 0x0A1400FF);
    CHECK(Ipv4::from("0.0.0.0")->text() == "0.0.0.0");
    CHECK(Ipv4::from("255.255.255.255")->text() == "255.255.255.255");
    for (const auto* bad :
         {"", "10", "10.0.0", "10.0.0.0.1", "10.0.0.256", "10.0.0.01", "10.0.0.-1", "10.0.0.1 ", " 10.0.0.1", "10..0.1",
          "10.0.0.", ".10.0.0", "a.b.c.d", "10.0.0.1/24", "99999999999.1.1.1"})
        CHECK_FALSE(Ipv4::from(bad).has_value());
}

TEST_CASE("subnets: the host bits are zero", "[scenario]") {
    const auto subnet = Subnet::from("10.20.0.0/24").value();
    CHECK(subnet.text() == "10.20.0.0/24");
    CHECK(subnet.contains(*Ipv4::from("10.20.0.0")));
    CHECK(subnet.contains(*Ipv4::from("10.20.0.255")));
    CHECK_FALSE(subnet.contains(*Ipv4::from("10.20.1.0")));
    CHECK(subnet.broadcast().text() == "10.20.0.255");
    CHECK(Subnet::from("0.0.0.0/0")->contains(*Ipv4::from("1.2.3.4")));
    CHECK(Subnet::from("10.0.0.4/30")->broadcast().text() == "10.0.0.7");
    CHECK(Subnet::from("10.0.0.4/32")->broadcast().text() == "10.0.0.4");
    for (const auto* bad : {"10.20.0.1/24", "10.20.0.0", "10.20.0.0/33", "10.20.0.0/", "/24", "10.20.0.0/24/24"})
        CHECK_FALSE(Subnet::from(bad).has_value());
}

TEST_CASE("port ranges: 1 to 65535, not reversed", "[scenario]") {
    CHECK(PortRange::from("7007") == PortRange{7007, 7007});
    CHECK(PortRange::from("1024-5000") == PortRange{1024, 5000});
    CHECK(PortRange::from("1-65535")->size() == 65535);
    CHECK(PortRange::from("5000-5000")->text() == "5000");
    CHECK(text({{3001, 3010}, {135, 135}}) == "3001-3010 135");
    for (const auto* bad : {"", "0", "65536", "5000-1024", "1-", "-1", "0-5", "1 - 5", "0x50", "080", "1-2-3", "http"})
        CHECK_FALSE(PortRange::from(bad).has_value());
}

TEST_CASE("instances: a name per pair where a list has more than one, a number per copy", "[scenario]") {
    Scenario scenario;
    const auto add = [&](const char* id, std::vector<std::string> from, std::vector<std::string> to, unsigned count) {
        Flow flow;
        flow.id = id, flow.from = std::move(from), flow.to = std::move(to), flow.count = count;
        scenario.flows.push_back(flow);
    };
    add("one", {"a"}, {"b"}, 1);
    add("list", {"a"}, {"b", "c"}, 1);
    add("load", {"a"}, {"b"}, 2);
    add("both", {"a", "b"}, {"c"}, 2);
    std::vector<std::string> ids;
    for (const auto& instance : instances(scenario)) ids.push_back(instance.id);
    CHECK(ids == std::vector<std::string>{"one", "list[a->b]", "list[a->c]", "load#1", "load#2", "both[a->c]#1",
                                          "both[a->c]#2", "both[b->c]#1", "both[b->c]#2"});
    CHECK(instances(scenario)[2].to == "c");
    CHECK(instances(scenario)[2].flow == &scenario.flows[1]);
}

TEST_CASE("players of a load come over the ramp and stay together", "[scenario]") {
    const auto scenario = good_flows(
        "  - { id: crowd, type: http, from: [player, edge], to: media, load: { players: 4, ramp: 2s, duration: 3s, rate: 300k } }\n"
        "  - { id: one, type: http, from: player, to: media, load: { players: 1, rate: 300k } }\n"
        "  - { id: copies, type: http, from: player, to: media, count: 2, play: 700ms }\n");
    struct Seen {
        std::string id, load;
        long starts, plays;
        bool operator==(const Seen&) const = default;
    };
    std::vector<Seen> seen;
    for (const auto& instance : instances(scenario)) seen.push_back({instance.id, instance.load(), instance.starts().count(), instance.plays().count()});
    std::vector<Seen> right;
    for (const std::string load : {"crowd[player->media]", "crowd[edge->media]"})
        for (long n = 0; n < 4; ++n) right.push_back({load + "#" + std::to_string(n + 1), load, n * 500, 5000 - n * 500});
    right.push_back({"one", "one", 0, 1000});
    right.push_back({"copies#1", "", 0, 700});
    right.push_back({"copies#2", "", 0, 700});
    CHECK(seen == right);
    // Two loads of one rate share a publishing point; whoever names no content still finds the only one.
    REQUIRE(scenario.contents.size() == 2);
    CHECK(scenario.contents[1].name == "lecture-300k");
    CHECK(scenario.contents[1].bitrate == 300'000);
    CHECK(scenario.flows[0].content == "lecture-300k");
    CHECK(scenario.flows[1].content == "lecture-300k");
    CHECK(scenario.flows[2].content == "lecture");
}
