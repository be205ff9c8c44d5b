// The ruleset's own text, marked where it decided.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "lab/report/html_parts.hpp"

namespace wmlab::lab {
namespace {

struct Marked {  // what a line of the ruleset has to do with flows, by their numbers
    std::set<std::size_t> stops, near;
    std::map<std::string, std::set<std::size_t>> proposals;  // rules that would help, before this line
    std::string differs;
    const RuleUse* use = nullptr;
};
using Marks = std::map<unsigned, Marked>;

constexpr std::size_t whole_max = 400;  // lines of a file that is shown whole; of others only what is marked
constexpr unsigned around = 3;
constexpr std::size_t links_max = 12;

std::string links(const Report& report, const std::set<std::size_t>& flows) {
    std::string out;
    std::size_t count = 0;
    for (const auto index : flows) {
        if (count++ == links_max) break;
        out += fmt::format("{}<a href=\"#f{}\">{}</a>", out.empty() ? "" : ", ", index,
                           xml_escaped(report.flows[index].id));
    }
    if (flows.size() > links_max) out += fmt::format(" and {} more", flows.size() - links_max);
    return out;
}

Marks marks_of(const Report& report, const std::string& file) {
    Marks marks;
    for (std::size_t i = 0; i < report.flows.size(); ++i) {
        const auto& flow = report.flows[i];
        if (flow.rule && flow.rule->file == file && flow.verdict != Verdict::pass)
            marks[flow.rule->line].stops.insert(i);
        if (flow.as_expected) continue;
        if (flow.near_miss && flow.near_miss->rule.file == file) {
            auto& mark = marks[flow.near_miss->rule.line];
            mark.near.insert(i);
            mark.differs = flow.near_miss->differs;
        }
        for (const auto& suggestion : flow.suggestions)
            if (suggestion.file == file && suggestion.line != 0)
                marks[suggestion.line].proposals[suggestion.rule].insert(i);
    }
    if (report.coverage)
        for (const auto& use : *report.coverage)
            if (use.rule.file == file && use.rule.line != 0) {
                auto& known = marks[use.rule.line].use;
                if (known == nullptr || known->use() == Use::never) known = &use;  // several rules may stand on a line
            }
    marks.erase(0);
    return marks;
}

void line_html(std::string& out, const Report& report, std::size_t file, unsigned number, const std::string& line,
               const Marked* mark) {
    if (mark != nullptr) {
        for (const auto& [rule, flows] : mark->proposals) {
            out += fmt::format(
                "<div class=\"add\"><span class=\"no\">+</span><span class=\"use\">proposed</span>{}</div>\n",
                xml_escaped(rule));
            out += fmt::format("<div class=\"why add\"><span>would help {}</span></div>\n", links(report, flows));
        }
    }
    const auto* const css = mark == nullptr ? "" : !mark->stops.empty() ? "stop" : !mark->near.empty() ? "near" : "";
    std::string use;
    if (mark != nullptr && mark->use != nullptr) use = text(mark->use->use());
    out += fmt::format(
        "<div id=\"L{}-{}\" class=\"{}\"><span class=\"no\">{}</span><span class=\"use\">{}</span>{}</div>\n", file,
        number, css, number, use, xml_escaped(line));
    if (mark == nullptr) return;
    if (!mark->stops.empty())
        out += fmt::format("<div class=\"why stop\"><span>✗ stopped {}</span></div>\n", links(report, mark->stops));
    if (!mark->near.empty())
        out += fmt::format("<div class=\"why near\"><span>almost matched {}: {}</span></div>\n",
                           links(report, mark->near), xml_escaped(mark->differs));
}

}  // namespace

std::string rule_link(const Report& report, const RuleRef& rule) {
    const auto words = fmt::format("<code>{}</code>", xml_escaped(rule_words(rule)));
    if (!report.picture || rule.line == 0) return words;
    const auto& files = report.picture->rulesets;
    const auto found = std::ranges::find(files, rule.file, &RulesetText::file);
    if (found == files.end() || rule.line > found->lines.size()) return words;
    return fmt::format("<a href=\"#L{}-{}\">{}</a>", found - files.begin(), rule.line, words);
}

std::string ruleset_html(const Report& report, const Picture& picture) {
    std::string out;
    for (std::size_t i = 0; i < picture.rulesets.size(); ++i) {
        const auto& [file, lines] = picture.rulesets[i];
        const auto marks = marks_of(report, file);
        out += fmt::format(
            "<h3><code>{}</code></h3>\n<div class=\"src\" tabindex=\"0\" role=\"group\" aria-label=\"text of {}\">\n",
            xml_escaped(file), xml_escaped(file));
        const auto told = [&](unsigned number) {
            if (lines.size() <= whole_max) return true;
            const auto next = marks.lower_bound(number > around ? number - around : 1);
            // Coverage alone is no reason to show a line of thousands.
            for (auto at = next; at != marks.end() && at->first <= number + around; ++at)
                if (!at->second.stops.empty() || !at->second.near.empty() || !at->second.proposals.empty()) return true;
            return false;
        };
        unsigned left_out = 0;
        const auto gap = [&] {
            if (left_out > 0)
                out += fmt::format("<div class=\"dim\"><span class=\"no\">⋮</span>{} line{}</div>\n", left_out,
                                   left_out == 1 ? "" : "s");
            left_out = 0;
        };
        for (unsigned number = 1; number <= lines.size(); ++number) {
            if (!told(number)) {
                ++left_out;
                continue;
            }
            gap();
            const auto mark = marks.find(number);
            line_html(out, report, i, number, lines[number - 1], mark == marks.end() ? nullptr : &mark->second);
        }
        gap();
        out += "</div>\n";
    }
    return out;
}

}  // namespace wmlab::lab
