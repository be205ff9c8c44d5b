// The table and the paragraphs a person reads.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

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
    if (says_nothing(flow.verdict) && !flow.as_expected) return "33";
    return flow.as_expected ? "32" : "31";
}

std::size_t columns(std::string_view text) {  // of UTF-8: a character each, which is near enough
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

// How many bytes the first `count` characters are.
std::size_t bytes_of(std::string_view text, std::size_t count) {
    std::size_t at = 0;
    while (at < text.size() && count > 0) {
        ++at;
        while (at < text.size() && (text[at] & 0xc0) == 0x80) ++at;
        --count;
    }
    return at;
}

// Words of a text that is filled into lines. A word is never put at the beginning of a line where a build server would
// take it for a command ("::error").
std::string filled(std::string_view paragraph, std::size_t indent, std::size_t width, std::size_t hang) {
    const auto begin_line = [](std::string_view word) {
        const bool command =
            word.starts_with("::") && word.size() > 2 && std::isalpha(static_cast<unsigned char>(word[2]));
        return (command ? "\\" : "") + std::string{word};
    };
    std::string out(indent, ' ');
    auto column = indent, start = indent;
    for (std::size_t at = 0; at < paragraph.size();) {
        const auto end = std::min(paragraph.find_first_of(" \n", at), paragraph.size());
        auto word = paragraph.substr(at, end - at);
        const bool breaks = end < paragraph.size() && paragraph[end] == '\n';
        while (!word.empty()) {
            if (column > start && column + 1 + columns(word) > width) {
                out += "\n" + std::string(hang, ' ');
                column = start = hang;
            } else if (column > start) {
                out += ' ';
                ++column;
            }
            // A word that is longer than a line (a path, a rule without blanks) is cut.
            auto part = word.substr(0, bytes_of(word, width > column ? width - column : 1));
            out += column == start ? begin_line(part) : std::string{part};
            column += columns(part);
            word.remove_prefix(part.size());
            if (!word.empty()) {
                out += "\n" + std::string(hang, ' ');
                column = start = hang;
            }
        }
        if (breaks) {
            out += "\n" + std::string(hang, ' ');
            column = start = hang;
        }
        at = end + 1;
    }
    return out + "\n";
}

// Everything that knows how wide the lines are.
class Page {
public:
    explicit Page(const Style& style) : paint{style.colour}, width_{style.width} {}
    const Paint paint;
    std::string fill(std::string_view text, std::size_t indent, std::size_t more = 0) const {
        return filled(text, indent, width_ == 0 ? paragraph_width : width_, indent + more);
    }
    // What is copied and searched for stays on one line where no terminal sets a limit.
    std::string line(std::string_view text, std::size_t indent) const {
        return width_ == 0 ? std::string(indent, ' ') + std::string{text} + "\n" : fill(text, indent, 4);
    }
    std::size_t width() const { return width_; }

private:
    static constexpr std::size_t paragraph_width = 100;
    std::size_t width_;
};

void paragraph(std::string& out, const FlowResult& flow, const Page& page) {
    auto head = headline(flow);
    if (!flow.as_expected) head += fmt::format("; expected {}", expected_words(flow.expected));
    head = page.fill(flow.id + ": " + head, 0, 2);
    if (const auto at = head.find(headline(flow)); at != std::string::npos && head.starts_with(flow.id)) {
        const auto size = headline(flow).size();
        head = page.paint("1", flow.id) + head.substr(flow.id.size(), at - flow.id.size()) +
               page.paint(colour(flow), headline(flow)) + head.substr(at + size);
    }
    out += "\n" + head;
    if (const auto words = account_words(flow); !words.empty()) out += page.fill(words, 2);
    const auto leg = std::ranges::find(flow.legs, flow.leg, &LegResult::name);
    if (leg != flow.legs.end()) {
        for (const auto& sentence : leg->evidence) out += page.fill("- " + sentence, 4, 2);
    }
    if (flow.icmp) out += page.line(fmt::format("- ICMP {}", icmp_line(*flow.icmp)), 4);
    if (flow.rule) out += page.line("rule: " + rule_words(*flow.rule), 2);
    if (flow.near_miss)
        out += page.line(fmt::format("almost: {}; {}", rule_words(flow.near_miss->rule), flow.near_miss->differs), 2);
    if (!flow.as_expected) {  // what is as expected needs no mending
        for (const auto& suggestion : flow.suggestions) {
            const auto place =
                suggestion.line == 0 ? std::string{} : fmt::format(", before {}:{}", suggestion.file, suggestion.line);
            out += page.line(fmt::format("would help ({}{}): {}", suggestion.dialect, place, suggestion.rule), 2);
        }
        if (!flow.change.empty()) out += page.fill("must change: " + flow.change, 2);
        if (flow.suggestion_proven)
            out += *flow.suggestion_proven ? "  proven: with what would help the flow passes\n"
                                           : "  tried: with what would help the flow still does not pass\n";
    }
    for (const auto& attempt : flow.attempts) {
        out += fmt::format("  {}: {}{}\n", attempt.transport, text(attempt.verdict),
                           attempt.leg.empty() ? "" : " at " + attempt.leg);
    }
}

using Row = std::array<std::string, 6>;

// Narrow terminals: first the type goes, which is known to whoever wrote the scenario, then names lose their middle.
void fit(std::vector<Row>& rows, std::array<std::size_t, 6>& widths, std::size_t width) {
    const auto total = [&] {
        std::size_t sum = 2;
        for (const auto size : widths) sum += size == 0 ? 0 : size + 2;
        return sum - 2;
    };
    if (width == 0 || total() <= width) return;
    for (auto& row : rows) row[1].clear();
    widths[1] = 0;
    for (const std::size_t column : {2U, 0U, 5U, 4U, 3U}) {
        constexpr std::size_t least = 7;
        if (total() <= width || widths[column] <= least) continue;
        widths[column] -= std::min(total() - width, widths[column] - least);
        for (auto& row : rows) {
            auto& cell = row[column];
            if (cell.size() <= widths[column]) continue;
            const auto half = (widths[column] - 1) / 2;
            cell = cell.substr(0, widths[column] - 1 - half) + "~" + cell.substr(cell.size() - half);
        }
    }
}

constexpr std::size_t many = 40;  // flows; of more than these the table and the paragraphs show those that came to the same once

// What flows came to, and by which rule: two that have this in common need not be told twice.
std::string outcome(const FlowResult& flow) {
    return fmt::format("{}\n{}\n{}", flow.as_expected, headline(flow), flow.rule ? rule_words(*flow.rule) : "");
}

Row row_of(const FlowResult& flow) { return {flow.id, flow.type, flow.from + " -> " + flow.to, verdict_words(flow), flow.leg, why(flow)}; }

// A row of the table and the flow, the first of all, that it stands for.
struct TableRow {
    Row cells;
    const FlowResult* flow;
};

std::vector<TableRow> rows_of(const std::vector<const FlowResult*>& flows) {
    std::vector<TableRow> rows;
    if (flows.size() <= many) {
        for (const auto* flow : flows) rows.push_back({row_of(*flow), flow});
        return rows;
    }
    std::vector<std::vector<const FlowResult*>> groups;
    std::map<std::string, std::size_t> group_of;
    for (const auto* flow : flows) {
        const auto [at, added] = group_of.emplace(outcome(*flow), groups.size());
        if (added) groups.emplace_back();
        groups[at->second].push_back(flow);
    }
    constexpr std::size_t shown_max = 3;
    for (const auto& group : groups) {
        const auto shown = group.size() > shown_max + 1 ? shown_max : group.size();
        for (std::size_t i = 0; i < shown; ++i) rows.push_back({row_of(*group[i]), group[i]});
        if (shown == group.size()) continue;
        auto cells = row_of(*group[shown]);
        cells[0] = fmt::format("and {} more", group.size() - shown);
        for (auto i = shown; i < group.size(); ++i) {
            if (group[i]->type != cells[1]) cells[1] = "several";
            if (group[i]->from + " -> " + group[i]->to != cells[2]) cells[2] = "several";
        }
        rows.push_back({std::move(cells), group[shown]});
    }
    return rows;
}

std::string table(const std::vector<const FlowResult*>& flows, const Page& page) {
    const auto told = rows_of(flows);
    std::vector<Row> rows{{"flow", "type", "from -> to", "verdict", "leg", "cause"}};
    for (const auto& row : told) rows.push_back(row.cells);
    std::array<std::size_t, 6> widths{};
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    fit(rows, widths, page.width());
    std::string out = "\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line = r == 0 || told[r - 1].flow->as_expected ? "  " : "! ";
        for (std::size_t i = 0; i < rows[r].size(); ++i) {
            if (widths[i] == 0) continue;
            auto cell = rows[r][i];
            const std::string blanks(widths[i] - cell.size(), ' ');
            if (r == 0)
                cell = page.paint("4", cell);
            else if (i == 3)
                cell = page.paint(colour(*told[r - 1].flow), cell);
            line += cell + blanks + (i + 1 < rows[r].size() ? "  " : "");
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + "\n";
    }
    return out;
}

// What the change does to packets that are no flow's.
void openings(std::string& out, const Comparison& gate, const Page& page) {
    for (const auto* list : {&gate.opened, &gate.closed}) {
        const bool opens = list == &gate.opened;
        for (const auto& opened : *list) {
            const std::string word = opens ? "opens" : "closes";
            auto line = page.fill(fmt::format("{} {}: {}", word, where_words(opened), what_words(opened)), 2, 2);
            if (line.substr(2).starts_with(word)) line.replace(2, word.size(), page.paint(opens && opened.counts() ? "31" : "33", word));
            out += line;
            out += page.fill(fmt::format("{} {}", opens ? "now" : "before", by_words(opened)), 4, 2);
            if (opened.other) out += page.fill(fmt::format("{} {}", opens ? "before it was stopped by" : "now it is stopped by", rule_words(*opened.other)), 4, 2);
            if (!opened.flows.empty()) out += page.fill(fmt::format("needed by {}", fmt::join(opened.flows, ", ")), 4, 2);
            if (!opened.accepted.empty()) out += page.fill(fmt::format("accepted: {}", opened.accepted), 4, 2);
        }
    }
    if (gate.opened.empty() && gate.closed.empty() && !gate.tried.empty()) out += "  opens nothing, closes nothing\n";
    for (const auto& note : gate.notes) out += page.fill("note: " + note, 2, 2);
    if (!gate.tried.empty()) out += page.fill(fmt::format("tried on both: TCP and UDP ports; {}; {:.1f} s", fmt::join(gate.tried, "; "), gate.seconds), 2, 2);
    for (const auto& left : gate.not_tried) out += page.fill("not tried: " + left, 2, 2);
}

void happening(std::string& out, const Happening& happening, const std::vector<std::pair<std::string, const Effect*>>& effects, const Page& page) {
    out += page.fill(happening_words(happening), 2, 2);
    for (const auto& words : effects_words(effects)) out += page.fill("- " + words, 4, 2);
    if (effects.empty()) out += "    - no flow was running\n";
}

void change(std::string& out, const Report& report, const Page& page) {
    out += page.fill(fmt::format("change, against {}", report.baseline->ruleset), 0, 2).insert(0, "\n");
    for (const auto change : changes_told) {
        const auto ids = of_change(*report.baseline, change);
        if (change == Change::unchanged) {
            out += fmt::format("  unchanged: {} flow{}\n", ids.size(), ids.size() == 1 ? "" : "s");
            continue;
        }
        for (const auto& id : ids) {
            const auto& flow = *change_of(report, id);
            const auto* const code = change == Change::repaired || change == Change::better ? "32" : change == Change::unknown ? "33" : "31";
            const auto word = change_word(change) + ":";
            auto line =
                page.line(fmt::format("{} {}: {} -> {}{}", word, id, flow.before.empty() ? "not run" : flow.before,
                                      flow.after, flow.as_expected ? ", as expected" : ""),
                          2);
            if (line.substr(2).starts_with(word)) line.replace(2, word.size(), page.paint(code, word));
            out += line;
            for (const auto& difference : flow.differences) out += page.fill("- " + difference, 4, 2);
        }
    }
    for (const auto& flow : report.baseline->flows) {
        if (flow.change == Change::unchanged)
            for (const auto& difference : flow.differences) out += page.fill(fmt::format("{}: {}", flow.id, difference), 4, 2);
        if (!flow.note.empty()) out += page.fill(fmt::format("{}: {}", flow.id, flow.note), 4, 2);
    }
    openings(out, *report.baseline, page);
    if (!report.baseline->live) return;
    out += "\nwhat users notice while the change is made\n";
    happening(out, report.baseline->live->happening, effects_of(*report.baseline->live), page);
    for (const auto& note : report.baseline->live->notes) out += page.fill("note: " + note, 2, 2);
}

void coverage(std::string& out, const Report& report, const Page& page) {
    out += "\nrules\n";
    for (const auto& use : *report.coverage) {
        const auto* const code = use.use() == Use::needed ? "32" : use.use() == Use::hit ? "33" : "31";
        const auto why = use.flows.empty()       ? fmt::format("{} {}, no flow needs it", use.packets,
                                                         use.packets == 1 ? "packet" : "packets")
                         : use.flows.size() == 1 ? use.flows.front()
                                                 : fmt::format("{} flows", use.flows.size());
        const auto word = fmt::format("{:<9}", text(use.use()));
        auto line = page.line(
            fmt::format("{}  {}{}", word, rule_words(use.rule), use.use() == Use::never ? "" : ": " + why), 2);
        if (line.substr(2).starts_with(word)) line.replace(2, word.size(), page.paint(code, word));
        out += line;
    }
}

void patch(std::string& out, const Patch& patch, const Page& page) {
    out += patch.diff.empty() ? "\nsuggested change: none\n"
                              : fmt::format("\nsuggested change, {} rule{}, for {} flow{}{}\n", patch.rules, patch.rules == 1 ? "" : "s", patch.flows.size(),
                                            patch.flows.size() == 1 ? "" : "s", patch.proven ? ", proven" : ", not proven");
    for (const auto& note : patch.notes) out += page.fill("note: " + note, 2, 2);
    if (!patch.diff.empty() && !patch.directory.empty()) out += fmt::format("  to be applied there: patch -p0 -d {}\n", patch.directory);
    out += patch.diff;
}

// What is not as expected, by what is to blame, where that is more than the paragraphs say at a glance.
std::string to_blame(const Report& report, const Page& page) {
    std::string out;
    for (const auto& blame : blames(report)) {
        std::vector<std::string> ids;
        for (const auto* flow : blame.flows) ids.push_back(flow->id);
        out += page.line(
            fmt::format("{} flow{}: {}: {}", ids.size(), ids.size() == 1 ? "" : "s", blame.what, names(ids, 8)), 2);
    }
    return out.empty() ? out : "\nnot as expected\n" + out;
}

std::string last_line(const Report& report, const Page& page) {
    const auto& sum = report.summary;
    const auto last = sum.unexpected > 0 ? "31" : sum.inconclusive > 0 || sum.flows == 0 ? "33" : "32";
    return "\n" + page.paint(last, summary_words(report)) + "\n" + (sum.flows == 0 && !(report.baseline && !report.baseline->tried.empty()) ? "No flow was tested.\n" : "");
}

}  // namespace

