// One HTML page that needs nothing else: no fonts, no network; complete without its script, handier with it.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "lab/report/html_parts.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {

std::string_view state_of(const FlowResult& flow) {
    if (flow.as_expected) return "good";
    return says_nothing(flow.verdict) ? "unsure" : "bad";
}

std::string_view mark_of(const FlowResult& flow) {
    return flow.as_expected ? "✓" : says_nothing(flow.verdict) ? "?" : "✗";
}

namespace {

std::string item(std::string_view label, std::string_view html) {
    return fmt::format("<li>{}: {}</li>\n", label, html);
}
std::string code_html(std::string_view text) { return fmt::format("<code>{}</code>", xml_escaped(text)); }

std::string zone_of(const Report& report, const std::string& host) {
    const auto* const zone = report.picture ? report.picture->zone_of(host) : nullptr;
    return zone == nullptr ? host : zone->name;
}
std::string zones_of(const Report& report, const FlowResult& flow) {
    return zone_of(report, flow.from) + " → " + zone_of(report, flow.to);
}

void section(std::string& out, std::string_view id, std::string_view title, const std::string& body) {
    if (!body.empty())
        out += fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-h\"><h2 id=\"{0}-h\">{1}</h2>\n{2}</section>\n",
                           id, title, body);
}

std::string flow_link(const Report& report, std::string_view id) {
    const auto found = std::ranges::find(report.flows, id, &FlowResult::id);
    if (found == report.flows.end()) return xml_escaped(id);
    return fmt::format("<a href=\"#f{}\">{}</a>", found - report.flows.begin(), xml_escaped(id));
}

std::string blame_html(const Report& report) {
    std::string out;
    constexpr std::size_t links_max = 20;
    for (const auto& blame : blames(report)) {
        std::string flows;
        for (std::size_t i = 0; i < std::min(blame.flows.size(), links_max); ++i)
            flows += fmt::format("{}<a href=\"#f{}\">{}</a>", i == 0 ? "" : ", ", blame.flows[i] - report.flows.data(),
                                 xml_escaped(blame.flows[i]->id));
        if (blame.flows.size() > links_max) flows += fmt::format(" and {} more", blame.flows.size() - links_max);
        const auto& first = *blame.flows.front();
        out += fmt::format("<li><span class=\"{}\">{} flow{}</span>: {}: {}</li>\n", state_of(first),
                           blame.flows.size(), blame.flows.size() == 1 ? "" : "s",
                           first.rule ? rule_link(report, *first.rule) : code_html(blame.what), flows);
    }
    return out.empty() ? out : "<ul>\n" + out + "</ul>\n";
}

std::string matrix_html(const Report& report) {
    std::vector<std::string> types, pairs;
    std::map<std::pair<std::string, std::string>, std::array<unsigned, 3>> cells;
    for (const auto& flow : report.flows) {
        const auto pair = zones_of(report, flow);
        if (std::ranges::find(types, flow.type) == types.end()) types.push_back(flow.type);
        if (std::ranges::find(pairs, pair) == pairs.end()) pairs.push_back(pair);
        ++cells[{flow.type, pair}][state_of(flow) == "good" ? 0 : state_of(flow) == "bad" ? 1 : 2];
    }
    std::string out =
        "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"stream types by zones\"><table><thead><tr><th scope=\"col\">type</th>";
    for (const auto& pair : pairs) out += fmt::format("<th scope=\"col\" class=\"n\">{}</th>", xml_escaped(pair));
    out += "</tr></thead><tbody>\n";
    for (const auto& type : types) {
        out += fmt::format("<tr><th scope=\"row\">{}</th>", xml_escaped(type));
        for (const auto& pair : pairs) {
            const auto found = cells.find({type, pair});
            std::string words;
            if (found != cells.end()) {
                const auto& [good, bad, unsure] = found->second;
                if (good > 0) words += fmt::format("<span class=\"good\">✓ {}</span> ", good);
                if (bad > 0) words += fmt::format("<span class=\"bad\">✗ {}</span> ", bad);
                if (unsure > 0) words += fmt::format("<span class=\"unsure\">? {}</span>", unsure);
            }
            out += fmt::format("<td class=\"n\">{}</td>", words.empty() ? "–" : words);
        }
        out += "</tr>\n";
    }
    return out + "</tbody></table></div>\n<p class=\"dim\">✓ as expected, ✗ not as expected, ? inconclusive</p>\n";
}

std::string happening_html(const Happening& happening, const std::vector<std::pair<std::string, const Effect*>>& effects) {
    std::string out = fmt::format("<p><strong>{}</strong></p>\n<ul>\n", xml_escaped(happening_words(happening)));
    for (const auto& words : effects_words(effects)) out += fmt::format("<li>{}</li>\n", xml_escaped(words));
    if (effects.empty()) out += "<li>no flow was running</li>\n";
    return out + "</ul>\n";
}

