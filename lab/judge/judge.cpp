#include "lab/judge/judge.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <set>

#include "lab/judge/flow.hpp"
#include "lab/judge/load.hpp"
#include "lab/verdict/comparison.hpp"
#include "lab/verdict/exit_code.hpp"
#include "lab/verdict/expectation.hpp"

namespace wmlab::lab {
namespace {

// A journal may hold anything: what cannot be judged costs its flow, not the report.
FlowResult judge_safely(const FlowContext& context) {
    try {
        auto flow = judge_flow(context);
        name_boxes(context, flow);
        return flow;
    } catch (const std::exception& failure) {
        auto flow = blank_flow(context);
        doubt_flow(flow, Reason::contradiction, "",
                   fmt::format("What the journals hold of this flow cannot be made sense of: {}.", failure.what()));
        return flow;
    }
}

// A flow that plays what another one was to bring is not tested where that one did not.
void judge_dependence(const scenario::Scenario& scenario, const scenario::FlowInstance& instance, FlowResult& flow,
                      const std::function<const FlowResult&(const scenario::FlowInstance&)>& result_of) {
    const auto source = scenario::feeder(scenario, instance);
    if (!source || flow.verdict == Verdict::pass) return;
    const auto& bringing = result_of(*source);
    if (working(bringing.verdict)) return;
    // Packets of this very flow that were stopped say so all the same, unless it is the media that did not come.
    if (flow.verdict == Verdict::blocked && flow.cause != Cause::starved) return;
    const auto explanation =
        fmt::format("It plays what {} was to bring to {}, and that flow {}: {}", source->id,
                    instance.flow->type == scenario::FlowType::multicast ? instance.from : instance.to,
                    bringing.verdict == Verdict::not_tested ? "was not tested either"
                                                            : fmt::format("is {}", text(bringing.verdict)),
                    bringing.explanation);
    doubt_flow(flow, Reason::not_tried, "", explanation);
    flow.verdict = Verdict::not_tested;
    flow.reason.reset();
    flow.because = source->id;
    for (auto& leg : flow.legs)
        if (leg.verdict != Verdict::pass && leg.verdict != Verdict::blocked) doubt(leg, Reason::not_tried, leg.explanation);
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
                       fmt::format("With the firewall open the flow works, so no host is at fault; yet nothing shows that its packets were lost or changed: {}",
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

// The scenario's `events:` as they were done, in every wave once.
std::vector<Happening> incidents_of(const scenario::Scenario& scenario, const Evidence& evidence) {
    std::vector<Happening> incidents;
    for (const auto* event : evidence.runner(What::happened)) {
        const auto index = whole_field(*event, field::incident);
        if (!index || *index >= scenario.events.size()) continue;
        incidents.resize(scenario.events.size());
        auto& incident = incidents[*index];
        incident.kind = text_field(*event, field::kind);
        incident.what = text_field(*event, field::what);
        const auto& wished = scenario.events[*index];
        incident.at = std::chrono::duration<double>{wished.at}.count();
        if (wished.expect != scenario::Incident::Wish::none)
            incident.expect = wished.expect == scenario::Incident::Wish::untouched ? "untouched" : "survived";
        const auto began = whole_field(*event, field::began), ended = whole_field(*event, field::ended);
        if (began && ended && *ended >= *began) incident.took = std::max(incident.took, static_cast<double>(*ended - *began) / 1e6);
        if (const auto problem = text_field(*event, field::problem); !problem.empty()) incident.problem = problem;
    }
    return incidents;
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
        const auto box = text_field(*event, field::box);
        if (text_field(*event, field::dialect) == "none") {
            report.notes.push_back(box.empty() ? "No ruleset was loaded: the firewall forwards everything."
                                               : fmt::format("No ruleset was loaded into firewall {}: it forwards everything.", box));
        } else if (box.empty() && options.ruleset.empty() && !text_field(*event, field::file).empty()) {
            report.ruleset = text_field(*event, field::file);
        }
        if (box.empty()) break;
    }
    report.notes.insert(report.notes.end(), options.problems.begin(), options.problems.end());

    const auto judge_one = [&](const scenario::FlowInstance& instance) {
        auto flow = judge_safely({scenario, evidence, names, instance, evidence.flow(instance.id)});
        if (!options.problems.empty() && flow.verdict != Verdict::pass && flow.verdict != Verdict::inconclusive) {
            doubt_flow(flow, Reason::journal_incomplete, flow.leg,
                       fmt::format("The journals could not be read completely: {} What the rest says: {}",
                                   options.problems.front(), flow.explanation));
        }
        const bool asks = flow.verdict != Verdict::pass && flow.verdict != Verdict::inconclusive;
        if (options.control_run && asks) {
            const auto& view = open.flow(instance.id);
            const bool was_run = !view.hosts.empty();
            apply_control(flow, judge_safely({scenario, open, names, instance, view}), was_run);
        }
        judge_idle({scenario, evidence, names, instance, evidence.flow(instance.id)}, flow);
        flow.effects = judge_effects({scenario, evidence, names, instance, evidence.flow(instance.id)}, flow);
        return flow;
    };
    const auto instances = scenario::instances(scenario);
    std::map<std::string, FlowResult, std::less<>> bringing;  // flows that others depend on
    std::function<const FlowResult&(const scenario::FlowInstance&)> result_of;
    const auto judge_with_sources = [&](const scenario::FlowInstance& instance) {
        auto flow = judge_one(instance);
        judge_dependence(scenario, instance, flow, result_of);
        return flow;
    };
    result_of = [&](const scenario::FlowInstance& instance) -> const FlowResult& {
        const auto found = bringing.find(instance.id);
        if (found != bringing.end()) return found->second;
        return bringing.emplace(instance.id, judge_with_sources(instance)).first->second;
    };
    for (const auto& instance : instances) {
        if (options.only && !options.only(instance)) continue;
        const auto known = bringing.find(instance.id);
        report.flows.push_back(known != bringing.end() ? known->second : judge_with_sources(instance));
    }
    report.incidents = incidents_of(scenario, evidence);
    judge_loads(scenario, evidence, events, report);
    hold_against_expectations(report);
    return report;
}

std::vector<std::string> needs_control(const Report& report) {
    const auto doubtful = [](const FlowResult& flow) {
        const bool failed = flow.verdict == Verdict::failed;
        const bool stopped = flow.verdict == Verdict::blocked || flow.verdict == Verdict::degraded;
        return (stopped && !flow.by_proxy && !flow.certain) || failed;
    };
    // Whether an open firewall, and this machine, can bear a load is seen under the whole of it.
    std::set<std::string_view> loads;
    for (const auto& flow : report.flows)
        if (!flow.load.empty() && doubtful(flow)) loads.insert(flow.load);
    std::vector<std::string> ids;
    for (const auto& flow : report.flows)
        if (doubtful(flow) || loads.contains(flow.load)) ids.push_back(flow.id);
    return ids;
}

int exit_code(const Report& report, bool written) {
    const bool tested =
        std::ranges::any_of(report.flows, [](const FlowResult& flow) { return !says_nothing(flow.verdict); });
    const bool undone = std::ranges::any_of(report.incidents, [](const Happening& happening) { return !happening.problem.empty(); });
    int code = ends::as_expected;
    if (report.summary.inconclusive > 0 || !tested || undone) code = ends::undecided;
    if (report.baseline) code = worse(code, exit_code(*report.baseline));
    return report.summary.unexpected > 0 || !written ? worse(code, ends::not_as_expected) : code;
}

}  // namespace wmlab::lab
