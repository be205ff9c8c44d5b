#include "common/scenario/boxes.hpp"

#include "common/scenario/loader.hpp"
#include "tests/catch.hpp"

using namespace wmlab::scenario;

namespace {

Scenario with_firewalls(const std::string& zones_of_boxes, const std::string& outside = "") {
    const auto loaded = load("version: 1\n"
                             "zones:\n"
                             "  inside: { subnet: 10.10.0.0/24 }\n"
                             "  one: { subnet: 10.91.0.0/24, interface: transit }\n"
                             "  outside: { subnet: 10.20.0.0/24" + outside + " }\n"
                             "hosts:\n"
                             "  media: { zone: inside, address: 10.10.0.10 }\n"
                             "  player: { zone: outside, address: 10.20.0.2 }\n" +
                                 zones_of_boxes +
                                 "content: { lecture: { synthetic: audio } }\n"
                                 "flows:\n"
                                 "  - { id: a, type: mms-tcp, from: player, to: media }\n",
                             "boxes.yaml", ".");
    REQUIRE(explain(loaded.problems) == "");
    return loaded.scenario;
}

std::string text(const std::vector<Hop>& hops) {
    std::string text;
    for (const auto& hop : hops) text += (text.empty() ? "" : ", ") + hop.in + " " + hop.box + " " + hop.out;
    return text;
}

}  // namespace

TEST_CASE("one firewall is a list of one, with a side in every zone", "[scenario]") {
    const auto scenario = with_firewalls("firewall: {}\n");
    CHECK_FALSE(several_boxes(scenario));
    const auto all = boxes(scenario);
    REQUIRE(all.size() == 1);
    CHECK(all[0].name == "firewall");
    REQUIRE(all[0].sides.size() == 3);
    CHECK(all[0].sides[1].interface == "transit");
    CHECK(all[0].sides[1].address.text() == "10.91.0.1");
    CHECK(is_box(scenario, "firewall"));
    CHECK(text(way(scenario, "outside", "inside")) == "outside firewall inside");
    CHECK(way(scenario, "inside", "inside").empty());
    CHECK(passes(as_seen_by(scenario, all[0]), "inside", "one"));
    CHECK(box_words(scenario, "firewall") == "the firewall");
}

TEST_CASE("firewalls in a row: addresses, ways, and what each sees", "[scenario]") {
    const auto scenario = with_firewalls("firewalls:\n"
                                         "  - { name: near, zones: { inside: eth0, one: eth1 } }\n"
                                         "  - { name: far, zones: [one, outside] }\n");
    const auto &near = scenario.firewalls[0], &far = scenario.firewalls[1];
    CHECK(side_of(near, "one")->address.text() == "10.91.0.1");
    CHECK(side_of(far, "one")->address.text() == "10.91.0.2");
    CHECK(side_of(far, "one")->interface == "transit");
    CHECK(side_of(far, "inside") == nullptr);
    CHECK(text(way(scenario, "inside", "outside")) == "inside near one, one far outside");
    CHECK(text(way(scenario, "outside", "inside")) == "outside far one, one near inside");
    CHECK(text(way(scenario, "one", "outside")) == "one near one, one far outside");  // its gateway is `near`
    CHECK(next_box(scenario, near, "outside")->name == "far");
    const auto view = as_seen_by(scenario, near);
    CHECK(view.firewall.name == "near");
    CHECK(view.zone("inside")->interface == "eth0");
    CHECK(view.zone("outside")->interface == "eth1");
    CHECK(box_words(scenario, "near") == "firewall near");
    CHECK_FALSE(is_box(scenario, "firewall"));
}

TEST_CASE("asymmetric ways: by the gateway of a zone, and by routes", "[scenario]") {
    const auto beside = with_firewalls("firewalls:\n"
                                       "  - { name: up, zones: [inside, outside] }\n"
                                       "  - { name: down, zones: { inside: eth0, outside: { address: 10.20.0.9 }, one: eth2 } }\n",
                                       ", gateway: 10.20.0.9");
    CHECK(side_of(beside.firewalls[0], "outside")->address.text() == "10.20.0.10");  // the gateway's is taken
    CHECK(text(way(beside, "inside", "outside")) == "inside up outside");
    CHECK(text(way(beside, "outside", "inside")) == "outside down inside");
    CHECK_FALSE(passes(as_seen_by(beside, beside.firewalls[0]), "outside", "inside"));

    const auto routed = with_firewalls("firewalls:\n"
                                       "  - { name: near, zones: [inside, one], routes: { outside: second } }\n"
                                       "  - { name: first, zones: [one, outside] }\n"
                                       "  - { name: second, zones: [one, outside] }\n");
    CHECK(text(way(routed, "inside", "outside")) == "inside near one, one second outside");
    CHECK(text(way(routed, "outside", "inside")) == "outside first one, one near inside");
}

TEST_CASE("a firewall by itself: the zones of its sides, and whoever is behind others in the one on the way", "[scenario]") {
    auto scenario = with_firewalls(
        "firewalls:\n"
        "  - { name: near, zones: { inside: eth0, one: eth1 } }\n"
        "  - { name: far, zones: [one, outside] }\n");
    scenario.hosts[0].published["outside"] = *Ipv4::from("10.20.0.77");  // the far one answers for it
    const auto near = by_itself(as_seen_by(scenario, scenario.firewalls[0])), far = by_itself(as_seen_by(scenario, scenario.firewalls[1]));
    CHECK_FALSE(several_boxes(near));
    REQUIRE(near.zones.size() == 2);
    CHECK(near.host("player")->zone == "one");
    CHECK(near.host("player")->sample);
    CHECK(near.host("media")->zone == "inside");
    CHECK_FALSE(near.host("media")->sample);
    CHECK(near.published_in(*near.zone("one")).empty());
    CHECK(far.zone("inside") == nullptr);
    CHECK(far.zone("one")->gateway.text() == "10.91.0.2");  // its own address there
    CHECK(far.host("media")->zone == "one");
    CHECK(far.published_in(*far.zone("outside")).size() == 1);
    CHECK(own_address(as_seen_by(scenario, scenario.firewalls[0]), *scenario.zone("outside")) == std::nullopt);

    const auto single = with_firewalls("firewall: {}\n");
    CHECK(by_itself(single).zones.size() == 3);
    CHECK(own_address(single, *single.zone("one")) == single.zone("one")->gateway);
}
