// SARIF 2.1.0: a result for each flow that is not as expected, located at the rule that decided or at the flow.
#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>
#include <cctype>
#include <filesystem>

#include "lab/explain/pages.hpp"
#include "lab/report/json_string.hpp"
#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

namespace json = boost::json;

json::object message(std::string_view text) { return {{"text", string(text)}}; }

// In the text of a message [words](target) is a link (SARIF 2.1.0, 3.11.6); in what others wrote it is none.
std::string without_links(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// A file's name as a reference of RFC 3986.
std::string uri_of(std::string_view file) {
    std::string out = file.starts_with('/') ? "file://" : "";
    if (file.starts_with("./")) file.remove_prefix(2);
    for (const char c : file) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) || std::string_view{"-._~/+,=@"}.find(c) != std::string_view::npos)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    return out;
}

json::object location(std::string_view file, unsigned line, std::string_view snippet = {}) {
    json::object physical{{"artifactLocation", json::object{{"uri", string(uri_of(file))}}}};
    if (line != 0) {
        json::object region{{"startLine", line}};
        if (!snippet.empty()) region["snippet"] = message(snippet);
        physical["region"] = std::move(region);
    }
    return {{"physicalLocation", std::move(physical)}};
}

json::object related(std::string_view file, unsigned line, std::string_view words) {
    auto place = location(file, line);
    place["message"] = message(without_links(words));
    return place;
}

// By which a code scanner knows the finding again, although its line has moved: 64 bits of FNV-1a.
std::string fingerprint(const Report& report, const FlowResult& flow, std::string_view rule) {
    std::uint64_t sum = 14695981039346656037ULL;
    for (const auto part :
         {std::string_view{report.scenario}, std::string_view{flow.id}, std::string_view{flow.leg}, rule}) {
        for (const char c : part) sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
        sum = (sum ^ 0xff) * 1099511628211ULL;
    }
    return fmt::format("{:016x}", sum);
}

json::object rule_of(const Page& page) {
    const auto help =
        fmt::format("{}\n\nHow to check it: {}\n\nHow to mend it: {}", page.meaning, page.check, page.mend);
    return {{"id", string(page.code)},
            {"name", string(page.code)},
            {"shortDescription", message(page.sentence)},
            {"fullDescription", message(page.meaning)},
            {"help",
             json::object{{"text", string(help)},
                          {"markdown", string(fmt::format("{}\n\n**How to check it.** {}\n\n**How to mend it.** {}\n\n"
                                                          "`wmlab explain {}` says the same.",
                                                          page.meaning, page.check, page.mend, page.code))}}},
            {"defaultConfiguration", json::object{{"level", page.cause ? "error" : "warning"}}},
            {"properties", json::object{{"tags", json::array{"firewall", page.cause ? "cause" : "inconclusive"}}}}};
}

json::object flow_properties(const Report& report, const FlowResult& flow) {
    json::object object{{"id", string(flow.id)},
                        {"type", string(flow.type)},
                        {"from", string(flow.from)},
                        {"to", string(flow.to)},
                        {"verdict", string(text(flow.verdict))},
                        {"as_expected", flow.as_expected}};
    if (!flow.transport.empty()) object["transport"] = string(flow.transport);
    if (const auto* const change = change_of(report, flow.id)) object["change"] = string(text(change->change));
    return object;
}

json::object run_properties(const Report& report) {
    const auto& sum = report.summary;
    json::object object{{"scenario", string(report.scenario)},
                        {"ruleset", string(ruleset_words(report))},
                        {"summary", json::object{{"flows", sum.flows},
                                                 {"as_expected", sum.as_expected},
                                                 {"unexpected", sum.unexpected},
                                                 {"inconclusive", sum.inconclusive},
                                                 {"seconds", sum.seconds}}}};
    json::array flows;
    for (const auto& flow : report.flows) flows.push_back(flow_properties(report, flow));
    object["flows"] = std::move(flows);
    if (!report.loads.empty()) {
        json::array loads;
        for (const auto& load : report.loads) loads.push_back(string(load_paragraph(load)));
        object["loads"] = std::move(loads);
    }
    if (report.baseline) {
        object["baseline"] = string(report.baseline->ruleset);
        json::array changes;
        for (const auto& words : changes_words(*report.baseline)) changes.push_back(string(words));
        object["changes"] = std::move(changes);
    }
    if (report.coverage) {
        json::array uses;
        for (const auto& use : *report.coverage)
            uses.push_back(string(fmt::format("{}: {}", rule_words(use.rule), use_words(use))));
        object["coverage"] = std::move(uses);
    }
    json::object identity;
    for (const auto& [name, value] : identity_words(report.identity)) identity[view(name)] = string(value);
    if (!identity.empty()) object["identity"] = std::move(identity);
    return object;
}

