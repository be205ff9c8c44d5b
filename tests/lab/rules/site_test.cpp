#include "lab/rules/site.hpp"

#include <boost/json.hpp>

#include "common/scenario/loader.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
using wmlab::scenario::Ipv4;

namespace {

std::string match(const std::string& left, const std::string& right) {
    return R"({"match":{"op":"==","left":)" + left + R"(,"right":)" + right + "}}";
}
std::string meta(const std::string& key, const std::string& name) {
    return match(R"({"meta":{"key":")" + key + "\"}}", '"' + name + '"');
}
std::string address(const std::string& field, const std::string& value) {
    return match(R"({"payload":{"protocol":"ip","field":")" + field + "\"}}", value);
}
std::string network(const std::string& text, int length) {
    return R"({"prefix":{"addr":")" + text + R"(","len":)" + std::to_string(length) + "}}";
}

Ruleset ruleset_of(const std::vector<std::string>& rules, const std::string& hook = "forward",
                   const std::string& policy = "drop", const std::string& type = "filter") {
    std::string text = R"({"nftables":[{"chain":{"family":"ip","table":"t","name":"c","type":")" + type +
                       R"(","hook":")" + hook + R"(","prio":0,"policy":")" + policy + "\"}}";
    int handle = 1;
    for (const auto& expr : rules)
        text += R"(,{"rule":{"family":"ip","table":"t","chain":"c","handle":)" + std::to_string(++handle) +
                R"(,"expr":[)" + expr + "]}}";
    return Ruleset::parse(text + "]}", "", {});
}

wmlab::scenario::Scenario site(const std::string& inside, const std::string& outside) {
    const auto loaded = wmlab::scenario::load(
        "version: 1\nzones:\n  inside: { subnet: 10.10.0.0/24, interface: " + inside + " }\n  outside: { subnet: 10.20.0.0/24, interface: " + outside +
            " }\nhosts:\n  media: { zone: inside, address: 10.10.0.10 }\n  player: { zone: outside, address: 10.20.0.10 }\n"
            "content: { lecture: { synthetic: audio } }\nflows:\n  - { id: a, type: mms-tcp, from: player, to: media, content: lecture }\n",
        "a.yaml", ".");
    REQUIRE(loaded.ok());
    return loaded.scenario;
}

const std::string accept = R"({"accept":null})";

}  // namespace

TEST_CASE("interfaces that no zone has are told, with the zone they may be", "[rules]") {
    const auto ruleset =
        ruleset_of({meta("iifname", "eth0") + "," + address("saddr", network("10.20.0.0", 24)) + "," +
                    meta("oifname", "eth1") + "," + address("daddr", "\"10.10.0.10\"") + "," + accept});
    CHECK(misfits(ruleset, site("eth1", "eth0")).empty());
    const auto found = misfits(ruleset, site("inside", "outside"));
    REQUIRE(found.size() == 1);
    CHECK(found[0].find("the interfaces eth0, eth1, which no zone has") != std::string::npos);
    CHECK(found[0].find("inside: { interface: eth1 }, outside: { interface: eth0 }") != std::string::npos);
    const auto one = misfits(ruleset, site("eth1", "eth7"));
    REQUIRE(one.size() == 1);
    CHECK(one[0].find("outside: { interface: eth0 }") != std::string::npos);
}

TEST_CASE("a ruleset of another site, and one that stops nothing, are told", "[rules]") {
    const auto other =
        misfits(ruleset_of({address("saddr", network("172.16.0.0", 16)) + "," + accept}), site("a", "b"));
    REQUIRE(other.size() == 1);
    CHECK(other[0].find("another site") != std::string::npos);
    const auto input = ruleset_of({R"({"counter":null})"}, "input");
    CHECK(forwards_everything(input));
    CHECK(misfits(input, site("a", "b"))[0].find("forwards everything") != std::string::npos);
    CHECK_FALSE(forwards_everything(ruleset_of({}, "forward")));
    CHECK_FALSE(forwards_everything(ruleset_of({R"({"drop":null})"}, "prerouting", "accept")));
}

TEST_CASE("a skeleton is a scenario", "[rules]") {
    const auto rules = GENERATE_COPY(values<std::vector<std::string>>({
        {},
        {meta("iifname", "eth0") + "," + accept},
        {meta("iifname", "eth0") + "," + address("saddr", network("10.20.0.0", 24)) + "," + meta("oifname", "eth1") +
         "," + address("daddr", "\"10.10.0.10\"") + "," + accept},
        {address("saddr", "\"192.168.1.7\"") + "," + address("daddr", "\"172.16.3.9\"") + "," + accept},
        {address("daddr", "\"203.0.113.1\"") + R"(,{"dnat":{"addr":"10.1.0.9"}})",
         meta("oifname", "wan0") + R"(,{"masquerade":null})"},
        {meta("iifname", "br-lan.100*") + "," + accept},
    }));
    const auto text = skeleton(ruleset_of(rules), "/etc/nft tables.conf", {{"10.10.0.10", "MEDIA"}});
    INFO(text);
    const auto loaded = wmlab::scenario::load(text, "made.yaml", ".", wmlab::scenario::Files::not_checked);
    INFO(wmlab::scenario::explain(loaded.problems));
    CHECK(loaded.ok());
    if (!rules.empty() && rules[0].find("10.10.0.10") != std::string::npos) {
        const auto* media = loaded.scenario.host("media");
        REQUIRE(media != nullptr);
        CHECK(media->address == *Ipv4::from("10.10.0.10"));
    }
}
