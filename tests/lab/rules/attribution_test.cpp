#include "lab/rules/attribution.hpp"

#include "common/scenario/catalogue.hpp"
#include "lab/rules/decision_log.hpp"
#include "lab/rules/patch.hpp"
#include "lab/rules/suggestion.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::rules;
using scenario::Ipv4;

namespace {

constexpr std::string_view file = R"(table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ip saddr 10.10.0.10 udp dport 1024-4999 accept
  }
}
)";
constexpr std::string_view json = R"({"nftables":[
{"chain":{"family":"inet","table":"filter","name":"forward","handle":2,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":6,"expr":[{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}]}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":7,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.10.0.10"}},{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[1024,4999]}}},{"accept":null}]}}
]})";
const ChainName forward{"inet", "filter", "forward"};

Ruleset ruleset() {
    return Ruleset::parse(json, {}, read_source("fw.nft", [](const auto&) { return std::string{file}; }));
}

Decision decision(std::string protocol, std::string source, std::uint16_t source_port, std::string destination,
                  std::uint16_t destination_port, Decision::Fate fate, std::uint64_t handle,
                  std::string state = "new") {
    Decision d;
    d.arrived = {
        "inside", "", *Ipv4::from(source), *Ipv4::from(destination), std::move(protocol), source_port, destination_port,
        state,    0};
    d.packet = d.arrived;
    d.packet.out = "outside";
    d.fate = fate;
    d.chain = forward;
    d.handle = handle;
    d.by_policy = handle == 0;
    d.steps = {{forward, handle, fate == Decision::Fate::forwarded}};
    return d;
}

scenario::Scenario site() {
    scenario::Scenario s;
    s.zones = {{"inside", *scenario::Subnet::from("10.10.0.0/24"), "inside", *Ipv4::from("10.10.0.1")},
               {"outside", *scenario::Subnet::from("10.20.0.0/24"), "outside", *Ipv4::from("10.20.0.1")}};
    scenario::Host media, player;
    media.name = "media", media.zone = "inside", media.address = *Ipv4::from("10.10.0.10");
    player.name = "player", player.zone = "outside", player.address = *Ipv4::from("10.20.0.10");
    s.hosts = {media, player};
    scenario::Flow flow;
    flow.id = "unicast-udp";
    flow.type = scenario::FlowType::mms_udp;
    flow.from = {"player"}, flow.to = {"media"};
    s.flows = {flow};
    return s;
}

Report report(Verdict verdict, std::string direction) {
    Report r;
    FlowResult flow;
    flow.id = "unicast-udp", flow.type = "mms-udp", flow.from = "player", flow.to = "media";
    flow.verdict = verdict;
    flow.leg = "media";
    LegResult leg;
    leg.name = "media", leg.protocol = "udp", leg.source = "10.10.0.10:1755", leg.destination = "10.20.0.10:5000";
    leg.verdict = verdict;
    leg.direction = std::move(direction);
    if (verdict == Verdict::blocked) leg.cause = Cause::dropped;
    flow.legs = {leg};
    r.flows = {flow};
    return r;
}

}  // namespace

TEST_CASE("a policy drop is named, with the rule that almost matched and the rule that would help", "[rules]") {
    DecisionLog log;
    for (int i = 0; i < 3; ++i)
        log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 0));
    const auto events = log.take(ruleset());
    REQUIRE(events.size() == 1);
    auto r = report(Verdict::blocked, "to->from");
    attribute(r, site(), events);
    const auto& flow = r.flows[0];
    REQUIRE(flow.rule.has_value());
    CHECK(flow.rule->file == "fw.nft");
    CHECK(flow.rule->line == 3);
    CHECK(flow.rule->text == "policy drop");
    CHECK(flow.rule->chain == "inet filter forward");
    REQUIRE(flow.near_miss.has_value());
    CHECK(flow.near_miss->rule.line == 5);
    CHECK(flow.near_miss->differs == "destination port 5000 is above 4999");
    REQUIRE(flow.suggestions.size() == 1);
    CHECK(flow.suggestions[0].rule == "ip saddr 10.10.0.10 ip daddr 10.20.0.10 udp dport 1024-5000 accept");
    CHECK(flow.suggestions[0].line == 6);
    CHECK(with_rules(std::string{file}, {{6, flow.suggestions[0].rule}}).text
              .find("  ip saddr 10.10.0.10 ip daddr") != std::string::npos);
}

