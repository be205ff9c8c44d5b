#include "lab/verdict/comparison.hpp"

#include "lab/report/renderers.hpp"
#include "lab/verdict/exit_code.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

FlowResult flow(const std::string& id, Verdict verdict, Verdict expected = Verdict::pass) {
    FlowResult result;
    result.id = id;
    result.type = "mms-tcp";
    result.verdict = verdict;
    result.expected.verdict = expected;
    result.as_expected = verdict == expected;
    return result;
}

Report report(std::vector<FlowResult> flows) {
    Report made;
    made.ruleset = "old.nft";
    made.flows = std::move(flows);
    return made;
}

}  // namespace

TEST_CASE("what a change does to a flow", "[gate]") {
    struct Row {
        const char* what;
        Verdict before, after, expected;
        Change change;
        bool stops;
    };
    const auto row = GENERATE(values<Row>({
        {"worked and is blocked", Verdict::pass, Verdict::blocked, Verdict::pass, Change::broken, true},
        {"worked and fails", Verdict::pass, Verdict::failed, Verdict::pass, Change::broken, true},
        {"worked and is degraded", Verdict::pass, Verdict::degraded, Verdict::pass, Change::worse, true},
        {"was degraded and is blocked", Verdict::degraded, Verdict::blocked, Verdict::pass, Change::broken, true},
        {"was open and is shut, as wanted", Verdict::pass, Verdict::blocked, Verdict::blocked, Change::newly_closed, false},
        {"was blocked and works", Verdict::blocked, Verdict::pass, Verdict::pass, Change::repaired, false},
        {"was degraded and works", Verdict::degraded, Verdict::pass, Verdict::pass, Change::repaired, false},
        {"was shut as wanted and is open", Verdict::blocked, Verdict::pass, Verdict::blocked, Change::newly_open, false},
        {"works as before", Verdict::pass, Verdict::pass, Verdict::pass, Change::unchanged, false},
        {"is blocked as before", Verdict::blocked, Verdict::blocked, Verdict::pass, Change::unchanged, false},
        {"is blocked another way", Verdict::blocked, Verdict::failed, Verdict::pass, Change::unchanged, false},
        {"had no verdict", Verdict::inconclusive, Verdict::blocked, Verdict::pass, Change::unknown, false},
        {"has no verdict", Verdict::pass, Verdict::inconclusive, Verdict::pass, Change::unknown, false},
    }));
    INFO(row.what);
    const auto comparison =
        compare(report({flow("one", row.before, row.expected)}), report({flow("one", row.after, row.expected)}));
    CHECK(text(comparison.flows.at(0).change) == text(row.change));
    CHECK(stops(comparison) == row.stops);
}

TEST_CASE("a flow that the old run does not have is unknown", "[gate]") {
    const auto comparison = compare(report({}), report({flow("one", Verdict::pass)}));
    CHECK(comparison.flows.at(0).change == Change::unknown);
    CHECK(comparison.flows.at(0).before.empty());
}

TEST_CASE("every report for people and programs names what is broken and what is newly open", "[gate]") {
    const auto before = report({flow("stream", Verdict::pass), flow("telnet", Verdict::blocked, Verdict::blocked),
                                flow("web", Verdict::pass)});
    auto after = report({flow("stream", Verdict::blocked), flow("telnet", Verdict::pass, Verdict::blocked),
                         flow("web", Verdict::pass)});
    after.baseline = compare(before, after);
    CHECK_THAT(render_text(after, {}),
               contains("broken: stream: pass -> blocked") && contains("newly open: telnet: blocked -> pass") && contains("unchanged: 1 flow\n"));
    CHECK_THAT(render_markdown(after, {}), contains("**broken**: stream (pass → blocked)") && contains("**newly open**: telnet (blocked → pass)"));
    CHECK_THAT(render_junit(after, {}), contains("broken by the change: before it was pass") && contains("newly open by the change: before it was blocked"));
    CHECK_THAT(render_json(after, {}),
               contains("\"broken\": [\"stream\"]") && contains("\"newly_open\": [\"telnet\"]") && contains("\"unchanged\": [\"web\"]"));
}

TEST_CASE("of two exit codes the worse one counts, whichever comes first", "[verdict]") {
    const std::vector<int> from_best{0, 4, 1, 2, 3, 130};
    for (std::size_t one = 0; one < from_best.size(); ++one)
        for (std::size_t other = 0; other < from_best.size(); ++other)
            CHECK(worse(from_best[one], from_best[other]) == from_best[std::max(one, other)]);
}

TEST_CASE("the exit code of a comparison: what stops the change, then what could not be tried", "[verdict]") {
    Comparison comparison;
    CHECK(exit_code(comparison) == 0);
    comparison.not_tried.emplace_back("a mark");
    CHECK(exit_code(comparison) == 4);
    FlowChange broken;
    broken.change = Change::broken;
    comparison.flows.push_back(broken);
    CHECK(exit_code(comparison) == 1);
}
