#include "lab/rules/coverage.hpp"

#include <boost/json.hpp>

#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;
namespace json = boost::json;

namespace {

evidence::Event trace(json::object fields) {
    evidence::Event event;
    event.event = evidence::What::trace;
    event.fields = std::move(fields);
    return event;
}

json::object rule_of(int line, int packets) {
    return {
        {"file", "fw.nft"}, {"line", line}, {"text", "accept"}, {"chain", "inet filter forward"}, {"packets", packets}};
}

json::object row(const char* fate, const char* protocol, const char* source, const char* destination,
                 json::array steps) {
    return {{"fate", fate},
            {"protocol", protocol},
            {"source", source},
            {"destination", destination},
            {"steps", std::move(steps)}};
}

LegResult leg(const char* name, const char* protocol, const char* source, const char* destination, Verdict verdict) {
    LegResult result;
    result.name = name, result.protocol = protocol, result.source = source, result.destination = destination;
    result.verdict = verdict;
    return result;
}

}  // namespace

TEST_CASE("coverage: a rule is needed by the flows whose packets it lets go, or stops as they should be", "[rules]") {
    Report report;
    FlowResult works, shut, broken;
    works.id = "works", works.verdict = Verdict::pass;
    works.legs = {leg("control", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", Verdict::pass)};
    shut.id = "shut", shut.as_expected = true;
    shut.legs = {leg("probe", "tcp", "10.20.0.10:3001", "10.10.0.10:23", Verdict::blocked)};
    broken.id = "broken";
    broken.legs = {leg("probe", "tcp", "10.20.0.10:3002", "10.10.0.10:80", Verdict::blocked)};
    report.flows = {works, shut, broken};
    const std::vector<evidence::Event> events{
        trace({{"rules", json::array{rule_of(4, 9), rule_of(5, 2), rule_of(6, 1), rule_of(7, 3), rule_of(8, 0)}}}),
        trace(row("forwarded", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", {1})),
        trace(row("forwarded", "tcp", "10.10.0.10:1755", "10.20.0.10:3000", {0})),  // the answer
        trace(row("forwarded", "udp", "10.20.0.10:3000", "10.10.0.10:1755", {4})),  // another protocol
        trace(row("dropped", "tcp", "10.20.0.10:3001", "10.10.0.10:23", {2})),
        trace(row("dropped", "tcp", "10.20.0.10:3002", "10.10.0.10:80", {3})),  // not what the scenario wants
    };
    const auto uses = rules::coverage(report, events);
    REQUIRE(uses.size() == 5);
    CHECK(uses[0].rule.line == 4);
    CHECK(uses[0].flows == std::vector<std::string>{"works"});
    CHECK(uses[1].flows == std::vector<std::string>{"works"});
    CHECK(uses[2].flows == std::vector<std::string>{"shut"});
    CHECK(uses[3].use() == Use::hit);
    CHECK(uses[3].packets == 3);
    CHECK(uses[4].use() == Use::never);
}

TEST_CASE("coverage: of several firewalls the steps are those of the own one", "[rules]") {
    Report report;
    FlowResult flow;
    flow.id = "works", flow.verdict = Verdict::pass;
    flow.legs = {leg("control", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", Verdict::pass)};
    report.flows = {flow};
    const auto of = [](const char* box, json::object fields) {
        fields["box"] = box;
        return trace(std::move(fields));
    };
    const std::vector<evidence::Event> events{
        of("near", {{"rules", json::array{rule_of(4, 1), rule_of(5, 1)}}}),
        of("near", row("forwarded", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", {1})),
        of("far", {{"rules", json::array{rule_of(4, 1), rule_of(5, 0), rule_of(6, 1)}}}),
        of("far", row("forwarded", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", {2})),
        of("near", row("forwarded", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", {2})),  // it has no such rule
        of("nobody", row("forwarded", "tcp", "10.20.0.10:3000", "10.10.0.10:1755", {0})),
    };
    const auto uses = rules::coverage(report, events);
    REQUIRE(uses.size() == 5);
    for (std::size_t i = 0; i < uses.size(); ++i) {
        CHECK(uses[i].rule.box == (i < 2 ? "near" : "far"));
        CHECK(uses[i].flows.empty() == (i != 1 && i != 4));
    }
}

TEST_CASE("coverage: a translated leg's answers come with the addresses the far end saw", "[rules]") {
    Report report;
    FlowResult flow;
    flow.id = "published";
    flow.legs = {leg("control", "tcp", "10.20.0.10:3000", "10.20.0.1:1755", Verdict::pass)};
    flow.legs[0].destination_seen = "10.10.0.10:1755";
    report.flows = {flow};
    const std::vector<evidence::Event> events{
        trace({{"rules", json::array{rule_of(4, 1), rule_of(5, 1)}}}),
        trace(row("forwarded", "tcp", "10.20.0.10:3000", "10.20.0.1:1755", {0})),
        trace(row("forwarded", "tcp", "10.10.0.10:1755", "10.20.0.10:3000", {1})),
    };
    for (const auto& use : rules::coverage(report, events)) CHECK(use.use() == Use::needed);
}

TEST_CASE("coverage: the rule that lets an IGMP report in is needed, whatever the report is sent to", "[rules]") {
    Report report;
    FlowResult station;
    station.id = "station", station.verdict = Verdict::pass;
    station.legs = {leg("join", "igmp", "10.20.0.10", "239.1.2.3", Verdict::pass)};
    report.flows = {station};
    const std::vector<evidence::Event> events{
        trace({{"rules", json::array{rule_of(4, 1), rule_of(5, 1)}}}),
        trace(row("unfinished", "igmp", "10.20.0.10", "224.0.0.22", {0})),
        trace(row("unfinished", "igmp", "10.20.0.11", "224.0.0.22", {1})),
    };
    const auto uses = rules::coverage(report, events);
    REQUIRE(uses.size() == 2);
    CHECK(uses[0].use() == Use::needed);
    CHECK(uses[1].use() == Use::hit);
}
