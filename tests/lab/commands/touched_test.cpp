#include "lab/commands/touched.hpp"

#include "tests/catch.hpp"

using namespace wmlab::lab;
using namespace wmlab::lab::commands;

namespace {

RuleUse use(std::string file, unsigned line, std::string chain, std::string text, std::vector<std::string> flows) {
    RuleUse made;
    made.rule = {std::move(file), line, std::move(text), std::move(chain)};
    made.flows = std::move(flows);
    return made;
}

std::string text_with(unsigned lines, unsigned changed = 0, unsigned added_before = 0) {
    std::string text;
    for (unsigned line = 1; line <= lines; ++line) {
        if (line == added_before) text += "new\n";
        text += line == changed ? "changed\n" : "line " + std::to_string(line) + "\n";
    }
    return text;
}

// forward: 5 established, 6 jump outside, 7 tcp 25; outside: 10, 11, 12; an included file: dns
const Covered last{"site.yaml",
                   {use("rules.nft", 5, "inet filter forward", "ct state established accept", {"mail"}),
                    use("rules.nft", 6, "inet filter forward", "jump outside", {"tcp", "http", "web", "ping"}),
                    use("rules.nft", 7, "inet filter forward", "tcp dport 25 accept", {"mail"}),
                    use("rules.nft", 10, "inet filter outside", "tcp dport 1755 accept", {"tcp"}),
                    use("rules.nft", 11, "inet filter outside", "tcp dport 80 accept", {"http"}),
                    use("rules.nft", 12, "inet filter outside", "tcp dport 8080 accept", {"web"}),
                    use("more.nft", 1, "inet filter outside", "udp dport 53 accept", {"dns"})},
                   {{"tcp", 20, true}, {"http", 22, true}, {"web", 25, true}, {"mail", 30, true}, {"dns", 31, true}, {"ping", 33, true}}};

std::string flows_of(const std::optional<std::set<std::string>>& flows) {
    if (!flows) return "all";
    std::string words;
    for (const auto& flow : *flows) words += (words.empty() ? "" : " ") + flow;
    return words;
}

}  // namespace

TEST_CASE("the lines that an edit changes") {
    struct Row {
        std::string before, after;
        Lines lines;
    };
    const std::vector<Row> rows{{"a\nb\nc\n", "a\nx\nc\n", {2, 3}}, {"a\nb\nc\n", "a\nc\n", {2, 3}},   {"a\nc\n", "a\nb\nc\n", {2, 2}},
                                {"", "a\n", {1, 1}},                {"a\n", "", {1, 2}},               {"a\nb\n", "x\nb\n", {1, 2}},
                                {"a\nb", "a\nb\nc\n", {3, 3}},      {"a\na\na\n", "a\na\n", {3, 4}},   {"a\nb\nc\nd\n", "x\nb\nc\ny\n", {1, 5}}};
    for (const auto& row : rows) {
        INFO(row.before << " -> " << row.after);
        CHECK(changed_lines(row.before, row.after) == row.lines);
    }
}

TEST_CASE("the flows that an edit of a ruleset touches") {
    struct Row {
        unsigned changed, added_before;
        std::string flows;
    };
    const std::vector<Row> rows{
        {12, 0, "dns ping web"},       // the last rule of a chain, what another file adds, and what only goes through the chain
        {11, 0, "dns http ping web"},  // and what is decided behind it
        {0, 11, "dns http ping web"},
        {7, 0, "mail"},                // behind the jump
        {0, 8, "all"},                 // behind the last rule: which flows no rule decides is not known
        {3, 0, "all"},                 // outside of chains: a set, a variable
        {1, 0, "all"},
    };
    for (const auto& row : rows) {
        INFO(row.changed << ", " << row.added_before);
        CHECK(flows_of(touched({{"rules.nft", text_with(14), text_with(14, row.changed, row.added_before)}}, last)) == row.flows);
    }
}

TEST_CASE("what was not as expected, and what no rule is known for, is run first too") {
    const Edit edit{"rules.nft", text_with(14), text_with(14, 7)};
    auto before = last;
    before.flows[1].as_expected = false;
    CHECK(flows_of(touched({edit}, before)) == "http mail");
    before.flows.push_back({"unknown", 40, true});
    CHECK(flows_of(touched({edit}, before)) == "http mail unknown");
    CHECK(flows_of(touched({}, before)) == "all");
    CHECK(flows_of(touched({edit, {"other.nft", "a\n", "b\n"}}, before)) == "all");
    before.uses.clear();
    CHECK(flows_of(touched({edit}, before)) == "all");
}

TEST_CASE("the flows that an edit of a scenario touches") {
    struct Row {
        unsigned changed, added_before;
        std::string flows;
    };
    for (const auto& row : std::vector<Row>{{20, 0, "tcp"}, {21, 0, "tcp"}, {22, 0, "http"}, {29, 0, "web"}, {31, 0, "dns"}, {0, 23, "http"},
                                            {19, 0, "all"}, {2, 0, "all"}, {33, 0, "ping"}, {35, 0, "all"}}) {
        INFO(row.changed << ", " << row.added_before);
        CHECK(flows_of(touched({{"site.yaml", text_with(40), text_with(40, row.changed, row.added_before)}}, last)) == row.flows);
    }
    auto from_elsewhere = last;
    from_elsewhere.flows[0].line = 0;
    CHECK(flows_of(touched({{"site.yaml", text_with(40), text_with(40, 22)}}, from_elsewhere)) == "all");
}
