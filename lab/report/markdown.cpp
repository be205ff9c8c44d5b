// Markdown, for a comment on a pull request.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>

#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

// What others wrote, as text of a paragraph or a table: no markup, no link, nobody is mentioned, no issue referred to.
// The forges look for @name, #12, !12 and addresses behind the markup too: a word joiner, which is not seen, parts
// them.
std::string cell(std::string_view text) {
    constexpr std::string_view markup = "\\`*_{}[]<>|#~&!$^", joiner = "\xe2\x81\xa0";
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto rest = text.substr(i);
        if (markup.find(c) != std::string_view::npos) out += '\\';
        if (c == '\n') {
            out += ' ';
            continue;
        }
        out += c;
        const bool refers = c == '@' || ((c == '#' || c == '!' || c == '$' || c == '%' || c == '~') &&
                                         rest.size() > 1 && std::isalnum(static_cast<unsigned char>(rest[1])));
        if (refers || rest.starts_with("://") || (i >= 2 && text.substr(i - 2).starts_with("www."))) out += joiner;
    }
    return out;
}

// A code span that its text cannot leave: more backticks around it than there are in a row within.
std::string code(std::string_view text) {
    std::size_t longest = 0, run = 0;
    for (const char c : text) longest = std::max(longest, run = c == '`' ? run + 1 : 0);
    const std::string fence(longest + 1, '`');
    const std::string_view blank = longest > 0 || text.empty() ? " " : "";
    return fmt::format("{0}{1}{2}{1}{0}", fence, blank, text);
}

void points_of(std::string& points, const FlowResult& flow) {
    if (flow.rule) points += fmt::format("- rule: {}\n", code(rule_words(*flow.rule)));
    if (flow.near_miss)
        points +=
            fmt::format("- almost: {}; {}\n", code(rule_words(flow.near_miss->rule)), cell(flow.near_miss->differs));
    if (!flow.change.empty()) points += fmt::format("- must change: {}\n", cell(flow.change));
    for (const auto& suggestion : flow.suggestions) {
        points += fmt::format("- would help: {}", code(suggestion.rule));
        if (suggestion.line != 0)
            points += fmt::format(", before {}", code(fmt::format("{}:{}", suggestion.file, suggestion.line)));
        points += "\n";
    }
    if (flow.suggestion_proven)
        points += *flow.suggestion_proven ? "- proven: with it the flow passes\n"
                                          : "- tried: with it the flow still does not pass\n";
    if (flow.icmp) points += fmt::format("- ICMP {}\n", cell(icmp_line(*flow.icmp)));
    for (const auto& leg : flow.legs)
        for (const auto& sentence : leg.evidence) points += fmt::format("- {}: {}\n", cell(leg.name), cell(sentence));
}

void add_happening(std::string& out, const Happening& happening, const std::vector<std::pair<std::string, const Effect*>>& effects) {
    out += fmt::format("- **{}**\n", cell(happening_words(happening)));
    for (const auto& words : effects_words(effects)) out += fmt::format("  - {}\n", cell(words));
    if (effects.empty()) out += "  - no flow was running\n";
}

void add_change(std::string& out, const Report& report) {
    out += fmt::format("\n### What the change does\n\nAgainst {}:\n\n", cell(report.baseline->ruleset));
    for (const auto change : changes_told) {
        const auto ids = of_change(*report.baseline, change);
        if (change == Change::unchanged) {
            out += fmt::format("- unchanged: {} flow{}\n", ids.size(), ids.size() == 1 ? "" : "s");
            continue;
        }
        for (const auto& id : ids) {
            const auto& flow = *change_of(report, id);
            out += fmt::format("- **{}**: {} ({} → {}{})\n", change_word(change), cell(id), cell(flow.before.empty() ? "not run" : flow.before),
                               cell(flow.after), flow.as_expected ? ", as expected" : "");
            for (const auto& difference : flow.differences) out += fmt::format("  - {}\n", cell(difference));
        }
    }
    for (const auto* list : {&report.baseline->opened, &report.baseline->closed})
        for (const auto& opened : *list)
            out += fmt::format("- **{}**{}: {}, {}; {}\n", list == &report.baseline->opened ? "opens" : "closes",
                               opened.accepted.empty() ? "" : fmt::format(" (accepted: {})", cell(opened.accepted)), cell(where_words(opened)),
                               cell(what_words(opened)), cell(by_words(opened)));
    for (const auto& left : report.baseline->not_tried) out += fmt::format("- not tried: {}\n", cell(left));
    if (const auto& live = report.baseline->live) {
        out += "\n### What users notice while the change is made\n\n";
        add_happening(out, live->happening, effects_of(*live));
        for (const auto& note : live->notes) out += fmt::format("- note: {}\n", cell(note));
    }
}

