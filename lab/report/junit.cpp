// JUnit XML, as CI systems read it: a test case for each flow, a failure where it is not as expected, an error where no
// verdict was possible.
#include <spdlog/fmt/fmt.h>

#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

// What a change opens or makes worse: a failure each, counted in `sum`.
std::string change_cases(const Comparison& change, Summary& sum) {
    std::string out;
    for (const auto& opened : change.opened) {
        if (!opened.counts()) continue;
        ++sum.flows, ++(opened.proven ? sum.unexpected : sum.inconclusive);
        out += fmt::format(
            "    <testcase classname=\"change\" name=\"{0}\" time=\"0\">\n      <{1} type=\"newly-open\" message=\"{2}\">{3}</{1}>\n    </testcase>\n",
            xml_escaped("opens " + what_words(opened)), opened.proven ? "failure" : "error",
            xml_escaped(fmt::format("opens {}, {}; {}", where_words(opened), what_words(opened), by_words(opened))), xml_escaped(by_words(opened)));
    }
    for (const auto& flow : change.flows) {
        if (flow.change != Change::worse || flow.explained || !flow.as_expected) continue;
        ++sum.flows, ++sum.unexpected;
        out += fmt::format("    <testcase classname=\"change\" name=\"{0}\" time=\"0\">\n      <failure type=\"worse\" message=\"{1}\"/>\n    </testcase>\n",
                           xml_escaped(flow.id + " after the change"), xml_escaped(change_words(flow)));
    }
    return out;
}

std::string live_cases(const Live& live, Summary& sum) {
    std::string out;
    const auto fails = [&](const std::string& name, const std::string& words) {
        ++sum.flows, ++sum.unexpected;
        out += fmt::format("    <testcase classname=\"live\" name=\"{}\" time=\"0\">\n      <failure type=\"live\" message=\"{}\"/>\n    </testcase>\n",
                           xml_escaped(name), xml_escaped(words));
    };
    if (!live.happening.problem.empty()) fails("the change is made", happening_words(live.happening));
    for (const auto& flow : live.flows)
        if (!flow.effect.as_expected) fails(flow.id + " while the change is made", effect_words(flow.effect));
    return out;
}

std::string properties(const Report& report) {
    std::string out = "    <properties>\n";
    const auto add = [&](std::string_view name, std::string_view value) {
        out += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", xml_escaped(name), xml_escaped(value));
    };
    add("ruleset", ruleset_words(report));
    if (report.baseline) {
        add("baseline", report.baseline->ruleset);
        for (const auto& words : changes_words(*report.baseline)) add("change", words);
    }
    for (const auto& load : report.loads) add("load", load_paragraph(load));
    for (const auto& incident : report.incidents) add("event", happening_words(incident));
    if (report.baseline && report.baseline->live)
        for (const auto& words : effects_words(effects_of(*report.baseline->live))) add("live", words);
    for (const auto& [name, value] : identity_words(report.identity)) add(name, value);
    if (report.coverage)
        for (const auto& use : *report.coverage) add("rule " + rule_words(use.rule), use_words(use));
    return out + "    </properties>\n";
}

std::string details_of(const Report& report, const FlowResult& flow, const std::string& changed) {
    std::string details = changed.empty() ? std::string{} : changed + "\n";
    if (!flow.transport.empty()) details += "transport: " + flow.transport + "\n";
    details += account_words(flow) + "\n";
    for (const auto& leg : flow.legs)
        for (const auto& sentence : leg.evidence) details += fmt::format("{}: {}\n", leg.name, sentence);
    for (const auto& effect : flow.effects)
        if (effect.incident < report.incidents.size())
            details += fmt::format("{}: {}{}\n", happening_words(report.incidents[effect.incident]), effect_words(effect),
                                   effect.as_expected ? "" : ", which is not expected");
    if (flow.icmp) details += fmt::format("ICMP {}\n", icmp_line(*flow.icmp));
    if (flow.rule) details += fmt::format("rule: {}\n", rule_words(*flow.rule));
    if (flow.near_miss) details += fmt::format("almost: {}; {}\n", rule_words(flow.near_miss->rule), flow.near_miss->differs);
    if (!flow.change.empty()) details += fmt::format("must change: {}\n", flow.change);
    if (!flow.as_expected)
        for (const auto& suggestion : flow.suggestions) details += fmt::format("would help: {}\n", suggestion.rule);
    return details;
}

std::string flow_case(const Report& report, const FlowResult& flow) {
    const auto changed = changed_words(report, flow.id);
    const auto details = details_of(report, flow, changed);
    const auto head = fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml_escaped(flow.type),
                                  xml_escaped(fmt::format("{} ({} -> {})", flow.id, flow.from, flow.to)), flow.seconds.value_or(0));
    if (flow.as_expected) {
        if (flow.verdict == Verdict::pass && changed.empty() && flow.transport.empty() && flow.effects.empty()) return head + "/>\n";
        return head + fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n", xml_escaped(headline(flow) + ", as expected\n" + details));
    }
    const std::string_view element = says_nothing(flow.verdict) ? "error" : "failure";
    return head +
           fmt::format(">\n      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n    </testcase>\n", element,
                       xml_escaped(why(flow).empty() ? std::string{text(flow.verdict)} : why(flow)),
                       xml_escaped(fmt::format("{}; expected {}{}{}", headline(flow), expected_words(flow.expected), changed.empty() ? "" : "; ", changed)),
                       xml_escaped(details));
}

}  // namespace

std::string render_junit(const Report& report, const Style&) {
    auto sum = report.summary;
    std::string changes;
    if (report.baseline) changes = change_cases(*report.baseline, sum);
    if (report.baseline && report.baseline->live) changes += live_cases(*report.baseline->live, sum);
    const auto counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", sum.flows, sum.unexpected, sum.inconclusive);
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    out += fmt::format("<testsuites name=\"wmlab\" {} time=\"{:.3f}\">\n", counts, sum.seconds);
    out += fmt::format("  <testsuite name=\"{}\" {} skipped=\"0\" time=\"{:.3f}\">\n", xml_escaped(report.scenario), counts, sum.seconds);
    out += properties(report);
    for (const auto& flow : report.flows) out += flow_case(report, flow);
    return out + changes + "  </testsuite>\n</testsuites>\n";
}

}  // namespace wmlab::lab
