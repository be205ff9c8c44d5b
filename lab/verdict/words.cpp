#include "lab/verdict/words.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace wmlab::lab {

std::string why(const FlowResult& flow) {
    if (flow.cause) return std::string{text(*flow.cause)};
    return flow.reason ? std::string{text(*flow.reason)} : std::string{};
}

std::string headline(const FlowResult& flow) {
    std::string words{text(flow.verdict)};
    if (!flow.leg.empty()) words += " at " + flow.leg;
    if (const auto code = why(flow); !code.empty()) words += ": " + code;
    if (!flow.direction.empty()) words += fmt::format(" ({})", flow.direction);
    return words;
}

std::string outcome_words(const FlowResult& flow) {
    auto words = headline(flow);
    if (flow.type == "mms-auto" && !flow.transport.empty()) words += " over " + flow.transport;
    return words;
}

std::string expected_words(const scenario::Expectation& expected) {
    std::string words = expected.verdict ? std::string{text(*expected.verdict)} : std::string{"any verdict"};
    if (expected.leg) words += " at " + *expected.leg;
    if (expected.cause) words += fmt::format(": {}", text(*expected.cause));
    if (expected.transport) words += " over " + *expected.transport;
    return words;
}

std::string rule_words(const RuleRef& rule) {
    auto words = rule.line == 0 ? rule.file : fmt::format("{}:{}", rule.file, rule.line);
    if (!rule.text.empty()) words += ": " + rule.text;
    if (!rule.chain.empty()) words += fmt::format(" ({})", rule.chain);
    return words;
}

std::string where_words(const Opened& opened) {
    if (!opened.proven) return "conditional";
    return fmt::format("{} -> {}: {} -> {}", opened.from_zone, opened.to_zone, fmt::join(opened.from, ", "), fmt::join(opened.to, ", "));
}

std::string what_words(const Opened& opened) {
    if (!opened.proven) return fmt::format("{}, if {} (told from the rule: no packet can be made to meet it)", opened.protocol, opened.condition);
    std::string numbers;
    for (const auto& range : opened.ports) numbers += (numbers.empty() ? "" : ", ") + range.text();
    auto words = opened.protocol == "ip"             ? "IP protocol " + numbers
                 : opened.protocol.starts_with("ic") ? opened.protocol + " type " + numbers
                                                     : opened.protocol + " " + numbers;
    if (opened.family == "ipv6") words = "IPv6 " + words;
    if (!opened.condition.empty()) words += ", " + opened.condition;
    if (!opened.leads_to.empty()) words += ", leads to " + opened.leads_to;
    return words;
}

std::string by_words(const Opened& opened) {
    std::string words = opened.rule ? "by " + rule_words(*opened.rule) : std::string{"by which rule could not be traced"};
    if (opened.translated_by) words += "; translated by " + rule_words(*opened.translated_by);
    return words;
}

std::string icmp_line(const Icmp& icmp) {
    auto words = fmt::format("{}/{} from {}", icmp.type, icmp.code, icmp.from);
    if (!icmp.name.empty() && icmp.name != icmp.from) words += fmt::format(", {}", icmp.name);
    return words;
}

std::string summary_words(const Report& report) {
    const auto& sum = report.summary;
    return fmt::format("{} flow{}: {} as expected, {} not, {} inconclusive; {:.1f} s", sum.flows,
                       sum.flows == 1 ? "" : "s", sum.as_expected, sum.unexpected, sum.inconclusive, sum.seconds);
}

bool is_bad(const FlowResult& flow) { return !flow.as_expected && flow.verdict != Verdict::inconclusive; }

std::string ruleset_words(const Report& report) {
    return report.ruleset.empty() ? "none: the firewall forwards everything" : report.ruleset;
}

}  // namespace wmlab::lab
