// The table and the paragraphs a person reads.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace {

class Paint {
public:
    explicit Paint(bool on) : on_{on} {}
    std::string operator()(std::string_view code, std::string text) const {
        return on_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
    }

private:
    bool on_;
};

std::string_view colour(const FlowResult& flow) {
    if (flow.verdict == Verdict::inconclusive && !flow.as_expected) return "33";
    return flow.as_expected ? "32" : "31";
}

std::string filled(std::string_view paragraph, std::size_t indent, std::size_t width = 100) {
    std::string out(indent, ' ');
    auto column = indent;
    for (std::size_t at = 0; at < paragraph.size();) {
        const auto end = std::min(paragraph.find_first_of(" \n", at), paragraph.size());
        const auto word = paragraph.substr(at, end - at);
        const bool breaks = end < paragraph.size() && paragraph[end] == '\n';
        if (!word.empty()) {
            if (column > indent && column + 1 + word.size() > width) {
                out += "\n" + std::string(indent, ' ');
                column = indent;
            } else if (column > indent) {
                out += ' ';
                ++column;
            }
            out += word;
            column += word.size();
        }
        if (breaks) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        }
        at = end + 1;
    }
    return out + "\n";
}

void paragraph(std::string& out, const FlowResult& flow, const Paint& paint) {
    out += "\n" + paint("1", flow.id) + ": " + paint(colour(flow), headline(flow));
    if (!flow.as_expected) out += fmt::format("; expected {}", expected_words(flow.expected));
    out += "\n";
    if (!flow.explanation.empty()) out += filled(flow.explanation, 2);
    const auto leg = std::ranges::find(flow.legs, flow.leg, &LegResult::name);
    if (leg != flow.legs.end()) {
        for (const auto& sentence : leg->evidence) out += filled("- " + sentence, 4);
    }
    if (flow.icmp) out += fmt::format("    - ICMP {}\n", icmp_line(*flow.icmp));
    if (flow.rule) out += fmt::format("  rule: {}\n", rule_words(*flow.rule));
    if (flow.near_miss) {
        out += fmt::format("  almost: {}; {}\n", rule_words(flow.near_miss->rule), flow.near_miss->differs);
    }
    for (const auto& suggestion : flow.suggestions) {
        const auto place =
            suggestion.line == 0 ? std::string{} : fmt::format(", before {}:{}", suggestion.file, suggestion.line);
        out += fmt::format("  would help ({}{}): {}\n", suggestion.dialect, place, suggestion.rule);
    }
    if (!flow.change.empty()) out += filled("must change: " + flow.change, 2);
    if (flow.suggestion_proven)
        out += *flow.suggestion_proven ? "  proven: with what would help the flow passes\n"
                                       : "  tried: with what would help the flow still does not pass\n";
    for (const auto& attempt : flow.attempts) {
        out += fmt::format("  {}: {}{}\n", attempt.transport, text(attempt.verdict),
                           attempt.leg.empty() ? "" : " at " + attempt.leg);
    }
}

}  // namespace

