// Workflow commands of GitHub Actions: annotations at the scenario's line or, where known, at the rule's.
#include <spdlog/fmt/fmt.h>

#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

std::string escaped(std::string_view text, bool property) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '%':
                out += "%25";
                break;
            case '\r':
                out += "%0D";
                break;
            case '\n':
                out += "%0A";
                break;
            case ':':
                out += property ? "%3A" : ":";
                break;
            case ',':
                out += property ? "%2C" : ",";
                break;
            default:
                out += c;
        }
    }
    return out;
}

}  // namespace

std::string render_github(const Report& report, const Style&) {
    std::string out;
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        const auto change = changed_words(report, flow.id);
        const auto& file = flow.rule && !flow.rule->file.empty() ? flow.rule->file : report.file;
        const auto line = flow.rule && flow.rule->line != 0 ? flow.rule->line : flow.line;
        std::string properties;
        if (!file.empty()) properties += fmt::format("file={},", escaped(file, true));
        if (line != 0) properties += fmt::format("line={},", line);
        properties += fmt::format("title={}", escaped(fmt::format("{}: {}", flow.id, headline(flow)), true));
        out += fmt::format("::{} {}::{}\n", says_nothing(flow.verdict) ? "warning" : "error", properties,
                           escaped(fmt::format("Expected {}. {}{}", expected_words(flow.expected), account_words(flow),
                                               change.empty() ? "" : "\n" + change),
                                   false));
    }
    for (const auto& opened : report.baseline ? report.baseline->opened : std::vector<Opened>{}) {
        if (!opened.counts()) continue;
        std::string properties;
        if (opened.rule && !opened.rule->file.empty())
            properties = fmt::format("file={},line={},", escaped(opened.rule->file, true), opened.rule->line);
        out += fmt::format("::{} {}title=the change opens something::{}\n", opened.proven ? "error" : "warning", properties,
                           escaped(fmt::format("{}, {}; {}", where_words(opened), what_words(opened), by_words(opened)), false));
    }
    for (const auto& flow : report.baseline ? report.baseline->flows : std::vector<FlowChange>{})
        if (flow.change == Change::worse && !flow.explained)
            out += fmt::format("::error title={}::{}\n", escaped(flow.id + " is worse", true), escaped(change_words(flow), false));
    // One more annotation has the rest: there may be ten of a kind.
    auto last = summary_words(report) + "\n";
    if (report.baseline) {
        last += fmt::format("change, against {}\n", report.baseline->ruleset);
        for (const auto& words : changes_words(*report.baseline)) last += words + "\n";
    }
    for (const auto& flow : report.flows)
        last += fmt::format("{}{}: {}{}\n", flow.as_expected ? "" : "! ", flow.id, headline(flow),
                            flow.transport.empty() ? "" : " over " + flow.transport);
    for (const auto& load : report.loads) last += fmt::format("load: {}\n", load_paragraph(load));
    if (report.coverage)
        for (const auto& use : *report.coverage) last += fmt::format("{}: {}\n", rule_words(use.rule), use_words(use));
    last += identity_line(report.identity);
    return out + fmt::format("::notice title=wmlab::{}\n", escaped(last, false));
}

}  // namespace wmlab::lab