std::string render_text(const Report& report, const Style& style) {
    const Page page{style};
    std::string out = page.paint("1", report.scenario) + "\n" + page.line("ruleset: " + ruleset_words(report), 0);
    if (const auto line = identity_line(report.identity); !line.empty()) out += page.fill(line, 0, 2);
    for (const auto& note : report.notes) out += page.fill("note: " + note, 0, 2);

    std::vector<const FlowResult*> shown;
    for (const auto& flow : report.flows)
        if (!style.quiet || !flow.as_expected) shown.push_back(&flow);
    if (!shown.empty()) out += table(shown, page);
    std::string loads;
    for (const auto& load : report.loads) {
        const auto words = load_words(load);
        for (const auto& sentence : words) loads += page.fill(sentence, &sentence == words.data() ? 2 : 4, 2);
    }
    if (!loads.empty()) out += "\nload\n" + loads;
    std::string anyone;
    for (const auto& result : anyone_results(report))
        if (!style.quiet || !result.as_expected()) anyone += page.fill(anyone_words(result), 2, 2);
    if (!anyone.empty()) out += "\nanyone\n" + anyone;
    // Of many flows that stop at the same rule a few are told at length.
    std::map<std::string, std::vector<std::string>> told;
    const std::size_t told_max = shown.size() > many ? 1 : 5;
    const std::size_t names_max = shown.size() > many ? 8 : 40;
    for (const auto* flow : shown) {
        if (flow->as_expected && flow->verdict == Verdict::pass) continue;
        auto& alike = told[outcome(*flow)];
        alike.push_back(flow->id);
        if (alike.size() <= told_max) paragraph(out, *flow, page);
    }
    for (const auto& [_, ids] : told)
        if (ids.size() > told_max)
            out += "\n" + page.fill(fmt::format("{} more came to the same as {}: {}", ids.size() - told_max, ids.front(),
                                                names({ids.begin() + static_cast<std::ptrdiff_t>(told_max), ids.end()}, names_max)),
                                    0, 2);
    std::string notes;
    for (const auto& sentence : asides(shown)) notes += page.fill(sentence, 2, 2);
    if (!notes.empty()) out += "\nnotes\n" + notes;
    if (!report.incidents.empty()) {
        out += "\nevents\n";
        for (std::size_t i = 0; i < report.incidents.size(); ++i) happening(out, report.incidents[i], effects_of(report, i), page);
    }
    if (report.baseline) change(out, report, page);
    if (report.coverage) coverage(out, report, page);
    if (report.patch) patch(out, *report.patch, page);
    if (report.summary.unexpected + report.summary.inconclusive > 1) out += to_blame(report, page);
    return out + last_line(report, page);
}

std::string render_summary(const Report& report, const Style& style) {
    const Page page{style};
    return page.paint("1", report.scenario) + "\n" + page.line("ruleset: " + ruleset_words(report), 0) +
           to_blame(report, page) + last_line(report, page);
}

}  // namespace wmlab::lab