TEST_CASE("what a near miss says is for people only: reworded it changes nothing else", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 0));
    auto events = log.take(ruleset());
    REQUIRE(events.size() == 1);
    auto told = report(Verdict::blocked, "to->from");
    attribute(told, site(), events);
    const auto text = GENERATE(as<std::string>{}, "", "port 5000, the rule wants 4999", "der Port ist zu hoch");
    events[0].fields.at("near_miss").as_object()["differs"] = text;
    auto reworded = report(Verdict::blocked, "to->from");
    attribute(reworded, site(), events);
    const auto &before = told.flows[0], &after = reworded.flows[0];
    REQUIRE(after.near_miss.has_value());
    CHECK(after.near_miss->differs == text);
    CHECK(after.near_miss->rule.line == before.near_miss->rule.line);
    CHECK(after.verdict == before.verdict);
    CHECK(after.leg == before.leg);
    CHECK(after.cause == before.cause);
    CHECK(after.rule->line == before.rule->line);
    REQUIRE(after.suggestions.size() == before.suggestions.size());
    for (std::size_t i = 0; i < after.suggestions.size(); ++i) CHECK(after.suggestions[i].rule == before.suggestions[i].rule);
}

TEST_CASE("words that are names, prefixes or comments ask for nothing", "[rules]") {
    struct Row {
        std::string name, expr;  // of a rule before the policy
        bool asks;
    };
    const auto row = GENERATE(values<Row>({
        {"ct state", R"([{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"established"}},{"accept":null}])", true},
        {"-m conntrack", R"([{"xt":{"type":"match","name":"conntrack"}},{"accept":null}])", true},
        {"-j CT", R"([{"xt":{"type":"target","name":"CT"}}])", true},
        {"notrack", R"([{"notrack":null}])", true},
        {"a prefix of a log", R"([{"log":{"prefix":"state"}}])", false},
        {"a chain called CT", R"([{"jump":{"target":"CT"}}])", false},
        {"a chain called iif", R"([{"jump":{"target":"iif"}}])", false},
        {"an interface called conntrack", R"([{"match":{"op":"==","left":{"meta":{"key":"mark"}},"right":"conntrack"}},{"accept":null}])", false},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto rules = Ruleset::parse(
            R"({"nftables":[{"chain":{"family":"inet","table":"filter","name":"forward","handle":2,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"rule":{"family":"inet","table":"filter","chain":"forward","handle":4,"expr":)" +
                row.expr + "}}]}",
            "", {});
        DecisionLog log;
        log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 0));
        const auto events = log.take(rules);
        REQUIRE(events.size() == 1);
        CHECK(events[0].fields.contains("asks") == row.asks);
        const auto* before = events[0].fields.if_contains("before");
        const bool interfaces = before != nullptr && before->as_object().contains("in");
        CHECK_FALSE(interfaces);
    }
}

TEST_CASE("packets of the other direction are not taken for the leg's", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.20.0.10", 5000, "10.10.0.10", 1755, Decision::Fate::dropped, 0));
    auto r = report(Verdict::blocked, "to->from");
    attribute(r, site(), log.take(ruleset()));
    CHECK_FALSE(r.flows[0].rule.has_value());
}

