#include "lab/rules/match.hpp"

#include "lab/rules/near_miss.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
using wmlab::scenario::Ipv4;

namespace {

// What `nft -j -a list ruleset` and `nft -a list ruleset` print for the file below.
constexpr std::string_view file = R"(table inet filter {
  set okports { type inet_service; flags interval; elements = { 1755, 80, 3001-3010 }
  }
  chain udp_out {
    ip saddr 10.10.0.10 udp dport 1024-4999 accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "outside" oifname "inside" ip daddr 10.10.0.10 tcp dport 1755 accept
    ip saddr { 10.20.0.10, 10.20.0.11 } ip daddr 10.10.0.10 tcp dport @okports accept
    iifname "inside" oifname "outside" jump udp_out
    tcp dport 23 drop
  }
}
)";
constexpr std::string_view json = R"({"nftables":[
{"set":{"family":"inet","name":"okports","table":"filter","type":"inet_service","handle":3,"elem":[80,1755,{"range":[3001,3010]}]}},
{"chain":{"family":"inet","table":"filter","name":"udp_out","handle":1}},
{"chain":{"family":"inet","table":"filter","name":"forward","handle":2,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"rule":{"family":"inet","table":"filter","chain":"udp_out","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1024,4999]}}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":6,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":8,"expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"outside"}},{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"inside"}},{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":1755}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":10,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"set":["10.20.0.10","10.20.0.11"]}}},{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@okports"}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":11,"expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"inside"}},{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"outside"}},{"jump":{"target":"udp_out"}}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":12,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":23}},{"drop":null}]}}
]})";
constexpr std::string_view listing = R"(table inet filter { # handle 1
	chain forward { # handle 2
		ip saddr 10.20.0.10 counter packets 12 bytes 340 accept # handle 10
	}
}
)";

Ruleset ruleset() {
    return Ruleset::parse(json, listing, read_source("fw.nft", [](const auto&) { return std::string{file}; }));
}
const ChainName forward{"inet", "filter", "forward"};

Packet packet(std::string protocol, std::string in, std::string source, std::uint16_t source_port, std::string out,
              std::string destination, std::uint16_t destination_port) {
    return {std::move(in),
            std::move(out),
            *Ipv4::from(source),
            *Ipv4::from(destination),
            std::move(protocol),
            source_port,
            destination_port,
            "new",
            0};
}

}  // namespace

TEST_CASE("rules are joined with their lines", "[rules]") {
    const auto rules = ruleset();
    REQUIRE(rules.rule(forward, 8));
    CHECK(rules.rule(forward, 8)->place->line == 10);
    CHECK(rules.rule({"inet", "filter", "udp_out"}, 4)->place->line == 5);
    CHECK(rules.chain(forward)->policy_drop);
    CHECK(rules.chain(forward)->policy->line == 8);
    CHECK(rules.rule(forward, 10)->text == "ip saddr 10.20.0.10 counter accept");
    CHECK(rules.rule(forward, 99) == nullptr);
}

TEST_CASE("a rule whose verdict differs from its statement takes the chain's lines away", "[rules]") {
    std::string other{file};
    other.replace(other.find("tcp dport 23 drop"), 17, "tcp dport 23 accept");
    const auto rules = Ruleset::parse(json, listing, read_source("fw.nft", [&](const auto&) { return other; }));
    CHECK_FALSE(rules.rule(forward, 8)->place.has_value());
    CHECK(rules.rule({"inet", "filter", "udp_out"}, 4)->place.has_value());
}