std::string events_html(const Report& report) {
    std::string out;
    for (std::size_t i = 0; i < report.incidents.size(); ++i) out += happening_html(report.incidents[i], effects_of(report, i));
    return out;
}

// What a change lets through and stops besides the flows, and what is noticed while it is made.
std::string change_itself_html(const Comparison& change) {
    std::string out;
    for (const auto* list : {&change.opened, &change.closed})
        for (const auto& opened : *list) {
            const bool opens = list == &change.opened;
            out += fmt::format("<li class=\"{}\">{}{}: {}, {}; {}</li>\n", opens && opened.counts() ? "bad" : "dim", opens ? "opens" : "closes",
                               opened.accepted.empty() ? "" : xml_escaped(fmt::format(" (accepted: {})", opened.accepted)), xml_escaped(where_words(opened)),
                               xml_escaped(what_words(opened)), xml_escaped(by_words(opened)));
        }
    if (!out.empty()) out = "<ul>\n" + out + "</ul>\n";
    if (!change.live) return out;
    out += "<h3>What users notice while the change is made</h3>\n" + happening_html(change.live->happening, effects_of(*change.live));
    for (const auto& note : change.live->notes) out += fmt::format("<p>{}</p>\n", xml_escaped(note));
    return out;
}

std::string change_html(const Report& report) {
    if (!report.baseline) return {};
    std::string out = fmt::format("<p>Before: {}. Now: {}.</p>\n<ul>\n", code_html(report.baseline->ruleset),
                                  code_html(ruleset_words(report)));
    for (const auto& words : changes_words(*report.baseline)) out += fmt::format("<li>{}</li>\n", xml_escaped(words));
    out +=
        "</ul>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"the flows before and after the change\"><table><thead><tr><th scope=\"col\">flow</th>"
        "<th scope=\"col\">change</th><th scope=\"col\">before</th><th scope=\"col\">now</th></tr></thead><tbody>\n";
    for (const auto change : changes_told)
        for (const auto& flow : report.baseline->flows) {
            if (flow.change != change) continue;
            const auto* const css = change == Change::unchanged ? "dim"
                                    : flow.as_expected          ? "good"
                                    : change == Change::unknown ? "unsure"
                                                                : "bad";
            out += fmt::format("<tr><td>{}</td><td class=\"{}\">{}</td><td>{}</td><td>{}{}</td></tr>\n",
                               flow_link(report, flow.id), css, change_word(change),
                               xml_escaped(flow.before.empty() ? "not run" : flow.before), xml_escaped(flow.after),
                               flow.as_expected ? ", as expected" : "");
        }
    return out + "</tbody></table></div>\n" + change_itself_html(*report.baseline);
}

std::string coverage_html(const Report& report) {
    if (!report.coverage) return {};
    std::string out = "<ul>\n";
    for (const auto& use : *report.coverage)
        out += fmt::format("<li>{}: <span class=\"{}\">{}</span></li>\n", rule_link(report, use.rule),
                           use.use() == Use::needed ? "good" : "dim", xml_escaped(use_words(use)));
    return out + "</ul>\n";
}

std::string legs_html(const std::vector<LegResult>& legs) {
    if (legs.empty()) return {};
    std::string out =
        "<table class=\"legs\"><thead><tr><th scope=\"col\">leg</th><th scope=\"col\">from → to</th><th scope=\"col\">verdict</th><th scope=\"col\">evidence</th></tr></thead><tbody>\n";
    for (const auto& leg : legs) {
        std::string evidence, verdict{text(leg.verdict)};
        if (leg.cause) verdict += fmt::format(": {}", text(*leg.cause));
        if (leg.reason) verdict += fmt::format(": {}", text(*leg.reason));
        if (!leg.direction.empty()) verdict += fmt::format(" ({})", leg.direction);
        for (const auto& sentence : leg.evidence) evidence += (evidence.empty() ? "" : "<br>") + xml_escaped(sentence);
        if (leg.milliseconds) evidence += fmt::format("{}{:.1f} ms", evidence.empty() ? "" : "<br>", *leg.milliseconds);
        if (!leg.source_seen.empty())
            evidence += fmt::format("{}seen as {}", evidence.empty() ? "" : "<br>", xml_escaped(leg.source_seen));
        if (!leg.destination_seen.empty())
            evidence +=
                fmt::format("{}arrived at {}", evidence.empty() ? "" : "<br>", xml_escaped(leg.destination_seen));
        out += fmt::format("<tr><td>{}</td><td>{} {} → {}</td><td>{}</td><td>{}</td></tr>\n", xml_escaped(leg.name),
                           xml_escaped(leg.protocol), xml_escaped(leg.source), xml_escaped(leg.destination),
                           xml_escaped(verdict), evidence);
    }
    return out + "</tbody></table>\n";
}