TEST_CASE("an answer that was stopped needs the rule for answers", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 0, "established"));
    auto r = report(Verdict::blocked, "");
    attribute(r, site(), log.take(ruleset()));
    REQUIRE(r.flows[0].suggestions.size() == 1);
    CHECK(r.flows[0].suggestions[0].rule == "ct state established,related accept");
}

TEST_CASE("an answer to a masqueraded address is the leg's by the address it has when it is stopped", "[rules]") {
    DecisionLog log;
    auto answer = decision("udp", "10.10.0.10", 1755, "10.10.0.1", 5000, Decision::Fate::dropped, 0, "established");
    answer.packet.destination = *Ipv4::from("10.20.0.10");
    log.add(answer);
    auto r = report(Verdict::blocked, "to->from");
    attribute(r, site(), log.take(ruleset()));
    REQUIRE(r.flows[0].rule.has_value());
    CHECK(r.flows[0].rule->line == 3);
    REQUIRE(r.flows[0].suggestions.size() == 1);
    CHECK(r.flows[0].suggestions[0].rule == "ct state established,related accept");
}

TEST_CASE("an answer that is stopped before it is translated back goes to the address the far end saw", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.10.0.1", 6000, Decision::Fate::dropped, 0));
    auto r = report(Verdict::blocked, "from->to");
    auto& leg = r.flows[0].legs[0];
    leg.source = "10.20.0.10:5000", leg.destination = "10.10.0.10:1755", leg.direction = "to->from";
    leg.source_seen = "10.10.0.1:6000", leg.destination_seen = "10.10.0.10:1755";
    attribute(r, site(), log.take(ruleset()));
    REQUIRE(r.flows[0].rule.has_value());
    CHECK(r.flows[0].rule->line == 3);
}

TEST_CASE("a leg that passed names the rule that let its first packet through", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 4000, Decision::Fate::forwarded, 7));
    auto r = report(Verdict::pass, "");
    r.flows[0].legs[0].destination = "10.20.0.10:4000";
    attribute(r, site(), log.take(ruleset()));
    REQUIRE(r.flows[0].legs[0].rule.has_value());
    CHECK(r.flows[0].legs[0].rule->line == 5);
    CHECK(r.flows[0].suggestions.empty());
}

TEST_CASE("a rule that cannot have decided so is not named, and the report says so", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 7));  // it accepts
    auto r = report(Verdict::blocked, "to->from");
    attribute(r, site(), log.take(ruleset()));
    CHECK_FALSE(r.flows[0].rule.has_value());
    REQUIRE(r.notes.size() == 1);
    CHECK(r.notes[0].find("left unnamed") != std::string::npos);

    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::forwarded, 7));  // not this port
    r = report(Verdict::pass, "");
    attribute(r, site(), log.take(ruleset()));
    CHECK_FALSE(r.flows[0].legs[0].rule.has_value());
}

TEST_CASE("a lost trace message is said", "[rules]") {
    evidence::Event lost;
    lost.event = evidence::What::trace;
    lost.fields["lost"] = true;
    auto r = report(Verdict::blocked, "");
    attribute(r, site(), std::vector{lost});
    CHECK(r.notes.size() == 1);
}

TEST_CASE("an answer that is not tracked needs a rule by its addresses", "[rules]") {
    DecisionLog log;
    log.add(decision("udp", "10.10.0.10", 1755, "10.20.0.10", 5000, Decision::Fate::dropped, 0, "invalid"));
    auto r = report(Verdict::blocked, "");
    auto& leg = r.flows[0].legs[0];
    leg.name = r.flows[0].leg = "control";
    leg.protocol = "udp", leg.source = "10.20.0.10:5000", leg.destination = "10.10.0.10:1755";
    attribute(r, site(), log.take(ruleset()));
    REQUIRE(r.flows[0].suggestions.size() == 1);
    CHECK(r.flows[0].suggestions[0].rule == "ip saddr 10.10.0.10 ip daddr 10.20.0.10 tcp sport 1755 accept");
}