TEST_CASE("the near miss names what differs", "[rules]") {
    struct Row {
        std::string name;
        Packet packet;
        unsigned line;
        std::string differs;
    };
    const auto row = GENERATE(values<Row>({
        {"a port just above the range, in a chain jumped to",
         packet("udp", "inside", "10.10.0.10", 1755, "outside", "10.20.0.10", 5000), 5,
         "destination port 5000 is above 4999"},
        {"a port just below the range", packet("udp", "inside", "10.10.0.10", 1755, "outside", "10.20.0.10", 1023), 5,
         "destination port 1023 is below 1024"},
        {"another destination", packet("tcp", "outside", "10.20.0.12", 40000, "inside", "10.10.0.11", 1755), 10,
         "destination address is 10.10.0.11, the rule wants 10.10.0.10"},
        {"another interface", packet("tcp", "dmz", "10.20.0.12", 40000, "inside", "10.10.0.10", 1755), 10,
         "input interface is dmz, the rule wants outside"},
        {"an element missing in a set", packet("tcp", "dmz", "10.20.0.11", 40000, "inside", "10.10.0.10", 7007), 11,
         "destination port 7007 is not in set okports"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto rules = ruleset();
        const auto miss = near_miss(rules, forward, row.packet);
        REQUIRE(miss.has_value());
        CHECK(miss->rule->place->line == row.line);
        CHECK(miss->differs == row.differs);
    }
}

TEST_CASE("what differs is told by its parts: the same words for one port and for a set decide nothing", "[rules]") {
    using Kind = Difference::Kind;
    struct Row {
        std::string name, right;  // of `tcp dport`
        Kind kind;
        bool near;
    };
    // The packet goes to port 5000.
    const auto row = GENERATE(values<Row>({
        {"one port far away is another service", "23", Kind::wanted, false},
        {"one port just beside is a slip", "5001", Kind::wanted, true},
        {"a range far away may be short", R"({"range":[20,23]})", Kind::above, false},
        {"a long range far away", R"({"range":[1024,4000]})", Kind::above, true},
        {"a set that lacks the port", R"({"set":[23,80]})", Kind::not_among, true},
        {"a named set that lacks the port", R"("@okports")", Kind::not_in_set, true},
        {"a set named as the words are", R"("@wants")", Kind::not_in_set, true},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto rules = Ruleset::parse(
            R"({"nftables":[
{"set":{"family":"inet","name":"okports","table":"filter","type":"inet_service","handle":3,"elem":[23]}},
{"set":{"family":"inet","name":"wants","table":"filter","type":"inet_service","handle":4,"elem":[23]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":5,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":)" +
                row.right + R"(}},{"accept":null}]}}]})",
            "", {});
        const auto to_port = packet("tcp", "outside", "10.20.0.10", 40000, "inside", "10.10.0.10", 5000);
        const auto comparison = compare(rules, *rules.rule(forward, 5), to_port);
        REQUIRE(comparison.conditions.size() == 2);
        CHECK(comparison.conditions[1].subject == Subject::destination_port);
        CHECK(comparison.conditions[1].difference.kind == row.kind);
        CHECK(near_miss(rules, forward, to_port).has_value() == row.near);
    }
}

TEST_CASE("a port beside a range is nearer than a rule of another protocol or for groups", "[rules]") {
    const auto rules = Ruleset::parse(
        R"({"nftables":[
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1024,5000]}}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":5,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":{"range":["224.0.0.1","239.255.255.255"]}}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1,65000]}}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":6,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"10.20.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":{"set":[135,{"range":[3001,3010]}]}}},{"accept":null}]}}
]})",
        "", {});
    const auto udp =
        near_miss(rules, forward, packet("udp", "inside", "10.10.0.10", 1755, "outside", "10.20.0.10", 5001));
    REQUIRE(udp.has_value());
    CHECK(udp->rule->handle == 4);
    CHECK(udp->differs == "destination port 5001 is above 5000");
    const auto tcp =
        near_miss(rules, forward, packet("tcp", "inside", "10.10.0.9", 40000, "outside", "10.20.0.10", 3011));
    REQUIRE(tcp.has_value());
    CHECK(tcp->rule->handle == 6);
    // TCP 23 fits neither the protocol nor the ports of any rule.
    CHECK_FALSE(near_miss(rules, forward, packet("tcp", "inside", "10.10.0.10", 40000, "outside", "10.20.0.9", 23))
                    .has_value());
}

TEST_CASE("no rule is named when none is near", "[rules]") {
    const auto rules = ruleset();
    CHECK_FALSE(
        near_miss(rules, forward, packet("udp", "dmz", "10.30.0.9", 9, "outside", "10.20.0.10", 53)).has_value());
    CHECK_FALSE(
        near_miss(rules, {"ip", "no", "such"}, packet("udp", "inside", "10.10.0.10", 9, "outside", "10.20.0.10", 5000))
            .has_value());
}

TEST_CASE("a condition that is not understood is never a near miss", "[rules]") {
    const auto rules = Ruleset::parse(
        R"({"nftables":[{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1024,4999]}}},{"match":{"op":"==","left":{"osf":{"key":"name"}},"right":"Linux"}},{"accept":null}]}}]})",
        "", {});
    CHECK_FALSE(near_miss(rules, forward, packet("udp", "inside", "10.10.0.10", 1755, "outside", "10.20.0.10", 5000))
                    .has_value());
}