void add_blames(std::string& out, const Report& report) {
    const auto blamed = blames(report);
    if (!blamed.empty()) {
        out += "\n### Not as expected\n\n";
        for (const auto& blame : blamed) {
            std::vector<std::string> ids;
            for (const auto* flow : blame.flows) ids.push_back(flow->id);
            out += fmt::format("- {} flow{}: {}: {}\n", ids.size(), ids.size() == 1 ? "" : "s", code(blame.what),
                               cell(names(ids, 20)));
        }
    }
}

void add_table(std::string& out, const Report& report) {
    out += "\n| | flow | type | from → to | verdict | leg | cause |\n|---|---|---|---|---|---|---|\n";
    for (const auto& flow : report.flows) {
        out += fmt::format("| {} | {} | {} | {} → {} | {} | {} | {} |\n",
                           flow.as_expected                        ? "✅"
                           : says_nothing(flow.verdict) ? "❔"
                                                                   : "❌",
                           cell(flow.id), cell(flow.type), cell(flow.from), cell(flow.to),
                           cell(std::string{text(flow.verdict)} +
                                (flow.transport.empty() ? std::string{} : " over " + flow.transport)),
                           cell(flow.leg), cell(why(flow)));
    }
}

void add_unexpected(std::string& out, const Report& report) {
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        out += fmt::format("\n### {}: {}\n\nExpected {}. {}\n", cell(flow.id), cell(headline(flow)),
                           cell(expected_words(flow.expected)), cell(account_words(flow)));
        if (const auto changed = changed_words(report, flow.id); !changed.empty())
            out += fmt::format("\n{}.\n", cell(changed));
        std::string points;
        points_of(points, flow);
        if (!points.empty()) out += "\n" + points;
    }
}

void add_details(std::string& out, const Report& report) {
    if (report.coverage) {
        out += "\n<details><summary>What each rule did</summary>\n\n";
        for (const auto& use : *report.coverage)
            out += fmt::format("- {}: {}\n", code(rule_words(use.rule)), cell(use_words(use)));
        out += "\n</details>\n";
    }
    if (const auto words = identity_words(report.identity); !words.empty()) {
        out += "\n<details><summary>When, with what and on what</summary>\n\n";
        for (const auto& [name, value] : words) out += fmt::format("- {}: {}\n", cell(name), code(value));
        out += "\n</details>\n";
    }
}

}  // namespace

std::string render_markdown(const Report& report, const Style&) {
    std::string out = fmt::format("## wmlab: {}\n\n**{}**\n\nRuleset: {}\n", cell(report.scenario), summary_words(report), cell(ruleset_words(report)));
    for (const auto& note : report.notes) out += fmt::format("\n> {}\n", cell(note));
    for (const auto& result : anyone_results(report)) out += fmt::format("\n> {}\n", cell(anyone_words(result)));
    for (const auto& load : report.loads) out += fmt::format("\n> {}\n", cell(load_paragraph(load)));
    if (report.flows.empty() && !report.baseline) return out + "\nNo flow was tested.\n";
    if (report.baseline) add_change(out, report);
    if (!report.incidents.empty()) {
        out += "\n### Events\n\n";
        for (std::size_t i = 0; i < report.incidents.size(); ++i) add_happening(out, report.incidents[i], effects_of(report, i));
    }
    add_blames(out, report);
    if (report.flows.empty()) return out;
    add_table(out, report);
    add_unexpected(out, report);
    add_details(out, report);
    return out;
}

}  // namespace wmlab::lab
