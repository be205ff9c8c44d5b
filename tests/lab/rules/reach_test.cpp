#include "lab/rules/reach.hpp"

#include <boost/json.hpp>

#include "lab/rules/deciders.hpp"
#include "lab/rules/placing.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
using wmlab::scenario::Ipv4;

namespace {

// A firewall as tools write them: jumps to chains that are empty, that log, that reject, and one that accepts.
constexpr std::string_view file = R"(table ip filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    jump logging
    tcp dport 80 jump web
    meta mark vmap { 1 : jump web, 2 : drop }
    log prefix "refused: "
    goto reject
  }
  chain logging {
    limit rate 3/minute log
  }
  chain web {
    jump empty
    ip saddr 10.20.0.10 accept
  }
  chain reject {
    tcp dport 0-65535 reject
    reject
  }
  chain empty {
  }
  chain input {
    type filter hook input priority filter; policy drop;
    jump local
  }
  chain local {
    limit rate 3/minute accept
  }
}
)";
constexpr std::string_view json = R"({"nftables":[
{"chain":{"family":"ip","name":"forward","table":"filter","handle":1,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
{"chain":{"family":"ip","name":"input","table":"filter","handle":2,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
{"chain":{"family":"ip","name":"empty","table":"filter","handle":3}},
{"rule":{"family":"ip","table":"filter","chain":"forward","handle":11,"expr":[{"jump":{"target":"logging"}}]}},
{"rule":{"family":"ip","table":"filter","chain":"forward","handle":12,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":80}},{"jump":{"target":"web"}}]}},
{"rule":{"family":"ip","table":"filter","chain":"forward","handle":13,"expr":[{"vmap":{"key":{"meta":{"key":"mark"}},"data":{"set":[[1,{"jump":{"target":"web"}}],[2,{"drop":null}]]}}}]}},
{"rule":{"family":"ip","table":"filter","chain":"forward","handle":14,"expr":[{"log":{"prefix":"refused: "}}]}},
{"rule":{"family":"ip","table":"filter","chain":"forward","handle":15,"expr":[{"goto":{"target":"reject"}}]}},
{"rule":{"family":"ip","table":"filter","chain":"logging","handle":21,"expr":[{"limit":{"rate":3,"per":"minute"}},{"log":null}]}},
{"rule":{"family":"ip","table":"filter","chain":"web","handle":31,"expr":[{"jump":{"target":"empty"}}]}},
{"rule":{"family":"ip","table":"filter","chain":"web","handle":32,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"10.20.0.10"}},{"accept":null}]}},
{"rule":{"family":"ip","table":"filter","chain":"reject","handle":41,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":{"range":[0,65535]}}},{"reject":null}]}},
{"rule":{"family":"ip","table":"filter","chain":"reject","handle":42,"expr":[{"reject":null}]}},
{"rule":{"family":"ip","table":"filter","chain":"input","handle":51,"expr":[{"jump":{"target":"local"}}]}},
{"rule":{"family":"ip","table":"filter","chain":"local","handle":61,"expr":[{"limit":{"rate":3,"per":"minute"}},{"accept":null}]}}
]})";

Ruleset ruleset() {
    return Ruleset::parse(json, "", read_source("fw.nft", [](const auto&) { return std::string{file}; }));
}
ChainName chain(std::string name) { return {"ip", "filter", std::move(name)}; }

using Verdict = TraceMessage::Verdict;
Decision::Step step(const char* in, std::uint64_t handle, Verdict verdict, const char* target = "") {
    return {chain(in), handle, verdict == Verdict::accept, verdict, target};
}

Packet web_packet(std::uint16_t port, const char* protocol = "tcp") {
    return {"outside", "inside", *Ipv4::from("10.20.0.10"), *Ipv4::from("10.10.0.10"), protocol, 4000, port, "new", 2};
}

}  // namespace

TEST_CASE("effect: what only logs, or leads to nothing, has none", "[rules]") {
    const auto rules = ruleset();
    const auto effect = [&](const char* in, std::uint64_t handle) {
        return has_effect(rules, *rules.rule(chain(in), handle));
    };
    CHECK_FALSE(effect("forward", 11));
    CHECK(effect("forward", 12));
    CHECK(effect("forward", 13));
    CHECK_FALSE(effect("forward", 14));
    CHECK(effect("forward", 15));
    CHECK_FALSE(effect("web", 31));
    CHECK(may_accept(rules, chain("web")));
    CHECK_FALSE(may_accept(rules, chain("reject")));
}

TEST_CASE("effect: a jump is one of a decision's steps only where something happened before it came back", "[rules]") {
    Decision decision;
    decision.steps = {step("forward", 11, Verdict::jump, "logging"), step("logging", 21, Verdict::proceed),
                      step("forward", 12, Verdict::jump, "web"), step("web", 31, Verdict::jump, "empty"),
                      step("web", 32, Verdict::accept)};
    CHECK(effective_steps(ruleset(), decision) == std::vector{false, false, true, false, true});
    decision.steps = {step("forward", 11, Verdict::jump, "logging"), step("forward", 13, Verdict::jump, "web"),
                      step("forward", 14, Verdict::proceed), step("forward", 15, Verdict::go_to, "reject"),
                      step("reject", 41, Verdict::drop)};
    CHECK(effective_steps(ruleset(), decision) == std::vector{false, false, false, true, true});
}

TEST_CASE("ways: chains of the hook input, or behind other ports, are not on a packet's way through", "[rules]") {
    const auto rules = ruleset();
    const Ways ways{rules};
    CHECK(ways.may_come(chain("web"), web_packet(80)));
    CHECK(ways.may_come(chain("web"), web_packet(81)));  // by its mark, of which nothing is known
    CHECK(ways.may_come(chain("reject"), web_packet(81)));
    CHECK_FALSE(ways.may_come(chain("local"), web_packet(81)));
    CHECK_FALSE(ways.may_come(chain("input"), web_packet(81)));
}

TEST_CASE("placing: before the log line, and not in a chain that only stops what it is sent", "[rules]") {
    const auto rules = ruleset();
    Decision decision;
    decision.packet = web_packet(1755, "udp");
    decision.chain = chain("reject"), decision.handle = 42;
    decision.steps = {step("forward", 15, Verdict::go_to, "reject"), step("reject", 42, Verdict::drop)};
    const auto place = stopping_place(rules, decision, rules.rule(chain("reject"), 42));
    CHECK(place.at("chain").as_string() == "ip filter forward");
    CHECK(place.at("line").to_number<unsigned>() == 7);
    // A rule that is about this packet is another matter: it stands where it means to be.
    decision.packet = web_packet(1755);
    decision.steps.back() = step("reject", 41, Verdict::drop);
    CHECK(stopping_place(rules, decision, rules.rule(chain("reject"), 41)).at("chain").as_string() ==
          "ip filter reject");
}
