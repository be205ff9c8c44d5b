#include "lab/audit/formats.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "lab/report/json_string.hpp"
#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

std::string headline_of(const ByRule& rule) {
    const auto count = rule.openings.size();
    return fmt::format("{} opens {}", rule.rule ? rule_words(*rule.rule) : std::string{"what could not be traced"},
                       count == 1 ? "what no flow needs" : fmt::format("{} ways that no flow needs", count));
}

std::string verdict_words(const AuditReport& report) {
    return fmt::format("{} open that no flow needs, {} that could not be tried; {:.1f} s", report.unneeded(),
                       report.not_tried.size() + static_cast<std::size_t>(std::ranges::count_if(report.conditional, [](const Conditional& c) {
                           return !c.proven && c.accepted.empty();
                       })) + (report.not_tested() > 0 ? 1 : 0),
                       report.seconds);
}

std::vector<std::string> untried(const AuditReport& report) {
    auto all = report.not_tried;
    if (report.not_tested() > 0) all.push_back(fmt::format("{} ports", report.not_tested()));
    return all;
}

std::vector<const Conditional*> open_conditions(const AuditReport& report) {
    std::vector<const Conditional*> all;
    for (const auto& conditional : report.conditional)
        if (!conditional.proven && conditional.accepted.empty()) all.push_back(&conditional);
    return all;
}

std::vector<std::string> shut_of(const AuditReport& report) {
    std::vector<std::string> all;
    for (const auto& pair : report.pairs)
        for (const auto& shut : pair.shut)
            all.push_back(fmt::format("{} -> {} {}: {}", pair.from, pair.to, scenario::text(pair.protocol), shut));
    return all;
}

std::string condition_words(const Conditional& conditional) {
    return fmt::format("{}: lets {} through if {}; no packet can be made to meet it", rule_words(conditional.rule), conditional.could_open,
                       conditional.condition);
}

std::string junit(const AuditReport& report) {
    const auto rules = by_rule(report);
    const auto conditions = open_conditions(report);
    const auto left = untried(report);
    std::size_t failures = 0;
    std::string cases;
    for (const auto& rule : rules) {
        if (rule.openings.empty()) continue;
        ++failures;
        cases += fmt::format("    <testcase classname=\"audit\" name=\"{}\" time=\"0\">\n      <failure type=\"open\" message=\"{}\">{}</failure>\n    </testcase>\n",
                             xml_escaped(rule.rule ? rule_words(*rule.rule) : "untraced"), xml_escaped(headline_of(rule)),
                             xml_escaped(fmt::format("{}", fmt::join(rule.openings, "\n"))));
    }
    const auto error = [&](const std::string& name, const std::string& what) {
        cases += fmt::format("    <testcase classname=\"audit\" name=\"{}\" time=\"0\">\n      <error type=\"not-tried\" message=\"{}\"/>\n    </testcase>\n",
                             xml_escaped(name), xml_escaped(what));
    };
    for (const auto* conditional : conditions) error(rule_words(conditional->rule), condition_words(*conditional));
    for (const auto& one : left) error("not tried", one);
    if (cases.empty()) cases = "    <testcase classname=\"audit\" name=\"nothing is open that no flow needs\" time=\"0\"/>\n";
    const auto counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", std::max<std::size_t>(1, failures + conditions.size() + left.size()),
                                    failures, conditions.size() + left.size());
    return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wmlab audit\" {0} time=\"{1:.3f}\">\n"
                       "  <testsuite name=\"{2}\" {0} skipped=\"0\" time=\"{1:.3f}\">\n{3}  </testsuite>\n</testsuites>\n",
                       counts, report.seconds, xml_escaped(report.scenario), cases);
}

