// Which rules look at more than the packet, and which rulesets do not.
#include "lab/rules/circumstances.hpp"

#include <boost/json.hpp>

#include "tests/catch.hpp"

using namespace wmlab::lab::rules;

namespace {

// A ruleset of one rule, as the kernel tells it in JSON.
Ruleset ruleset_of(const std::string& expr, const std::string& more = {}) {
    const auto listing = R"({"nftables":[{"table":{"family":"inet","name":"t","handle":1}},)"
                      R"({"chain":{"family":"inet","table":"t","name":"c","handle":2,"type":"filter","hook":"forward","prio":0,"policy":"accept"}},)" +
                      more + R"({"rule":{"family":"inet","table":"t","chain":"c","handle":3,"expr":)" + expr + "}}]}";
    return Ruleset::parse(listing, "", Source{});
}

const std::string drop = R"({"drop":null})";
std::string match(const std::string& left, const std::string& right) {
    return R"({"match":{"op":"==","left":)" + left + R"(,"right":)" + right + "}}";
}

}  // namespace

TEST_CASE("rules that look at more than the packet, and rulesets that are plain", "[rules]") {
    struct Row {
        std::string name, expr;
        std::optional<Circumstance> circumstance;
        bool plain, by_ports = false;  // by_ports: same_for_all_between_two_ports
    };
    const auto port = match(R"({"payload":{"protocol":"tcp","field":"dport"}})", "80");
    const auto to_interface = match(R"({"meta":{"key":"oifname"}})", R"("inside")");
    const Row rows[] = {
        {"a port", "[" + port + "," + drop + "]", std::nullopt, true, true},
        {"a port and an interface", "[" + port + "," + to_interface + "," + drop + "]", std::nullopt, true, true},
        {"the length of the packet", "[" + match(R"({"meta":{"key":"length"}})", "1000") + "," + drop + "]", std::nullopt, true, false},
        {"the length in the header", "[" + match(R"({"payload":{"protocol":"ip","field":"length"}})", "1000") + "," + drop + "]", std::nullopt, true, false},
        {"the length of a datagram", "[" + match(R"({"payload":{"protocol":"udp","field":"length"}})", "1000") + "," + drop + "]", std::nullopt, true, false},
        {"the time to live", "[" + match(R"({"payload":{"protocol":"ip","field":"ttl"}})", "63") + "," + drop + "]", std::nullopt, true, false},
        {"a mark, which another rule may set by anything", "[" + match(R"({"meta":{"key":"mark"}})", "1") + "," + drop + "]", std::nullopt, true, false},
        {"the state of the connection", "[" + match(R"({"ct":{"key":"state"}})", R"("new")") + "," + drop + "]", std::nullopt, true, true},
        {"a rate", R"([{"limit":{"rate":1,"burst":5,"per":"minute"}},)" + drop + "]", Circumstance::rate, false},
        {"a rate that only logs", R"([{"limit":{"rate":1,"burst":5,"per":"minute"}},{"log":null}])", std::nullopt, false},
        {"a rate of ICMP, which no stream is",
         "[" + match(R"({"meta":{"key":"l4proto"}})", R"("icmp")") + R"(,{"limit":{"rate":1,"burst":5,"per":"minute"}},)" + drop + "]", std::nullopt, false},
        {"a quota", R"([{"quota":{"val":10,"val_unit":"bytes","inv":true}},)" + drop + "]", Circumstance::amount, false},
        {"connections at a time", R"([{"ct count":{"val":2,"inv":true}},)" + drop + "]", Circumstance::earlier, false},
        {"by turns", "[" + match(R"({"numgen":{"mode":"inc","mod":2,"offset":0}})", "1") + "," + drop + "]", Circumstance::earlier, false},
        {"at random", "[" + match(R"({"numgen":{"mode":"random","mod":2,"offset":0}})", "1") + "," + drop + "]", Circumstance::chance, false},
        {"the hour", "[" + match(R"({"meta":{"key":"hour"}})", R"("12:00")") + "," + drop + "]", Circumstance::time, false},
        {"how much a connection has carried", "[" + match(R"({"ct":{"key":"bytes"}})", "1") + "," + drop + "]", std::nullopt, false},
        {"a number that each packet has anew", "[" + match(R"({"payload":{"protocol":"ip","field":"id"}})", "1") + "," + drop + "]", std::nullopt, false},
        {"octets at an offset", "[" + match(R"({"payload":{"base":"th","offset":64,"len":16}})", "1") + "," + drop + "]", std::nullopt, false},
        {"an extension: recent", R"([{"xt":{"type":"match","name":"recent"}},)" + drop + "]", Circumstance::earlier, false},
        {"an extension: multiport", R"([{"xt":{"type":"match","name":"multiport"}},)" + drop + "]", std::nullopt, true, true},
        {"an extension that nobody knows", R"([{"xt":{"type":"match","name":"u32"}},)" + drop + "]", std::nullopt, false},
        {"a program decides", R"([{"queue":{"num":0}}])", std::nullopt, false},
    };
    for (const auto& row : rows) {
        const auto ruleset = ruleset_of(row.expr);
        INFO(row.name);
        const auto found = conditionals(ruleset);
        CHECK(found.size() == (row.circumstance ? 1 : 0));
        if (row.circumstance && !found.empty()) CHECK(found.front().circumstance == *row.circumstance);
        CHECK(plain(ruleset) == row.plain);
        CHECK(same_for_all_between_two_ports(ruleset) == row.by_ports);
    }
}

TEST_CASE("a set that packets fill makes the rule that looks it up depend on them", "[rules]") {
    const std::string more =
        R"({"set":{"family":"inet","table":"t","name":"seen","type":"ipv4_addr","handle":4,"flags":["dynamic"]}},)"
        R"({"rule":{"family":"inet","table":"t","chain":"c","handle":5,"expr":[{"set":{"op":"add","elem":{"payload":{"protocol":"ip","field":"saddr"}},"set":"@seen"}}]}},)";
    const auto look_up = "[" + match(R"({"payload":{"protocol":"ip","field":"saddr"}})", R"("@seen")") + "," + drop + "]";
    CHECK(conditionals(ruleset_of(look_up, more)).size() == 1);
    CHECK_FALSE(plain(ruleset_of(look_up, more)));
    CHECK(conditionals(ruleset_of(look_up)).empty());
}
