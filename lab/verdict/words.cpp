#include "lab/verdict/words.hpp"

#include <spdlog/fmt/fmt.h>

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