std::string render_text(const Report& report, const Style& style) {
    const Paint paint{style.colour};
    std::string out = fmt::format("{}\nruleset: {}\n", paint("1", report.scenario), ruleset_words(report));
    for (const auto& note : report.notes) out += filled("note: " + note, 0);

    std::vector<std::array<std::string, 6>> rows{{"flow", "type", "from -> to", "verdict", "leg", "cause"}};
    std::vector<const FlowResult*> shown{nullptr};
    for (const auto& flow : report.flows) {
        if (style.quiet && flow.as_expected) continue;
        auto verdict = std::string{text(flow.verdict)};
        if (flow.type == "mms-auto" && !flow.transport.empty()) verdict += " (" + flow.transport + ")";
        rows.push_back({flow.id, flow.type, flow.from + " -> " + flow.to, verdict, flow.leg, why(flow)});
        shown.push_back(&flow);
    }
    if (rows.size() > 1) {
        std::array<std::size_t, 6> widths{};
        for (const auto& row : rows) {
            for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
        }
        out += "\n";
        for (std::size_t r = 0; r < rows.size(); ++r) {
            std::string line = shown[r] == nullptr ? "  " : shown[r]->as_expected ? "  " : "! ";
            for (std::size_t i = 0; i < rows[r].size(); ++i) {
                auto cell = fmt::format("{:<{}}", rows[r][i], widths[i]);
                if (shown[r] == nullptr) {
                    cell = paint("4", rows[r][i]) + std::string(widths[i] - rows[r][i].size(), ' ');
                } else if (i == 3) {
                    cell = paint(colour(*shown[r]), rows[r][i]) + std::string(widths[i] - rows[r][i].size(), ' ');
                }
                line += cell + (i + 1 < rows[r].size() ? "  " : "");
            }
            line.erase(line.find_last_not_of(' ') + 1);
            out += line + "\n";
        }
    }
    for (const auto* flow : shown) {
        const bool worth = flow != nullptr && (!flow->as_expected || flow->verdict != Verdict::pass);
        if (worth) paragraph(out, *flow, paint);
    }
    std::string asides;
    for (const auto* flow : shown) {
        if (flow == nullptr) continue;
        for (const auto& retry : flow->retries) asides += filled(fmt::format("{}: retried: {}", flow->id, retry), 2);
        for (const auto& note : flow->notes) asides += filled(fmt::format("{}: {}", flow->id, note), 2);
    }
    if (!asides.empty()) out += "\nnotes\n" + asides;
    if (report.baseline) {
        out += fmt::format("\nchange, against {}\n", report.baseline->ruleset);
        for (const auto change : changes_told) {
            const auto ids = of_change(*report.baseline, change);
            if (change == Change::unchanged) {
                out += fmt::format("  unchanged: {} flow{}\n", ids.size(), ids.size() == 1 ? "" : "s");
                continue;
            }
            for (const auto& id : ids) {
                const auto& flow = *change_of(report, id);
                const auto* const code = change == Change::repaired ? "32" : change == Change::unknown ? "33" : "31";
                out += fmt::format("  {} {}: {} -> {}{}\n", paint(code, std::string{text(change)} + ":"), id,
                                   flow.before.empty() ? "not run" : flow.before, flow.after,
                                   flow.as_expected ? ", as expected" : "");
            }
        }
    }
    if (report.coverage) {
        out += "\nrules\n";
        for (const auto& use : *report.coverage) {
            const auto* const code = use.use() == Use::needed ? "32" : use.use() == Use::hit ? "33" : "31";
            const auto why = use.flows.empty()       ? fmt::format("{} {}, no flow needs it", use.packets,
                                                             use.packets == 1 ? "packet" : "packets")
                             : use.flows.size() == 1 ? use.flows.front()
                                                     : fmt::format("{} flows", use.flows.size());
            out += fmt::format("  {}  {}{}\n", paint(code, fmt::format("{:<9}", text(use.use()))), rule_words(use.rule),
                               use.use() == Use::never ? "" : ": " + why);
        }
    }
    if (report.patch) {
        const auto& patch = *report.patch;
        out += patch.diff.empty()
                   ? "\nsuggested change: none\n"
                   : fmt::format("\nsuggested change, {} rule{}, for {} flow{}{}\n", patch.rules,
                                 patch.rules == 1 ? "" : "s", patch.flows.size(), patch.flows.size() == 1 ? "" : "s",
                                 patch.proven ? ", proven" : ", not proven");
        for (const auto& note : patch.notes) out += filled("note: " + note, 2);
        if (!patch.diff.empty() && !patch.directory.empty())
            out += fmt::format("  to be applied there: patch -p0 -d {}\n", patch.directory);
        out += patch.diff;
    }
    const auto& sum = report.summary;
    const auto last = sum.unexpected > 0 ? "31" : sum.inconclusive > 0 || sum.flows == 0 ? "33" : "32";
    out += "\n" + paint(last, summary_words(report)) + "\n";
    if (sum.flows == 0) out += "No flow was tested.\n";
    return out;
}

}  // namespace wmlab::lab