TEST_CASE("near misses in verdict maps and concatenations, by limits and by order", "[rules]") {
    const auto rules = Ruleset::parse(
        R"({"nftables":[
{"chain":{"family":"inet","name":"forward","table":"filter","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"map":{"family":"inet","name":"zones","table":"filter","type":["ifname","ifname"],"handle":2,"map":"verdict","elem":[[{"concat":["outside","inside"]},{"jump":{"target":"in"}}],[{"concat":["inside","outside"]},{"jump":{"target":"out"}}]]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"vmap":{"key":{"concat":[{"meta":{"key":"iifname"}},{"meta":{"key":"oifname"}}]},"data":"@zones"}}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":5,"expr":[{"drop":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":6,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":1755}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"in","handle":7,"expr":[{"vmap":{"key":{"concat":[{"payload":{"protocol":"ip","field":"daddr"}},{"meta":{"key":"l4proto"}},{"payload":{"protocol":"th","field":"dport"}}]},"data":{"set":[[{"concat":["10.10.0.10","udp",7000]},{"accept":null}],[{"concat":["10.10.0.10","tcp",{"range":[7001,7006]}]},{"accept":null}],[{"concat":["10.10.0.10","tcp",23]},{"drop":null}]]}}}]}},
{"rule":{"family":"inet","table":"filter","chain":"in","handle":8,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":80}},{"limit":{"rate":5,"per":"second"}},{"match":{"op":"==","left":{"meta":{"key":"mark"}},"right":5}},{"jump":{"target":"yes"}}]}},
{"rule":{"family":"inet","table":"filter","chain":"yes","handle":9,"expr":[{"log":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"yes","handle":10,"expr":[{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"inside"}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"out","handle":11,"expr":[{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"inside"}},{"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"inside"}},{"accept":null}]}}
]})",
        "", {});
    const auto* stop = rules.rule(forward, 5);
    const auto miss = [&](std::uint16_t port, const Rule* by, bool passing = false) {
        const auto found = near_miss(
            rules, forward, packet("tcp", "outside", "10.20.0.10", 40000, "inside", "10.10.0.10", port), by, passing);
        return found ? std::to_string(found->rule->handle) + ": " + found->differs : std::string{};
    };
    CHECK(miss(7007, stop) == "7: destination port 7007 is above 7006");
    CHECK(miss(7007, stop, true).empty());
    CHECK(miss(1755, stop) == "6: it stands behind the rule that stopped the packet");
    CHECK(miss(1755, stop, true) == "6: it stands behind the rule that stopped the packet");
    CHECK(miss(80, nullptr) == "8: its limit of packets was used up, or its condition on `meta mark` did not hold");
    // Nothing but interfaces agree with the rule for the traffic inside.
    CHECK_FALSE(near_miss(rules, forward, packet("udp", "inside", "10.10.0.10", 9, "outside", "10.20.0.10", 53), stop)
                    .has_value());
}

TEST_CASE("what a verdict map does with the packet is known", "[rules]") {
    const auto rules = Ruleset::parse(
        R"({"nftables":[{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"vmap":{"key":{"payload":{"protocol":"tcp","field":"dport"}},"data":{"set":[[80,{"accept":null}],[23,{"drop":null}],[25,{"jump":{"target":"x"}}]]}}}]}}]})",
        "", {});
    const auto with = [&](std::uint16_t port) {
        return compare(rules, rules.rules()[0], packet("tcp", "a", "10.20.0.10", 40000, "b", "10.10.0.10", port));
    };
    CHECK((with(80).matches() && with(80).accepts && !with(80).drops));
    CHECK((with(23).matches() && with(23).drops && !with(23).accepts));
    CHECK((with(25).matches() && !with(25).drops && !with(25).accepts));
    CHECK(with(443).count(Condition::Result::no) == 1);
}

TEST_CASE("a rule for those who send too much is never a near miss", "[rules]") {
    const auto rules = Ruleset::parse(
        R"({"nftables":[{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1024,4999]}}},{"limit":{"rate":9000,"burst":5,"per":"second","inv":true}},{"accept":null}]}}]})",
        "", {});
    CHECK_FALSE(near_miss(rules, forward, packet("udp", "inside", "10.10.0.10", 1755, "outside", "10.20.0.10", 5000))
                    .has_value());
}