std::string points_html(const Report& report, const FlowResult& flow) {
    std::string points;
    if (!flow.transport.empty()) points += item("transport", xml_escaped(flow.transport));
    if (flow.rule) points += item("rule", rule_link(report, *flow.rule));
    if (flow.near_miss)
        points += item("almost", rule_link(report, flow.near_miss->rule) + "; " + xml_escaped(flow.near_miss->differs));
    if (!flow.as_expected) {
        for (const auto& suggestion : flow.suggestions) {
            auto words = code_html(suggestion.rule);
            if (suggestion.line != 0)
                words += ", before " + rule_link(report, {suggestion.file, suggestion.line, {}, {}});
            points += item(fmt::format("would help ({})", xml_escaped(suggestion.dialect)), words);
        }
        if (!flow.change.empty()) points += item("must change", xml_escaped(flow.change));
        if (flow.suggestion_proven)
            points += *flow.suggestion_proven ? "<li>proven: with what would help the flow passes</li>\n"
                                              : "<li>tried: with what would help the flow still does not pass</li>\n";
    }
    if (flow.icmp) points += item("ICMP", code_html(icmp_line(*flow.icmp)));
    if (const auto changed = changed_words(report, flow.id); !changed.empty())
        points += fmt::format("<li>{}</li>\n", xml_escaped(changed));
    if (flow.media) {
        const auto& media = *flow.media;
        points += fmt::format("<li>media: {} packets sent, {} received, {:.1f}% lost{}</li>\n", media.packets_sent,
                              media.packets_received, media.loss * 100,
                              media.damaged > 0 ? fmt::format(", {} damaged", media.damaged) : std::string{});
    }
    for (const auto& attempt : flow.attempts)
        points +=
            fmt::format("<li>{}: {}{}: {}</li>\n", xml_escaped(attempt.transport), text(attempt.verdict),
                        attempt.leg.empty() ? "" : " at " + xml_escaped(attempt.leg), xml_escaped(attempt.explanation));
    for (const auto& retry : flow.retries) points += fmt::format("<li>retried: {}</li>\n", xml_escaped(retry));
    for (const auto& note : flow.notes) points += fmt::format("<li>{}</li>\n", xml_escaped(note));
    return points.empty() ? points : "<ul>\n" + points + "</ul>\n";
}

// Of a thousand flows the page stays one that can be mailed: ladders are drawn, those of what is not as expected first,
// until they are this large together.
constexpr std::size_t ladders_max = 750'000;

// The flow's ladder; where the change of the rules (--baseline) made a difference, beside the one of before.
std::string ladders_html(const Report& report, const FlowResult& flow, Shapes& shapes, std::size_t& drawn) {
    const auto* const picture = report.picture.get();
    if (picture == nullptr || !picture->ladders.contains(flow.id)) return {};
    if (drawn + shapes.bytes() >= ladders_max) return "<p class=\"dim\">No ladder, so that the page stays small: run this flow alone (--only).</p>\n";
    auto now = ladder_html(flow, flow.id, flow.rule, picture->ladders.at(flow.id), *picture, shapes);
    const auto* const change = change_of(report, flow.id);
    const auto* const old = report.baseline ? report.baseline->picture.get() : nullptr;
    if (change != nullptr && change->change != Change::unchanged && old != nullptr && old->ladders.contains(flow.id)) {
        const auto before = ladder_html(flow, flow.id + " before the change", change->rule_before, old->ladders.at(flow.id), *old, shapes);
        if (!before.empty())
            now = fmt::format("<div class=\"sides\"><div><h3>Before: {}</h3>\n{}</div><div><h3>Now: {}</h3>\n{}</div></div>\n", xml_escaped(change->before),
                              before, xml_escaped(change->after), now);
    }
    drawn += now.size();
    return now;
}

