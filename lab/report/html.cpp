// One HTML page that needs nothing else: no scripts, no fonts, no network.
#include <spdlog/fmt/fmt.h>

#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace {

constexpr std::string_view style_sheet = R"(
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
.good { color: #1a7f37; } .bad { color: #cf222e; font-weight: 600; } .unsure { color: #9a6700; font-weight: 600; }
@media (prefers-color-scheme: dark) { .good { color: #3fb950; } .bad { color: #f85149; } .unsure { color: #d29922; } }
details { margin: .5rem 0; } summary { cursor: pointer; } code { font-size: 90%; }
)";

std::string_view css_class(const FlowResult& flow) {
    if (flow.as_expected) return "good";
    return flow.verdict == Verdict::inconclusive ? "unsure" : "bad";
}

std::string item(std::string_view label, std::string_view text) {
    return fmt::format("<li>{}: <code>{}</code></li>\n", label, xml_escaped(text));
}

}  // namespace

std::string render_html(const Report& report, const Style&) {
    const auto title = xml_escaped(report.scenario);
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>wmlab: "
        "{}</title>\n<style>{}</style>\n</head>\n<body>\n<h1>{}</h1>\n<p><strong>{}</strong></p>\n"
        "<p>Ruleset: <code>{}</code></p>\n",
        title, style_sheet, title, xml_escaped(summary_words(report)), xml_escaped(ruleset_words(report)));
    for (const auto& note : report.notes) out += fmt::format("<p>{}</p>\n", xml_escaped(note));
    if (report.baseline) {
        std::string points;
        for (const auto& flow : report.baseline->flows)
            if (flow.change != Change::unchanged && !flow.before.empty()) points += fmt::format("<li>{}: {}</li>\n", xml_escaped(flow.id), xml_escaped(change_words(flow)));
        for (const auto* list : {&report.baseline->opened, &report.baseline->closed})
            for (const auto& opened : *list)
                points += fmt::format("<li>{} {}, {}; {}</li>\n", list == &report.baseline->opened ? "opens" : "closes", xml_escaped(where_words(opened)),
                                      xml_escaped(what_words(opened)), xml_escaped(by_words(opened)));
        for (const auto& left : report.baseline->not_tried) points += fmt::format("<li>not tried: {}</li>\n", xml_escaped(left));
        out += fmt::format("<h2>What the change does</h2>\n<p>Against <code>{}</code></p>\n<ul>\n{}</ul>\n", xml_escaped(report.baseline->ruleset),
                           points.empty() ? "<li>nothing</li>\n" : points);
        if (report.flows.empty()) return out + "</body>\n</html>\n";
    }
    if (report.flows.empty()) return out + "<p>No flow was tested.</p>\n</body>\n</html>\n";
    out +=
        "<table>\n<thead><tr><th>flow</th><th>type</th><th>from &rarr; "
        "to</th><th>verdict</th><th>leg</th><th>cause</th></tr></thead>\n<tbody>\n";
    for (const auto& flow : report.flows) {
        out += fmt::format(
            "<tr><td><a href=\"#{0}\">{0}</a></td><td>{1}</td><td>{2} &rarr; {3}</td><td "
            "class=\"{4}\">{5}</td><td>{6}</td><td>{7}</td></tr>\n",
            xml_escaped(flow.id), flow.type, flow.from, flow.to, css_class(flow), text(flow.verdict),
            xml_escaped(flow.leg), why(flow));
    }
    out += "</tbody>\n</table>\n";
    for (const auto& flow : report.flows) {
        out += fmt::format(
            "<details id=\"{0}\"{1}>\n<summary><strong>{0}</strong>: <span class=\"{2}\">{3}</span></summary>\n",
            xml_escaped(flow.id), flow.as_expected ? "" : " open", css_class(flow), xml_escaped(headline(flow)));
        if (!flow.as_expected) out += fmt::format("<p>Expected {}.</p>\n", xml_escaped(expected_words(flow.expected)));
        if (!flow.explanation.empty()) out += fmt::format("<p>{}</p>\n", xml_escaped(flow.explanation));
        std::string points;
        if (flow.rule) points += item("rule", rule_words(*flow.rule));
        if (flow.near_miss) points += item("almost", rule_words(flow.near_miss->rule) + "; " + flow.near_miss->differs);
        if (!flow.change.empty()) points += item("must change", flow.change);
        for (const auto& suggestion : flow.suggestions) points += item("would help", suggestion.rule);
        if (flow.icmp) points += item("ICMP", icmp_line(*flow.icmp));
        for (const auto& retry : flow.retries) points += fmt::format("<li>retried: {}</li>\n", xml_escaped(retry));
        for (const auto& note : flow.notes) points += fmt::format("<li>{}</li>\n", xml_escaped(note));
        if (!points.empty()) out += "<ul>\n" + points + "</ul>\n";
        if (!flow.legs.empty()) {
            out +=
                "<table>\n<thead><tr><th>leg</th><th>protocol</th><th>source</th><th>destination</th><th>verdict</"
                "th><th>evidence</th></tr></thead>\n<tbody>\n";
            for (const auto& leg : flow.legs) {
                std::string evidence;
                for (const auto& sentence : leg.evidence) evidence += xml_escaped(sentence) + "<br>";
                out += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                                   xml_escaped(leg.name), leg.protocol, xml_escaped(leg.source),
                                   xml_escaped(leg.destination), text(leg.verdict), evidence);
            }
            out += "</tbody>\n</table>\n";
        }
        out += "</details>\n";
    }
    return out + "</body>\n</html>\n";
}

}  // namespace wmlab::lab
