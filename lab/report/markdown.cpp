// Markdown, for a comment on a pull request.
#include <spdlog/fmt/fmt.h>

#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace {

std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|' || c == '<' || c == '*' || c == '_' || c == '`' || c == '[' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

}  // namespace

std::string render_markdown(const Report& report, const Style&) {
    std::string out = fmt::format("## wmlab: {}\n\n**{}**\n\nRuleset: {}\n", cell(report.scenario),
                                  summary_words(report), cell(ruleset_words(report)));
    for (const auto& note : report.notes) out += fmt::format("\n> {}\n", cell(note));
    if (report.flows.empty() && !report.baseline) return out + "\nNo flow was tested.\n";
    if (report.baseline) {
        out += fmt::format("\n### What the change does\n\nAgainst {}:\n\n", cell(report.baseline->ruleset));
        for (const auto change : changes_told) {
            const auto ids = of_change(*report.baseline, change);
            if (change == Change::unchanged) {
                out += fmt::format("- unchanged: {} flow{}\n", ids.size(), ids.size() == 1 ? "" : "s");
                continue;
            }
            for (const auto& id : ids) {
                const auto& flow = *change_of(report, id);
                out += fmt::format("- **{}**: {} ({} → {}{})\n", change_word(change), cell(id),
                                   cell(flow.before.empty() ? "not run" : flow.before), cell(flow.after),
                                   flow.as_expected ? ", as expected" : "");
                for (const auto& difference : flow.differences) out += fmt::format("  - {}\n", cell(difference));
            }
        }
        for (const auto* list : {&report.baseline->opened, &report.baseline->closed})
            for (const auto& opened : *list)
                out += fmt::format("- **{}**{}: {}, {}; {}\n", list == &report.baseline->opened ? "opens" : "closes",
                                   opened.accepted.empty() ? "" : fmt::format(" (accepted: {})", cell(opened.accepted)), cell(where_words(opened)), cell(what_words(opened)),
                                   cell(by_words(opened)));
        for (const auto& left : report.baseline->not_tried) out += fmt::format("- not tried: {}\n", cell(left));
    }
    if (report.flows.empty()) return out;
    out += "\n| | flow | type | from → to | verdict | leg | cause |\n|---|---|---|---|---|---|---|\n";
    for (const auto& flow : report.flows) {
        out += fmt::format("| {} | {} | {} | {} → {} | {} | {} | {} |\n",
                           flow.as_expected                        ? "✅"
                           : flow.verdict == Verdict::inconclusive ? "❔"
                                                                   : "❌",
                           cell(flow.id), flow.type, flow.from, flow.to, text(flow.verdict), flow.leg, why(flow));
    }
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        out += fmt::format("\n### {}: {}\n\nExpected {}. {}\n", cell(flow.id), cell(headline(flow)),
                           cell(expected_words(flow.expected)), cell(flow.explanation));
        std::string points;
        if (flow.rule) points += fmt::format("- rule: `{}`\n", rule_words(*flow.rule));
        if (flow.near_miss) {
            points +=
                fmt::format("- almost: `{}`; {}\n", rule_words(flow.near_miss->rule), cell(flow.near_miss->differs));
        }
        if (!flow.change.empty()) points += fmt::format("- must change: {}\n", flow.change);
        for (const auto& suggestion : flow.suggestions) points += fmt::format("- would help: `{}`\n", suggestion.rule);
        if (flow.suggestion_proven)
            points += *flow.suggestion_proven ? "- proven: with it the flow passes\n"
                                              : "- tried: with it the flow still does not pass\n";
        for (const auto& leg : flow.legs) {
            for (const auto& sentence : leg.evidence) points += fmt::format("- {}: {}\n", leg.name, cell(sentence));
        }
        if (!points.empty()) out += "\n" + points;
    }
    return out;
}

}  // namespace wmlab::lab
