// JUnit XML, as CI systems read it: a test case for each flow, a failure where it is not as expected, an error where no
// verdict was possible.
#include <spdlog/fmt/fmt.h>

#include "lab/report/renderers.hpp"

namespace wmlab::lab {

std::string render_junit(const Report& report, const Style&) {
    auto sum = report.summary;
    std::string openings;  // of a change: a failure each
    for (const auto& opened : report.baseline ? report.baseline->opened : std::vector<Opened>{}) {
        if (!opened.counts()) continue;
        ++sum.flows, ++(opened.proven ? sum.unexpected : sum.inconclusive);
        openings += fmt::format("    <testcase classname=\"change\" name=\"{0}\" time=\"0\">\n      <{1} type=\"newly-open\" message=\"{2}\">{3}</{1}>\n    </testcase>\n",
                                xml_escaped("opens " + what_words(opened)), opened.proven ? "failure" : "error",
                                xml_escaped(fmt::format("opens {}, {}; {}", where_words(opened), what_words(opened), by_words(opened))), xml_escaped(by_words(opened)));
    }
    for (const auto& flow : report.baseline ? report.baseline->flows : std::vector<FlowChange>{}) {
        if (flow.change != Change::worse || flow.explained || !flow.as_expected) continue;
        ++sum.flows, ++sum.unexpected;
        openings += fmt::format("    <testcase classname=\"change\" name=\"{0}\" time=\"0\">\n      <failure type=\"worse\" message=\"{1}\"/>\n    </testcase>\n",
                                xml_escaped(flow.id + " after the change"), xml_escaped(change_words(flow)));
    }
    if (report.baseline && report.baseline->live) {
        const auto& live = *report.baseline->live;
        const auto fails = [&](const std::string& name, const std::string& words) {
            ++sum.flows, ++sum.unexpected;
            openings += fmt::format("    <testcase classname=\"live\" name=\"{}\" time=\"0\">\n      <failure type=\"live\" message=\"{}\"/>\n    </testcase>\n", xml_escaped(name),
                                    xml_escaped(words));
        };
        if (!live.happening.problem.empty()) fails("the change is made", happening_words(live.happening));
        for (const auto& flow : live.flows)
            if (!flow.effect.as_expected) fails(flow.id + " while the change is made", effect_words(flow.effect));
    }
    const auto counts =
        fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\"", sum.flows, sum.unexpected, sum.inconclusive);
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    out += fmt::format("<testsuites name=\"wmlab\" {} time=\"{:.3f}\">\n", counts, sum.seconds);
    out += fmt::format("  <testsuite name=\"{}\" {} skipped=\"0\" time=\"{:.3f}\">\n", xml_escaped(report.scenario),
                       counts, sum.seconds);
    out += fmt::format("    <properties>\n      <property name=\"ruleset\" value=\"{}\"/>\n",
                       xml_escaped(ruleset_words(report)));
    if (report.baseline)
        out += fmt::format("      <property name=\"baseline\" value=\"{}\"/>\n", xml_escaped(report.baseline->ruleset));
    if (report.baseline)
        for (const auto& words : changes_words(*report.baseline))
            out += fmt::format("      <property name=\"change\" value=\"{}\"/>\n", xml_escaped(words));
    for (const auto& incident : report.incidents)
        out += fmt::format("      <property name=\"event\" value=\"{}\"/>\n", xml_escaped(happening_words(incident)));
    if (report.baseline && report.baseline->live)
        for (const auto& words : effects_words(effects_of(*report.baseline->live)))
            out += fmt::format("      <property name=\"live\" value=\"{}\"/>\n", xml_escaped(words));
    for (const auto& [name, value] : identity_words(report.identity))
        out += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", xml_escaped(name), xml_escaped(value));
    if (report.coverage)
        for (const auto& use : *report.coverage)
            out += fmt::format("      <property name=\"rule {}\" value=\"{}\"/>\n", xml_escaped(rule_words(use.rule)),
                               xml_escaped(use_words(use)));
    out += "    </properties>\n";
    for (const auto& flow : report.flows) {
        out += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", xml_escaped(flow.type),
                           xml_escaped(fmt::format("{} ({} -> {})", flow.id, flow.from, flow.to)),
                           flow.seconds.value_or(0));
        std::string details = account_words(flow) + "\n";
        for (const auto& leg : flow.legs) {
            for (const auto& sentence : leg.evidence) details += fmt::format("{}: {}\n", leg.name, sentence);
        }
        for (const auto& effect : flow.effects)
            if (effect.incident < report.incidents.size())
                details += fmt::format("{}: {}{}\n", happening_words(report.incidents[effect.incident]), effect_words(effect),
                                       effect.as_expected ? "" : ", which is not expected");
        const auto changed = changed_words(report, flow.id);
        if (!flow.transport.empty()) details = "transport: " + flow.transport + "\n" + details;
        if (!changed.empty()) details = changed + "\n" + details;
        if (flow.icmp) details += fmt::format("ICMP {}\n", icmp_line(*flow.icmp));
        if (flow.rule) details += fmt::format("rule: {}\n", rule_words(*flow.rule));
        if (flow.near_miss) {
            details += fmt::format("almost: {}; {}\n", rule_words(flow.near_miss->rule), flow.near_miss->differs);
        }
        if (!flow.change.empty()) details += fmt::format("must change: {}\n", flow.change);
        if (!flow.as_expected)
            for (const auto& suggestion : flow.suggestions) details += fmt::format("would help: {}\n", suggestion.rule);
        if (flow.as_expected) {
            out += flow.verdict == Verdict::pass && changed.empty() && flow.transport.empty() && flow.effects.empty()
                       ? "/>\n"
                       : fmt::format(">\n      <system-out>{}</system-out>\n    </testcase>\n",
                                     xml_escaped(headline(flow) + ", as expected\n" + details));
            continue;
        }
        const std::string_view element = says_nothing(flow.verdict) ? "error" : "failure";
        out += fmt::format(">\n      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n    </testcase>\n", element,
                           xml_escaped(why(flow).empty() ? std::string{text(flow.verdict)} : why(flow)),
                           xml_escaped(fmt::format("{}; expected {}{}{}", headline(flow), expected_words(flow.expected),
                                                   changed.empty() ? "" : "; ", changed)),
                           xml_escaped(details));
    }
    return out + openings + "  </testsuite>\n</testsuites>\n";
}

}  // namespace wmlab::lab
