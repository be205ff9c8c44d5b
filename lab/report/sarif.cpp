// SARIF 2.1.0: a result for each flow that is not as expected, located at the rule that decided or at the flow.
#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>

#include "lab/explain/pages.hpp"
#include "lab/report/json_string.hpp"
#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace {

namespace json = boost::json;

json::object message(std::string_view text) { return {{"text", string(text)}}; }

json::object location(std::string_view file, unsigned line) {
    json::object physical{{"artifactLocation", json::object{{"uri", string(file)}}}};
    if (line != 0) physical["region"] = json::object{{"startLine", line}};
    return {{"physicalLocation", std::move(physical)}};
}

}  // namespace

std::string render_sarif(const Report& report, const Style&) {
    json::array rules;
    for (const auto& entry : pages()) {
        rules.push_back(json::object{{"id", string(entry.code)},
                                     {"shortDescription", message(entry.sentence)},
                                     {"fullDescription", message(entry.meaning)},
                                     {"help", message(fmt::format("{} {}", entry.check, entry.mend))}});
    }
    for (const auto& [code, sentence] : {std::pair{"not-blocked", "A flow gets through that should not."},
                                         std::pair{"protocol-error", "The protocol ended in an error."},
                                         std::pair{"newly-open", "A change of the rules opens what no flow needs."},
                                         std::pair{"worse", "A flow works less well after a change of the rules."}}) {
        rules.push_back(json::object{{"id", code}, {"shortDescription", message(sentence)}});
    }
    json::array results;
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        auto rule = why(flow);
        if (rule.empty()) rule = flow.verdict == Verdict::pass ? "not-blocked" : "protocol-error";
        json::object result{
            {"ruleId", string(rule)},
            {"level", flow.verdict == Verdict::inconclusive ? "warning" : "error"},
            {"message", message(fmt::format("{} ({} -> {}): {}; expected {}. {}", flow.id, flow.from, flow.to,
                                            headline(flow), expected_words(flow.expected), flow.explanation))}};
        json::array locations;
        if (flow.rule && !flow.rule->file.empty()) {
            locations.push_back(location(flow.rule->file, flow.rule->line));
        } else if (!report.file.empty() && report.file != "-") {
            locations.push_back(location(report.file, flow.line));
        }
        if (!locations.empty()) result["locations"] = std::move(locations);
        result["partialFingerprints"] = json::object{{"flow/v1", string(flow.id)}};
        results.push_back(std::move(result));
    }
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
    const json::object root{
        {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
        {"version", "2.1.0"},
        {"runs", json::array{json::object{
                     {"tool", json::object{{"driver", json::object{{"name", "wmlab"}, {"rules", std::move(rules)}}}}},
                     {"results", std::move(results)}}}}};
    return json::serialize(root) + "\n";
}

}  // namespace wmlab::lab