TEST_CASE("a packet handed to a queue and never seen again was dropped by that rule", "[rules]") {
    std::vector<Decision> seen;
    TraceAssembler assembler{[](std::uint32_t) { return std::string{"outside"}; },
                             [&](const Decision& d) { seen.push_back(d); }};
    TraceMessage begin;
    begin.id = 7, begin.chain = {"inet", std::string{trace_table_name}, "pre"};
    begin.type = TraceMessage::Type::rule;
    begin.packet = Packet{};
    begin.packet->protocol = "tcp";
    assembler.feed(begin);
    TraceMessage queued;
    queued.id = 7, queued.chain = forward, queued.handle = 6;
    queued.type = TraceMessage::Type::rule;
    queued.verdict = TraceMessage::Verdict::queue;
    assembler.feed(queued);
    assembler.flush();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].fate == Decision::Fate::dropped);
    CHECK(seen[0].handle == 6);
}

TEST_CASE("rules as commands of their own", "[rules]") {
    CHECK(as_command("accept", Dialect::nft, "inet filter forward", "insert") ==
          "insert rule inet filter forward accept");
    CHECK(as_command("-A FORWARD -j ACCEPT", Dialect::iptables, "ip filter FORWARD", "insert") ==
          "-I FORWARD -j ACCEPT");
    CHECK(as_command("accept", Dialect::nft, "inet filter forward", "") == "accept");
}

TEST_CASE("suggested rules in both languages", "[rules]") {
    scenario::Leg leg;
    leg.protocol = scenario::Protocol::tcp;
    leg.source_address = *Ipv4::from("10.20.0.10"), leg.destination_address = *Ipv4::from("10.10.0.10");
    leg.destination_ports = {{135, 135}, {3001, 3010}};
    CHECK(accept_rule(leg, Dialect::nft, "forward") ==
          "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport { 135, 3001-3010 } accept");
    CHECK(accept_rule(leg, Dialect::iptables, "FORWARD") ==
          "-A FORWARD -s 10.20.0.10/32 -d 10.10.0.10/32 -p tcp -m multiport --dports 135,3001:3010 -j ACCEPT");
    leg.destination_ports = {{80, 80}};
    CHECK(accept_rule(leg, Dialect::iptables, "FORWARD") ==
          "-A FORWARD -s 10.20.0.10/32 -d 10.10.0.10/32 -p tcp -m tcp --dport 80 -j ACCEPT");
    leg.protocol = scenario::Protocol::igmp;
    leg.destination_ports = {};
    CHECK(accept_rule(leg, Dialect::nft, "forward") == "ip saddr 10.20.0.10 ip protocol igmp accept");
    CHECK(accept_rule(leg, Dialect::iptables, "INPUT") == "-A INPUT -s 10.20.0.10/32 -p igmp -j ACCEPT");
}

namespace {

TraceMessage message(std::uint32_t id, std::string table, std::string chain, TraceMessage::Type type,
                     TraceMessage::Verdict verdict, std::uint64_t handle, bool head) {
    TraceMessage made;
    made.id = id, made.chain = {"inet", std::move(table), std::move(chain)};
    made.type = type, made.verdict = verdict, made.handle = handle;
    if (head) {
        made.packet.emplace();
        made.packet->protocol = "tcp", made.packet->source = *Ipv4::from("10.20.0.10");
        made.packet->destination = *Ipv4::from("10.10.0.10"), made.packet->destination_port = 80;
        made.in = 1;
    }
    return made;
}

}  // namespace

