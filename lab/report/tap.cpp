// Test Anything Protocol, version 13, with a YAML block for each flow that is not as expected.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

std::string yaml_quoted(std::string_view text) {  // a YAML double-quoted scalar
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n') {
            out += "\\n";
        } else {
            out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
    }
    return out + "\"";
}

}  // namespace

std::string render_tap(const Report& report, const Style&) {
    std::string openings;
    auto number = report.flows.size();
    for (const auto& opened : report.baseline ? report.baseline->opened : std::vector<Opened>{})
        if (opened.counts()) {
            auto words = fmt::format("the change opens {}, {}; {}", where_words(opened), what_words(opened), by_words(opened));
            std::ranges::replace(words, '#', ' ');
            openings += fmt::format("not ok {} - {}\n", ++number, words);
        }
    std::string out = fmt::format("TAP version 13\n1..{}\n", number);
    out += fmt::format("# scenario: {}\n# ruleset: {}\n", report.scenario, ruleset_words(report));
    for (const auto& [name, value] : identity_words(report.identity)) out += fmt::format("# {}: {}\n", name, value);
    for (std::size_t i = 0; i < report.flows.size(); ++i) {
        const auto& flow = report.flows[i];
        // '#' starts a directive in TAP; no id, leg or host name can hold one.
        out += fmt::format("{} {} - {} {} -> {}: {}\n", flow.as_expected ? "ok" : "not ok", i + 1, flow.id, flow.from,
                           flow.to, headline(flow));
        const auto change = changed_words(report, flow.id);
        if (flow.as_expected && (flow.transport.empty() && change.empty())) continue;
        if (flow.as_expected) {
            out += "  ---\n";
            if (!flow.transport.empty()) out += fmt::format("  transport: {}\n", yaml_quoted(flow.transport));
            if (!change.empty()) out += fmt::format("  change: {}\n", yaml_quoted(change));
            out += "  ...\n";
            continue;
        }
        out += fmt::format("  ---\n  verdict: {}\n  expected: {}\n", text(flow.verdict),
                           yaml_quoted(expected_words(flow.expected)));
        if (!flow.leg.empty()) out += fmt::format("  leg: {}\n", flow.leg);
        if (!why(flow).empty()) out += fmt::format("  cause: {}\n", why(flow));
        if (!flow.transport.empty()) out += fmt::format("  transport: {}\n", yaml_quoted(flow.transport));
        if (!change.empty()) out += fmt::format("  change: {}\n", yaml_quoted(change));
        if (flow.rule) out += fmt::format("  rule: {}\n", yaml_quoted(rule_words(*flow.rule)));
        out += fmt::format("  explanation: {}\n  ...\n", yaml_quoted(account_words(flow)));
    }
    out += openings;
    if (report.baseline) {
        out += fmt::format("# change, against {}\n", report.baseline->ruleset);
        for (const auto& words : changes_words(*report.baseline)) out += fmt::format("# {}\n", words);
    }
    for (const auto& load : report.loads) out += fmt::format("# load: {}\n", load_paragraph(load));
    if (report.coverage)
        for (const auto& use : *report.coverage) out += fmt::format("# {}: {}\n", rule_words(use.rule), use_words(use));
    return out + fmt::format("# {}\n", summary_words(report));
}

}  // namespace wmlab::lab
