#include "lab/judge/judge.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

bool matches(const scenario::Expectation& expected, const FlowResult& flow) {
    if (expected.verdict && *expected.verdict != flow.verdict) return false;
    if (expected.leg && *expected.leg != flow.leg) return false;
    if (expected.cause && expected.cause != flow.cause) return false;
    return !expected.transport || *expected.transport == flow.transport;
}

// The positive control: what the same flow came to with the firewall open.
void apply_control(FlowResult& flow, const FlowResult& control, bool was_run) {
    const bool worked = control.verdict == Verdict::pass || control.verdict == Verdict::degraded;
    if (flow.verdict == Verdict::failed) {
        if (flow.type == "command" && was_run && worked) {
            flow.verdict = Verdict::blocked;
            flow.explanation += " With the firewall open it ends with exit status 0.";
        } else if (flow.type != "command" && was_run && worked) {
            doubt_flow(flow, Reason::contradiction, flow.leg,
                       fmt::format("With the firewall open the flow works, so no host is at fault; yet nothing shows that its packets were "
                                   "lost or changed: {}",
                                   flow.explanation));
        }
        return;
    }
    if (flow.verdict != Verdict::blocked && flow.verdict != Verdict::degraded) return;
    if (flow.by_proxy || flow.certain) return;
    if (!was_run) {
        doubt_flow(flow, Reason::control_missing, flow.leg,
                   fmt::format("The same flow was not run with the firewall open, so this proves nothing: {}",
                               flow.explanation));
    } else if (!worked || (flow.verdict == Verdict::degraded && control.verdict != Verdict::pass)) {
        doubt_flow(flow, Reason::control_failed, flow.leg,
                   fmt::format("With the firewall open the flow does not work either: {} Behind the firewall: {}",
                               control.explanation, flow.explanation));
    }
}

void summarise(Report& report) {
    report.summary.flows = static_cast<unsigned>(report.flows.size());
    for (auto& flow : report.flows) {
        flow.as_expected = matches(flow.expected, flow);
        if (flow.as_expected) {
            ++report.summary.as_expected;
        } else if (flow.verdict == Verdict::inconclusive) {
            ++report.summary.inconclusive;
        } else {
            ++report.summary.unexpected;
        }
    }
}

}  // namespace

Report judge(const scenario::Scenario& scenario, std::span<const evidence::Event> events,
             std::span<const evidence::Event> control, const JudgeOptions& options) {
    const Evidence evidence{scenario, events};
    const Evidence open{scenario, control};
    const Names names{scenario};
    Report report;
    report.scenario = scenario.name;
    report.file = scenario.file.string();
    report.ruleset = options.ruleset.empty() ? scenario.firewall.ruleset.string() : options.ruleset;
    report.summary.seconds = options.seconds;
    for (const auto* event : evidence.runner(What::ruleset_loaded)) {
        if (text_field(*event, "dialect") == "none") {
            report.notes.push_back("No ruleset was loaded: the firewall forwards everything.");
        } else if (options.ruleset.empty() && !text_field(*event, "file").empty()) {
            report.ruleset = text_field(*event, "file");
        }
        break;
    }
    report.notes.insert(report.notes.end(), options.problems.begin(), options.problems.end());

    for (const auto& instance : scenario::instances(scenario)) {
        if (options.only && !options.only(instance)) continue;
        auto flow = judge_flow({scenario, evidence, names, instance, evidence.flow(instance.id)});
        if (!options.problems.empty() && flow.verdict != Verdict::pass && flow.verdict != Verdict::inconclusive) {
            doubt_flow(flow, Reason::journal_incomplete, flow.leg,
                       fmt::format("The journals could not be read completely: {} What the rest says: {}",
                                   options.problems.front(), flow.explanation));
        }
        const bool asks = flow.verdict != Verdict::pass && flow.verdict != Verdict::inconclusive;
        if (options.control_run && asks) {
            const auto& view = open.flow(instance.id);
            const bool was_run = !view.hosts.empty();
            apply_control(flow, judge_flow({scenario, open, names, instance, view}), was_run);
        }
        report.flows.push_back(std::move(flow));
    }
    summarise(report);
    return report;
}

std::vector<std::string> needs_control(const Report& report) {
    std::vector<std::string> ids;
    for (const auto& flow : report.flows) {
        const bool failed = flow.verdict == Verdict::failed;
        const bool stopped = flow.verdict == Verdict::blocked || flow.verdict == Verdict::degraded;
        if ((stopped && !flow.by_proxy && !flow.certain) || failed) ids.push_back(flow.id);
    }
    return ids;
}

int exit_code(const Report& report) {
    const bool tested =
        std::ranges::any_of(report.flows, [](const FlowResult& flow) { return flow.verdict != Verdict::inconclusive; });
    if (report.summary.unexpected > 0) return 1;
    return report.summary.inconclusive > 0 || !tested ? 4 : 0;
}

}  // namespace wmlab::lab