json::object result_of(const Report& report, const FlowResult& flow) {
    auto rule = why(flow);
    if (rule.empty()) rule = flow.verdict == Verdict::pass ? "not-blocked" : "protocol-error";
    auto words = fmt::format("{} ({} -> {}): {}; expected {}. {}", flow.id, flow.from, flow.to, headline(flow),
                             expected_words(flow.expected), account_words(flow));
    if (const auto changed = changed_words(report, flow.id); !changed.empty()) words += fmt::format("\n{}.", changed);
    for (const auto& suggestion : flow.suggestions) words += fmt::format("\nWould help: {}", suggestion.rule);
    json::object result{{"ruleId", string(rule)},
                        {"level", says_nothing(flow.verdict) ? "warning" : "error"},
                        {"message", message(without_links(words))}};
    json::array locations, others;
    const bool scenario_is_a_file = !report.file.empty() && report.file != "-";
    if (flow.rule && !flow.rule->file.empty()) {
        locations.push_back(location(flow.rule->file, flow.rule->line, flow.rule->text));
        if (scenario_is_a_file) others.push_back(related(report.file, flow.line, "the flow"));
    } else if (scenario_is_a_file) {
        locations.push_back(location(report.file, flow.line));
    }
    if (flow.near_miss && !flow.near_miss->rule.file.empty())
        others.push_back(related(flow.near_miss->rule.file, flow.near_miss->rule.line,
                                 "almost matched: " + flow.near_miss->differs));
    result["locations"] = std::move(locations);
    if (!others.empty()) result["relatedLocations"] = std::move(others);
    result["partialFingerprints"] = json::object{{"wmlabFlow/v1", string(fingerprint(report, flow, rule))}};
    result["properties"] = flow_properties(report, flow);
    return result;
}

}  // namespace

std::string render_sarif(const Report& report, const Style&) {
    json::array rules;
    for (const auto& entry : pages()) rules.push_back(rule_of(entry));
    for (const auto& [code, sentence] : {std::pair{"not-blocked", "A flow gets through that should not."},
                                         std::pair{"protocol-error", "The protocol ended in an error."},
                                         std::pair{"newly-open", "A change of the rules opens what no flow needs."},
                                         std::pair{"worse", "A flow works less well after a change of the rules."}}) {
        rules.push_back(json::object{{"id", code},
                                     {"name", code},
                                     {"shortDescription", message(sentence)},
                                     {"fullDescription", message(sentence)},
                                     {"help", message(sentence)}});
    }
    json::array results;
    for (const auto& flow : report.flows)
        if (!flow.as_expected) results.push_back(result_of(report, flow));
    const auto told = [&](const std::string& id, std::string_view level, const std::string& words, const std::optional<RuleRef>& by) {
        json::object result{{"ruleId", string(id)}, {"level", string(level)}, {"message", message(words)}};
        if (by && !by->file.empty())
            result["locations"] = json::array{location(by->file, by->line)};
        else if (!report.file.empty() && report.file != "-")
            result["locations"] = json::array{location(report.file, 0)};
        result["partialFingerprints"] = json::object{{"change/v1", string(words)}};
        results.push_back(std::move(result));
    };
    for (const auto& opened : report.baseline ? report.baseline->opened : std::vector<Opened>{})
        if (opened.counts())
            told("newly-open", opened.proven ? "error" : "warning", fmt::format("The change opens {}, {}; {}", where_words(opened), what_words(opened), by_words(opened)),
                 opened.leads_to.empty() || !opened.translated_by ? opened.rule : opened.translated_by);
    for (const auto& flow : report.baseline ? report.baseline->flows : std::vector<FlowChange>{})
        if (flow.change == Change::worse && !flow.explained) told("worse", "error", flow.id + ": " + change_words(flow), flow.by);
    json::object driver{{"name", "wmlab"}, {"rules", std::move(rules)}};
    const auto& identity = report.identity;
    if (!identity.version.empty()) {
        driver["version"] =
            string(identity.commit.empty() ? identity.version : identity.version + "+" + identity.commit);
        driver["semanticVersion"] = string(identity.version);
    }
    json::object run{{"tool", json::object{{"driver", std::move(driver)}}},
                     {"automationDetails", json::object{{"id", string("wmlab/" + uri_of(report.scenario) + "/")}}},
                     {"columnKind", "utf16CodeUnits"},
                     {"results", std::move(results)},
                     {"properties", run_properties(report)}};
    if (!identity.when.empty())
        run["invocations"] =
            json::array{json::object{{"executionSuccessful", true}, {"startTimeUtc", string(identity.when)}}};
    const json::object root{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                            {"version", "2.1.0"},
                            {"runs", json::array{std::move(run)}}};
    return inert_json(json::serialize(root)) + "\n";
}

}  // namespace wmlab::lab