std::string sarif(const AuditReport& report, const AuditStyle& style) {
    json::array results;
    const auto add = [&](std::string_view id, std::string_view level, const std::string& words, const std::optional<RuleRef>& rule) {
        json::object physical{{"artifactLocation", json::object{{"uri", string(rule && !rule->file.empty() ? rule->file : style.file)}}}};
        if (rule && rule->line != 0) physical["region"] = json::object{{"startLine", rule->line}};
        json::object result{{"ruleId", string(id)}, {"level", string(level)}, {"message", json::object{{"text", string(words)}}}};
        result["locations"] = json::array{json::object{{"physicalLocation", std::move(physical)}}};
        result["partialFingerprints"] = json::object{{"opening/v1", string(rule ? rule->text + " in " + rule->chain : words)}};
        results.push_back(std::move(result));
    };
    for (const auto& rule : by_rule(report))
        if (!rule.openings.empty()) add("open-not-needed", "error", fmt::format("{}: {}", headline_of(rule), fmt::join(rule.openings, "; ")), rule.rule);
    for (const auto* conditional : open_conditions(report)) add("conditional", "warning", condition_words(*conditional), conditional->rule);
    for (const auto& one : untried(report)) add("not-tried", "warning", "not tried: " + one, std::nullopt);
    json::array rules;
    for (const auto& [id, sentence] : std::initializer_list<std::pair<const char*, const char*>>{
             {"open-not-needed", "Something is open that no flow needs."},
             {"conditional", "A rule lets something through under a condition that could not be tried."},
             {"not-tried", "Something could not be tried."}})
        rules.push_back(json::object{{"id", id}, {"shortDescription", json::object{{"text", sentence}}}});
    const json::object root{
        {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
        {"version", "2.1.0"},
        {"runs", json::array{json::object{
                     {"tool", json::object{{"driver", json::object{{"name", "wmlab audit"}, {"rules", std::move(rules)}}}}},
                     {"results", std::move(results)}}}}};
    return json::serialize(root) + "\n";
}

std::string escaped_cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (std::string_view{"|<*_`[\\"}.find(c) != std::string_view::npos) out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

std::string markdown(const AuditReport& report) {
    std::string out = fmt::format("## wmlab audit: {}\n\n**{}**\n\nRuleset: {}\n", escaped_cell(report.scenario), verdict_words(report),
                                  escaped_cell(report.ruleset.empty() ? "none (forwards everything)" : report.ruleset));
    for (const auto& rule : by_rule(report)) {
        if (!rule.openings.empty()) out += fmt::format("\n### {}\n\n", escaped_cell(headline_of(rule)));
        for (const auto& opening : rule.openings) out += fmt::format("- {}\n", escaped_cell(opening));
        for (const auto& opening : rule.accepted) out += fmt::format("\n> {}\n", escaped_cell(opening));
    }
    for (const auto* conditional : open_conditions(report)) out += fmt::format("\n- conditional: {}\n", escaped_cell(condition_words(*conditional)));
    for (const auto& shut : shut_of(report)) out += fmt::format("\n- needed, but shut: {}\n", escaped_cell(shut));
    out += fmt::format("\nTried: {}\n", escaped_cell(fmt::format("all TCP and UDP ports; {}", fmt::join(report.tried, "; "))));
    const auto left = untried(report);
    out += fmt::format("\nNot tried: {}\n", left.empty() ? "nothing else that a rule asks for" : escaped_cell(fmt::format("{}", fmt::join(left, "; "))));
    for (const auto& note : report.notes) out += fmt::format("\n> {}\n", escaped_cell(note));
    return out;
}

std::string html(const AuditReport& report) {
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<meta name=\"referrer\" content=\"no-referrer\">\n<title>wmlab audit: {0}</title>\n"
        "<style>:root {{ color-scheme: light dark; }} body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }} "
        "h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 1.5rem 0 .3rem; }} ul {{ padding-left: 1.2rem; }} code {{ font: 13px/1.5 ui-monospace, monospace; }}</style>\n"
        "</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p><strong>{1}</strong></p>\n<p>Ruleset: <code>{2}</code></p>\n",
        xml_escaped(report.scenario), xml_escaped(verdict_words(report)), xml_escaped(report.ruleset.empty() ? "none (forwards everything)" : report.ruleset));
    for (const auto& rule : by_rule(report)) {
        out += fmt::format("<h2>{}</h2>\n<ul>\n", xml_escaped(headline_of(rule)));
        for (const auto& opening : rule.openings) out += fmt::format("<li>{}</li>\n", xml_escaped(opening));
        for (const auto& opening : rule.accepted) out += fmt::format("<li>{}</li>\n", xml_escaped(opening));
        out += "</ul>\n";
    }
    for (const auto* conditional : open_conditions(report)) out += fmt::format("<p>Conditional: {}</p>\n", xml_escaped(condition_words(*conditional)));
    for (const auto& shut : shut_of(report)) out += fmt::format("<p>Needed, but shut: {}</p>\n", xml_escaped(shut));
    out += fmt::format("<p>Tried: all TCP and UDP ports; {}</p>\n", xml_escaped(fmt::format("{}", fmt::join(report.tried, "; "))));
    const auto left = untried(report);
    out += fmt::format("<p>Not tried: {}</p>\n", left.empty() ? "nothing else that a rule asks for" : xml_escaped(fmt::format("{}", fmt::join(left, "; "))));
    for (const auto& note : report.notes) out += fmt::format("<p>{}</p>\n", xml_escaped(note));
    return out + "</main>\n</body>\n</html>\n";
}