TEST_CASE("a packet whose messages may be missing decides nothing", "[rules]") {
    using Type = TraceMessage::Type;
    using Kind = TraceMessage::Verdict;
    std::vector<Decision> done;
    TraceAssembler assembler{[](std::uint32_t) { return std::string{"fw-out"}; },
                             [&](const Decision& decision) { done.push_back(decision); }};
    const auto begin = [&](std::uint32_t id) {
        assembler.feed(message(id, "wmlab_trace", "pre", Type::rule, Kind::returned, 1, true));
    };
    const auto accept = [&](std::uint32_t id) {
        assembler.feed(message(id, "filter", "forward", Type::rule, Kind::accept, 7, true));
    };
    const auto leave = [&](std::uint32_t id) {
        assembler.feed(message(id, "wmlab_trace", "post", Type::policy, Kind::accept, 0, true));
    };
    begin(1), accept(1), leave(1);  // before anything was lost
    begin(2);
    assembler.doubt();
    leave(2);                       // that a rule accepted it has been lost
    begin(3), accept(3), leave(3);  // while messages may still be missing
    begin(4);
    assembler.settle();
    leave(4);  // of a packet that began before the queue was empty
    begin(5), accept(5), leave(5);
    REQUIRE(done.size() == 5);
    CHECK(done[0].complete);
    CHECK_FALSE(done[1].complete);
    CHECK_FALSE(done[2].complete);
    CHECK_FALSE(done[3].complete);
    CHECK(done[4].complete);
    CHECK(done[4].handle == 7);
}

TEST_CASE("after a loss the rules' own counters name a rule where they leave no doubt", "[rules]") {
    const auto counted = [](std::string_view rule, unsigned packets) {
        const std::string text =
            R"({"nftables": [{"table": {"family": "inet", "name": "filter", "handle": 1}},
              {"chain": {"family": "inet", "table": "filter", "name": "forward", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
              {"rule": {"family": "inet", "table": "filter", "chain": "forward", "handle": 4, "expr": [)" +
            std::string{rule} + R"({"counter": {"packets": )" + std::to_string(packets) +
            R"(, "bytes": 0}}, {"drop": null}]}}]})";
        return Ruleset::parse(text, "", Source{});
    };
    const std::string port_80 =
        R"({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}}, )";
    const std::string other = R"({"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 5}}, )";
    struct Row {
        std::string name, rule;
        unsigned after;
        bool named;
    };
    const auto row = GENERATE_COPY(values<Row>({{"it matches and has counted", port_80, 3, true},
                                                {"it has counted nothing", port_80, 0, false},
                                                {"it may not match", other, 3, false}}));
    DYNAMIC_SECTION(row.name) {
        DecisionLog log;
        auto whole = decision("tcp", "10.20.0.11", 4000, "10.10.0.10", 81, Decision::Fate::forwarded, 0);
        whole.packet.out = "fw-in";
        log.add(whole);
        auto broken = decision("tcp", "10.20.0.10", 4000, "10.10.0.10", 80, Decision::Fate::unfinished, 0);
        broken.complete = false;
        broken.arrived.tcp_flags = 2;
        log.add(broken);
        const auto before = counted(row.rule, 0), after = counted(row.rule, row.after);
        const Counted counters{after, {}};
        const auto events = log.take(before, false, &counters);
        const auto unknown = std::ranges::find_if(
            events, [](const auto& event) { return event.fields.at("fate").as_string() == "unknown"; });
        REQUIRE(unknown != events.end());
        CHECK(unknown->fields.contains("rule") == row.named);

        // Of another packet the trace says nothing: the firewall's interface has seen it.
        Packet untold;
        untold.in = "fw-out", untold.out = "fw-in";
        untold.source = *scenario::Ipv4::from("10.20.0.12"), untold.destination = *scenario::Ipv4::from("10.10.0.10");
        untold.protocol = "tcp", untold.source_port = 4001, untold.destination_port = 80, untold.tcp_flags = 2;
        DecisionLog empty;
        const Counted with_arrival{after, {untold}};
        const auto told = empty.take(before, false, &with_arrival);
        REQUIRE(told.size() == (row.named ? 1 : 0));
        if (row.named) CHECK(told.front().fields.at("source").as_string() == "10.20.0.12:4001");
    }
}
