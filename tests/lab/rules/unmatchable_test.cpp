#include "lab/rules/unmatchable.hpp"

#include "tests/catch.hpp"

using namespace wmlab::lab::rules;
using wmlab::scenario::Ipv4;

namespace {

// One rule after a chain's definition, both as nft's JSON has them.
Ruleset with(const std::string& expr, const std::string& chain = R"("type":"filter","hook":"forward","prio":0)") {
    const auto listed =
        R"({"nftables":[{"chain":{"family":"inet","table":"t","name":"c","handle":1,"policy":"accept",)" + chain +
        R"(}},{"rule":{"family":"inet","table":"t","chain":"c","handle":2,"expr":[)" + expr +
        R"(]}},{"rule":{"family":"inet","table":"t","chain":"c","handle":3,"expr":[)"
        R"({"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":"192.0.2.1"}},{"drop":null}]}}]})";
    return Ruleset::parse(listed, "", {});
}

std::string field(const std::string& which, const std::string& right) {
    return R"({"match":{"op":"==","left":{"payload":{"protocol":"ip","field":")" + which + R"("}},"right":)" + right +
           "}}";
}

std::vector<std::uint64_t> left_out(const Ruleset& ruleset) {
    std::vector<Packet> probes;
    for (const auto* protocol : {"tcp", "udp"})
        for (const bool back : {false, true}) {
            Packet probe;
            probe.in = "fw-out", probe.out = "fw-in";
            probe.source = *Ipv4::from("10.20.0.10"), probe.destination = *Ipv4::from("10.10.0.10");
            probe.protocol = protocol;
            probes.push_back(back ? probe.reversed() : probe);
        }
    std::vector<std::uint64_t> handles;
    for (const auto* rule : unmatchable(ruleset, probes)) handles.push_back(rule->handle);
    return handles;
}

}  // namespace

TEST_CASE("which rules no probe can match", "[rules]") {
    using Handles = std::vector<std::uint64_t>;
    const std::string elsewhere = field("saddr", R"("192.0.2.7")"), here = field("saddr", R"("10.20.0.10")");
    const std::string accept = R"(,{"accept":null})";
    const std::string port =
        R"({"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":80}})";
    const std::string update =
        R"({"set":{"op":"update","elem":{"payload":{"protocol":"ip","field":"saddr"}},"set":"@s"}})";
    struct Row {
        std::string name, expr;
        Handles expected;  // 3 is always one
    };
    const auto row = GENERATE_COPY(values<Row>({
        {"another source", elsewhere + accept, {2, 3}},
        {"another source, of a net", field("daddr", R"({"prefix":{"addr":"192.0.2.0","len":24}})") + accept, {2, 3}},
        {"a source that one probe has", here + accept, {3}},
        {"an interface that no probe has",
         R"({"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"dmz*"}})" + accept,
         {2, 3}},
        {"a port is what probes differ by", port + accept, {3}},
        {"an address behind a port", port + "," + elsewhere + accept, {2, 3}},
        {"an address behind a statement: too late", update + "," + elsewhere + accept, {3}},
        {"a named set may change", field("saddr", R"("@s")") + accept, {3}},
        {"a mark changes no address", R"({"mangle":{"key":{"meta":{"key":"mark"}},"value":1}})", {3}},
        {"an address that is set",
         R"({"mangle":{"key":{"payload":{"protocol":"ip","field":"saddr"}},"value":"192.0.2.7"}})",
         {}},
        {"a translation that no probe meets", elsewhere + R"(,{"dnat":{"addr":"10.10.0.11"}})", {2, 3}},
        {"a translation that probes meet", here + R"(,{"dnat":{"addr":"10.10.0.11"}})", {}},
        {"what is not known", R"({"flow":{"op":"add","flowtable":"@f"}})", {}},
    }));
    INFO(row.name);
    CHECK(left_out(with(row.expr)) == row.expected);
}

TEST_CASE("rules of chains that no probe goes through stay, sources translated last change nothing", "[rules]") {
    using Handles = std::vector<std::uint64_t>;
    const std::string masquerade = R"({"masquerade":null})";
    CHECK(left_out(with(R"({"accept":null})", R"("type":"filter","hook":"input","prio":0)")) == Handles{});
    CHECK(left_out(with(masquerade, R"("type":"nat","hook":"postrouting","prio":100)")) == Handles{3});
    CHECK(left_out(with(masquerade, R"("type":"nat","hook":"prerouting","prio":-100)")) == Handles{});
}