std::string command_escaped(std::string_view text, bool property) {
    std::string out;
    for (const char c : text) {
        if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ',')))
            out += fmt::format("%{:02X}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out;
}

std::string github(const AuditReport& report, const AuditStyle& style) {
    std::string out;
    const auto add = [&](std::string_view level, std::string_view title, const std::string& words, const std::optional<RuleRef>& rule) {
        std::string properties;
        const auto& file = rule && !rule->file.empty() ? rule->file : style.file;
        if (!file.empty()) properties += fmt::format("file={},", command_escaped(file, true));
        if (rule && rule->line != 0) properties += fmt::format("line={},", rule->line);
        out += fmt::format("::{} {}title={}::{}\n", level, properties, command_escaped(title, true), command_escaped(words, false));
    };
    for (const auto& rule : by_rule(report))
        if (!rule.openings.empty()) add("error", headline_of(rule), fmt::format("{}", fmt::join(rule.openings, "; ")), rule.rule);
    for (const auto* conditional : open_conditions(report)) add("warning", "conditional", condition_words(*conditional), conditional->rule);
    for (const auto& one : untried(report)) add("warning", "not tried", one, std::nullopt);
    return out + fmt::format("::notice title=wmlab audit::{}\n", command_escaped(verdict_words(report), false));
}

std::string tap(const AuditReport& report) {
    std::string lines;
    std::size_t number = 0;
    const auto plain = [](std::string text) {
        std::ranges::replace(text, '#', ' ');
        std::ranges::replace(text, '\n', ' ');
        return text;
    };
    for (const auto& rule : by_rule(report))
        if (!rule.openings.empty()) lines += fmt::format("not ok {} - {}: {}\n", ++number, plain(headline_of(rule)), plain(fmt::format("{}", fmt::join(rule.openings, "; "))));
    for (const auto* conditional : open_conditions(report)) lines += fmt::format("not ok {} - {}\n", ++number, plain(condition_words(*conditional)));
    for (const auto& one : untried(report)) lines += fmt::format("not ok {} - not tried: {}\n", ++number, plain(one));
    if (number == 0) lines = fmt::format("ok {} - nothing is open that no flow needs\n", ++number);
    return fmt::format("TAP version 13\n1..{}\n{}", number, lines);
}

}  // namespace

std::vector<ByRule> by_rule(const AuditReport& report) {
    std::vector<ByRule> all;
    const auto of = [&](const std::optional<RuleRef>& rule) -> ByRule& {
        for (auto& one : all)
            if (one.rule.has_value() == rule.has_value() &&
                (!rule || (one.rule->file == rule->file && one.rule->line == rule->line && one.rule->text == rule->text && one.rule->chain == rule->chain)))
                return one;
        all.push_back({rule, {}, {}});
        return all.back();
    };
    for (const auto& pair : report.pairs)
        for (const auto& opening : pair.openings) {
            if (!opening.flows.empty()) continue;
            auto words = fmt::format("{} ({}) -> {} ({}): {} {}", pair.from, pair.from_zone, pair.to, pair.to_zone, scenario::text(pair.protocol), opening.ports.text());
            if (opening.accepted.empty())
                of(opening.rule).openings.push_back(std::move(words));
            else
                of(opening.rule).accepted.push_back(fmt::format("accepted ({}): {}", opening.accepted, words));
        }
    for (const auto& opened : report.opened) {
        if (!opened.flows.empty()) continue;
        auto words = fmt::format("{}: {}", where_words(opened), what_words(opened));
        if (opened.translated_by) words += "; translated by " + rule_words(*opened.translated_by);
        if (opened.accepted.empty())
            of(opened.rule).openings.push_back(std::move(words));
        else
            of(opened.rule).accepted.push_back(fmt::format("accepted ({}): {}", opened.accepted, words));
    }
    std::ranges::stable_sort(all, {}, [](const ByRule& one) { return one.rule ? one.rule->line : 0; });
    return all;
}

std::vector<std::string_view> audit_formats() { return {"text", "json", "junit", "tap", "sarif", "html", "markdown", "github"}; }

std::optional<std::string> render_audit(std::string_view format, const AuditReport& report, const AuditStyle& style) {
    if (format == "text") return audit_text(report, style.colour, style.quiet);
    if (format == "json") return audit_json(report);
    if (format == "junit") return junit(report);
    if (format == "tap") return tap(report);
    if (format == "sarif") return sarif(report, style);
    if (format == "html") return html(report);
    if (format == "markdown") return markdown(report);
    if (format == "github") return github(report, style);
    return std::nullopt;
}

}  // namespace wmlab::lab