std::string flow_html(const Report& report, std::size_t index, Shapes& shapes, std::size_t& drawn) {
    const auto& flow = report.flows[index];
    const auto css = state_of(flow);
    std::string rule = flow.rule ? fmt::format("{}:{}", flow.rule->file, flow.rule->line) : std::string{"no rule"};
    std::string out = fmt::format(
        "<details class=\"flow {0}\" id=\"f{1}\" data-s=\"{0}\" data-cause=\"{2}\" data-rule=\"{3}\" data-zone=\"{4}\" data-type=\"{5}\">\n"
        "<summary><span class=\"{0}\">{6} <b>{7}</b></span> <span class=\"dim\">{5}, {8} → {9}:</span> {10}</summary>\n",
        css, index, xml_escaped(why(flow).empty() ? std::string{text(flow.verdict)} : why(flow)), xml_escaped(rule),
        xml_escaped(zones_of(report, flow)), xml_escaped(flow.type), mark_of(flow), xml_escaped(flow.id),
        xml_escaped(flow.from), xml_escaped(flow.to), xml_escaped(headline(flow)));
    if (!flow.as_expected) out += fmt::format("<p>Expected {}.</p>\n", xml_escaped(expected_words(flow.expected)));
    if (const auto words = account_words(flow); !words.empty()) out += fmt::format("<p>{}</p>\n", xml_escaped(words));
    out += points_html(report, flow);
    out += ladders_html(report, flow, shapes, drawn);
    return out + legs_html(flow.legs) + "</details>\n";
}

constexpr std::string_view tools_html = R"(<div class="tools">
<label>search <input id="q" type="search" placeholder="/"></label>
<label>show <select id="state"><option value="all">all</option><option value="bad">not as expected</option><option value="unsure">inconclusive</option><option value="good">as expected</option></select></label>
<label>group by <select id="group"><option value="none">nothing</option><option value="cause">cause</option><option value="rule">rule</option><option value="zone">zones</option><option value="type">type</option></select></label>
<button id="open" type="button">open or close all</button><button id="theme" type="button">light or dark</button>
<span id="count" role="status"></span></div>
)";

std::string identity_html(const Identity& identity) {
    std::string out;
    for (const auto& [name, value] : identity_words(identity))
        out += fmt::format("<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>\n", xml_escaped(name),
                           xml_escaped(value));
    return out.empty() ? out : "<table><tbody>\n" + out + "</tbody></table>\n";
}

}  // namespace

std::string render_html(const Report& report, const Style&) {
    const auto title = xml_escaped(report.scenario);
    const auto& sum = report.summary;
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\" class=\"noscript\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\">\n<meta name=\"referrer\" "
        "content=\"no-referrer\">\n<title>wmlab: {}</title>\n<style>{}</style>\n</head>\n<body>\n"
        "<a class=\"skip\" href=\"#main\">to the results</a>\n<header><h1>{}</h1>\n"
        "<p class=\"sum {}\">{}</p>\n<p>Ruleset: <code>{}</code></p>\n",
        title, html_style, title,
        sum.unexpected > 0                       ? "bad"
        : sum.inconclusive > 0 || sum.flows == 0 ? "unsure"
                                                 : "good",
        xml_escaped(summary_words(report)), xml_escaped(ruleset_words(report)));
    if (const auto line = identity_line(report.identity); !line.empty())
        out += fmt::format("<p class=\"dim\">{}</p>\n", xml_escaped(line));
    out += "</header>\n<main id=\"main\">\n";
    for (const auto& note : report.notes) out += fmt::format("<p>{}</p>\n", xml_escaped(note));
    for (const auto& result : anyone_results(report)) out += fmt::format("<p>{}</p>\n", xml_escaped(anyone_words(result)));
    for (const auto& load : report.loads) out += fmt::format("<p>{}</p>\n", xml_escaped(load_paragraph(load)));
    if (report.flows.empty() && report.baseline) {
        section(out, "change", "What the change does", change_html(report));
        return out + "</main>\n</body>\n</html>\n";
    }
    if (report.flows.empty()) return out + "<p>No flow was tested.</p>\n</main>\n</body>\n</html>\n";
    section(out, "blame", "Not as expected", blame_html(report));
    section(out, "change", "What the change does", change_html(report));
    section(out, "events", "Events", events_html(report));
    section(out, "matrix", "Stream types by zones", matrix_html(report));
    if (report.picture) section(out, "where", "Where the hosts are", topology_svg(report, *report.picture));
    Shapes shapes;
    std::size_t drawn = 0;
    std::string flows{tools_html};
    flows += "<div id=\"list\">\n";
    for (const bool bad : {true, false})  // what is not as expected comes first
        for (std::size_t i = 0; i < report.flows.size(); ++i)
            if (report.flows[i].as_expected != bad) flows += flow_html(report, i, shapes, drawn);
    section(out, "flows", "Flows", flows + "</div>\n" + shapes.definitions());
    if (report.picture) section(out, "rules", "The ruleset", ruleset_html(report, *report.picture));
    section(out, "coverage", "What each rule did", coverage_html(report));
    section(out, "identity", "When, with what and on what", identity_html(report.identity));
    return out + fmt::format("</main>\n<script>{}</script>\n</body>\n</html>\n", html_script);
}

}  // namespace wmlab::lab
