#include "lab/verdict/expectation.hpp"

#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

Report one_flow() {
    Report report;
    auto& flow = report.flows.emplace_back();
    flow.id = "one";
    flow.to = "media";
    flow.verdict = Verdict::pass;
    flow.expected.verdict = Verdict::pass;
    LegResult leg;
    leg.name = "control";
    leg.source = "10.20.0.10:4000";
    leg.source_seen = "203.0.113.1:4000";
    leg.milliseconds = 30;
    leg.rule = RuleRef{"/etc/site/rules.nft", 7, "tcp dport 1755 accept", "inet filter forward"};
    flow.legs.push_back(leg);
    leg.name = "media";
    leg.milliseconds = 80;
    leg.rule.reset();
    flow.legs.push_back(leg);
    flow.media.emplace().loss = 0.02;
    return report;
}

}  // namespace

TEST_CASE("a flow is as expected when all that is measured is", "[expectation]") {
    struct Row {
        const char* what;
        void (*expect)(FlowResult&);
        bool as_expected;
    };
    const auto row = GENERATE(values<Row>({
        {"nothing more", [](FlowResult&) {}, true},
        {"the rule that let it through", [](FlowResult& f) { f.expected.rule = {"rules.nft", 7}; }, true},
        {"by the end of its path", [](FlowResult& f) { f.expected.rule = {"site/rules.nft", 7}; }, true},
        {"another file with the same end of its name", [](FlowResult& f) { f.expected.rule = {"ules.nft", 7}; }, false},
        {"another line", [](FlowResult& f) { f.expected.rule = {"rules.nft", 8}; }, false},
        {"a rule where it was blocked",
         [](FlowResult& f) {
             f.verdict = *(f.expected.verdict = Verdict::blocked);
             f.rule = RuleRef{"rules.nft", 9, "drop", ""};
             f.expected.rule = {"rules.nft", 9};
         },
         true},
        {"a rule that only let a part through, where it was blocked",
         [](FlowResult& f) {
             f.verdict = *(f.expected.verdict = Verdict::blocked);
             f.rule = RuleRef{"rules.nft", 9, "drop", ""};
             f.expected.rule = {"rules.nft", 7};
         },
         false},
        {"the address it is seen as", [](FlowResult& f) { f.expected.seen_as = scenario::Ipv4::from("203.0.113.1"); }, true},
        {"its own address, which is hidden", [](FlowResult& f) { f.expected.seen_as = scenario::Ipv4::from("10.20.0.10"); }, false},
        {"its own address, where nothing translates",
         [](FlowResult& f) {
             f.legs[0].source_seen.clear();
             f.expected.seen_as = scenario::Ipv4::from("10.20.0.10");
         },
         true},
        {"less loss than is allowed", [](FlowResult& f) { f.expected.loss = 0.03; }, true},
        {"as much loss as is not allowed", [](FlowResult& f) { f.expected.loss = 0.02; }, false},
        {"no media at all",
         [](FlowResult& f) {
             f.media.reset();
             f.expected.loss = 0.5;
         },
         false},
        {"set up in time", [](FlowResult& f) { f.expected.setup_p95 = scenario::milliseconds{111}; }, true},
        {"set up too late", [](FlowResult& f) { f.expected.setup_p95 = scenario::milliseconds{110}; }, false},
    }));
    INFO(row.what);
    auto report = one_flow();
    row.expect(report.flows[0]);
    hold_against_expectations(report);
    CHECK(report.flows[0].as_expected == row.as_expected);
    CHECK(report.flows[0].unmet.empty() == row.as_expected);
    CHECK(report.summary.unexpected == (row.as_expected ? 0 : 1));
    hold_against_expectations(report);  // again comes to the same
    CHECK(report.flows[0].unmet.empty() == row.as_expected);
    CHECK(report.summary.flows == 1);
}

TEST_CASE("the 95th percentile is of all instances of a flow", "[expectation]") {
    const auto with_late = [](int late) {
        Report report;
        for (int i = 0; i < 100; ++i) {
            auto flow = one_flow().flows[0];
            flow.id = (i % 2 == 0 ? "many[anna->media]#" : "many#") + std::to_string(i);
            flow.expected.setup_p95 = scenario::milliseconds{200};
            if (i < late) flow.legs[0].milliseconds = 900;
            report.flows.push_back(flow);
        }
        hold_against_expectations(report);
        return report.summary;
    };
    CHECK(with_late(5).as_expected == 100);
    CHECK(with_late(6).unexpected == 100);
}

TEST_CASE("of a load all players together are held against what is expected", "[expectation]") {
    struct Row {
        double loss, p95;  // p95 0: too few were set up
        bool as_expected;
    };
    const auto row = GENERATE(values<Row>({{0.009, 199, true}, {0.01, 199, false}, {0.009, 200, false}, {0, 0, false}}));
    Report report;
    for (int i = 0; i < 3; ++i) {
        auto flow = one_flow().flows[0];  // whose own loss and legs would be too much
        flow.id = "crowd#" + std::to_string(i + 1);
        flow.load = "crowd";
        flow.expected.loss = 0.01;
        flow.expected.setup_p95 = scenario::milliseconds{200};
        flow.legs[0].milliseconds = 900;
        report.flows.push_back(flow);
    }
    auto& load = report.loads.emplace_back();
    load.load = "crowd";
    load.players = 3, load.packets = 1000;
    load.loss = row.loss;
    if (row.p95 > 0) load.setup_p95 = row.p95;
    hold_against_expectations(report);
    CHECK(report.summary.as_expected == (row.as_expected ? 3 : 0));
    for (const auto& flow : report.flows) CHECK(flow.unmet.empty() == row.as_expected);
}
