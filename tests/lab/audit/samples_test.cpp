#include "lab/audit/samples.hpp"

#include "common/scenario/loader.hpp"
#include "lab/rules/generate.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

Wide at(std::string_view address) { return scenario::Ipv4::from(address)->value; }
Spans net(std::string_view text) {
    const auto found = *scenario::Subnet::from(text);
    return {{found.network.value, found.broadcast().value}};
}

std::string yaml_of(std::string_view subnet, std::string_view more = {}, std::string_view zone = {}) {
    return "version: 1\nzones:\n  inside: { subnet: 10.10.0.0/24 }\n  outside: { subnet: " + std::string{subnet} + std::string{zone} +
           " }\nhosts:\n  media: { zone: inside, address: 10.10.0.10 }\n  player: { zone: outside, address: " +
           scenario::Ipv4{scenario::Subnet::from(subnet)->network.value + 10}.text() + " }\n" + std::string{more} +
           "content: { lecture: { synthetic: audio } }\nflows:\n  - { id: web, type: http, from: anyone@outside, to: media }\n";
}

scenario::Loaded loaded(const std::string& yaml, const scenario::Samples& samples = {}) {
    auto found = scenario::load(yaml, "s.yaml", ".", scenario::Files::not_checked, samples);
    CHECK(explain(found.problems) == "");
    return found;
}

std::string told(const Picked& picked) {
    std::string all;
    for (const auto& [zone, samples] : picked.samples)
        for (const auto& sample : samples) all += (all.empty() ? "" : "; ") + sample.address.text() + " for " + sample.stands_for;
    return all;
}

}  // namespace

TEST_CASE("samples are inside, at the edges and beside what rules name", "[audit]") {
    struct Row {
        const char* subnet;
        std::set<Spans> named;
        const char* samples;
    };
    const std::vector<Row> rows = {
        {"10.20.0.0/24", {}, "10.20.0.2 for any address; 10.20.0.127 for any address; 10.20.0.254 for any address"},
        {"10.20.0.0/24",
         {net("10.20.0.128/25")},
         "10.20.0.2 for 10.20.0.1-10.20.0.127; 10.20.0.64 for 10.20.0.1-10.20.0.127; 10.20.0.127 for 10.20.0.1-10.20.0.127; 10.20.0.128 for 10.20.0.128-10.20.0.254; 10.20.0.191 for 10.20.0.128-10.20.0.254; 10.20.0.254 for 10.20.0.128-10.20.0.254"},
        {"10.20.0.0/29",
         {net("10.20.0.4/32")},
         "10.20.0.2 for 10.20.0.1-10.20.0.3, 10.20.0.5-10.20.0.6; 10.20.0.3 for 10.20.0.1-10.20.0.3, 10.20.0.5-10.20.0.6; 10.20.0.4 for 10.20.0.4; 10.20.0.5 for 10.20.0.1-10.20.0.3, "
         "10.20.0.5-10.20.0.6; 10.20.0.6 for 10.20.0.1-10.20.0.3, 10.20.0.5-10.20.0.6"},
    };
    for (const auto& row : rows) {
        auto scenario = loaded(std::string{row.subnet}.ends_with("29") ? yaml_of("10.20.0.0/24") : yaml_of(row.subnet)).scenario;
        scenario.zones[1].subnet = *scenario::Subnet::from(row.subnet);
        Asked asked;
        asked.values[Field::source] = row.named;
        CHECK(told(pick_samples(scenario, asked)) == row.samples);
    }
}

TEST_CASE("every group of addresses that rules tell apart has a sample, or it is said that it has none", "[audit]") {
    const auto scenario = loaded(yaml_of("10.20.0.0/24")).scenario;
    for (const unsigned count : {1U, 5U, 15U, 16U, 40U}) {
        INFO(count);
        Asked asked;
        for (unsigned i = 0; i < count; ++i) asked.values[Field::source].insert({{at("10.20.0.100") + i, at("10.20.0.100") + i}});
        const auto picked = pick_samples(scenario, asked);
        const auto& samples = picked.samples.at("outside");
        std::set<std::string> groups;
        for (const auto& sample : samples) groups.insert(sample.stands_for);
        CHECK(samples.size() <= 16);
        CHECK(groups.size() == std::min(count + 1, 16U));
        CHECK((picked.notes.size() == 1 && picked.notes[0].find("more groups") != std::string::npos) == (count + 1 > 16));
    }
}

TEST_CASE("a zone without an end has samples beyond its subnet, and only public ones that are nobody else's", "[audit]") {
    Asked asked;
    asked.values[Field::source] = {net("198.51.100.0/24"), net("10.0.0.0/8"), net("192.168.0.0/16"), net("10.10.0.10/32"), net("127.0.0.0/8"), net("192.0.2.5/32")};
    const auto beyond = [&](const scenario::Scenario& scenario) {
        std::size_t count = 0;
        const auto picked = pick_samples(scenario, asked);
        for (const auto& sample : picked.samples.at("outside")) {
            if (scenario.zones[1].subnet.contains(sample.address)) continue;
            ++count;
            CHECK(scenario::is_public(sample.address));
        }
        return count;
    };
    CHECK(beyond(loaded(yaml_of("203.0.113.0/24")).scenario) >= 4);
    CHECK(beyond(loaded(yaml_of("10.20.0.0/24")).scenario) == 0);
    CHECK(beyond(loaded(yaml_of("10.20.0.0/24", "firewall: { default_route: outside }\n")).scenario) >= 4);
    // Whose they are nobody knows: that is said.
    const auto notes = pick_samples(loaded(yaml_of("10.20.0.0/24")).scenario, asked).notes;
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].find("192.0.2.5, 198.51.100.0/24") != std::string::npos);
}

TEST_CASE("the samples of a zone make hosts and flows, in the text for simulators too", "[audit]") {
    const auto yaml = yaml_of("203.0.113.0/24");
    const auto with = loaded(yaml, {{"outside", {{*scenario::Ipv4::from("203.0.113.10"), "a"}, {*scenario::Ipv4::from("198.51.100.7"), "b, \"c\""}}}});
    for (const auto& found : {with, loaded(with.expanded)}) {
        const auto flows = scenario::instances(found.scenario);
        REQUIRE(flows.size() == 2);
        CHECK(flows[0].id == "web@203.0.113.10");
        CHECK(flows[0].from == "player");
        CHECK(flows[1].id == "web@198.51.100.7");
        CHECK(flows[1].from == "anyone-198.51.100.7");
        CHECK(found.scenario.flows[0].anyone[1].sample.stands_for == "b, \"c\"");
        CHECK(scenario::without_samples(found.scenario).hosts.size() == 2);
        CHECK(rules::generate(found.scenario, "nft")->find("iifname \"outside\" oifname \"inside\" ip daddr 10.10.0.10 tcp dport 80 accept") !=
              std::string::npos);
    }
    CHECK(with.scenario.flows[0].line == loaded(yaml).scenario.flows[0].line);
    std::vector<evidence::Event> events(3);
    events[0].flow = "web@203.0.113.77", events[1].flow = "web[198.51.100.9->media]", events[2].flow = "web";
    const auto samples = samples_in(with.scenario, events);
    REQUIRE(samples.contains("outside"));
    CHECK(samples.at("outside").size() == 2);
}
