#include "lab/commands/trial_evidence.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "lab/judge/judge.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/coverage.hpp"
#include "lab/verdict/expectation.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab::commands {
namespace {

constexpr std::size_t alone_max = 8;  // flows that are run again by themselves

std::string rule_name(const rules::Conditional& rule) {
    return rule.line == 0 ? fmt::format("`{}` ({})", rule.text, rule.chain) : fmt::format("{}:{}", rule.file, rule.line);
}

std::string circumstances_words(const std::vector<rules::Conditional>& conditionals) {
    std::string named;
    for (const auto& rule : conditionals) {
        if (conditionals.size() > alone_max && &rule - conditionals.data() == alone_max) return named + ", ...";
        named += fmt::format("{}{}, which {} ({})", named.empty() ? "" : "; ", rule_name(rule), words(rule.circumstance),
                             rule.by);
    }
    return named;
}

// Flows that do not work behind rules that look at more than a packet are run once more, each by itself in a firewall
// that has seen nothing before: so it is told apart what such a rule does to the flow and what to all of them together.
void try_alone(Report& report, const scenario::Scenario& scenario, TrialEvidence& evidence, const FurtherRuns& more) {
    const auto named = circumstances_words(evidence.conditionals);
    report.notes.push_back(fmt::format("Verdicts may depend on more than each flow itself, because of {}.", named));
    std::map<std::string, std::string> tried;  // what a flow's result looks like: the flow that was run for all such
    for (auto& flow : report.flows) {
        const bool stopped = flow.verdict == Verdict::blocked || flow.verdict == Verdict::degraded;
        if ((!stopped && flow.verdict != Verdict::failed) || flow.certain || flow.by_proxy) continue;
        const auto kind = fmt::format("{} {} {} {} {}:{}", flow.type, flow.from, flow.to, headline(flow),
                                      flow.rule ? flow.rule->file : "", flow.rule ? flow.rule->line : 0);
        if (!tried.contains(kind) && tried.size() >= alone_max) continue;
        const auto& id = tried.try_emplace(kind, flow.id).first->second;
        if (!evidence.alone.contains(id)) {
            if (!more.alone) continue;
            auto run = more.alone(id);
            if (run.interrupted) {
                evidence.interrupted = true;
                return;
            }
            evidence.alone[id] = std::move(run);
        }
        const auto& run = evidence.alone.at(id);
        JudgeOptions how;
        how.only = [&](const scenario::FlowInstance& instance) { return instance.id == id; };
        how.problems = run.problems;
        const auto by_itself = judge(scenario, run.events, {}, how);
        const bool works = !by_itself.flows.empty() && (by_itself.flows.front().verdict == Verdict::pass ||
                                                        (by_itself.flows.front().verdict == Verdict::degraded &&
                                                         flow.verdict != Verdict::degraded));
        const auto who = id == flow.id ? std::string{"run by itself"} : fmt::format("run by itself, its like {}", id);
        flow.notes.push_back(
            works
                ? fmt::format(
                      "{}, in a firewall that had seen nothing before, it works: this verdict depends on what was played earlier or at the same time, or on chance ({}).",
                      who, named)
                : fmt::format("{}, in a firewall that had seen nothing before, it does not work either: what else was played makes no difference.", who));
    }
}

}  // namespace

Report judge_trial(const scenario::Scenario& scenario, TrialEvidence& evidence, const FurtherRuns& more) {
    const std::set<std::string> chosen(evidence.flows.begin(), evidence.flows.end());
    JudgeOptions how;
    how.ruleset = evidence.ruleset;
    how.only = [&](const scenario::FlowInstance& flow) { return chosen.empty() || chosen.contains(flow.id); };
    how.problems = evidence.problems;
    auto report = judge(scenario, evidence.events, {}, how);
    // What a device does without its rules cannot be tried.
    const auto doubtful = evidence.built_in && !evidence.interrupted ? needs_control(report) : std::vector<std::string>{};
    if (!doubtful.empty() && !evidence.control && more.control) evidence.control = more.control(doubtful);
    if (!doubtful.empty() && evidence.control) {
        const auto& control = *evidence.control;
        evidence.interrupted = control.interrupted;
        how.control_run = !control.interrupted;
        how.problems.insert(how.problems.end(), control.problems.begin(), control.problems.end());
        report = judge(scenario, evidence.events, control.events, how);
    }
    rules::attribute(report, scenario, evidence.events);
    attribute_devices(report, scenario, evidence.events, evidence.device_logs, evidence.read_at);
    hold_against_expectations(report);  // of rules, too
    if (!evidence.interrupted && evidence.built_in && !evidence.conditionals.empty()) try_alone(report, scenario, evidence, more);
    report.summary.seconds = evidence.seconds;
    if (evidence.coverage) report.coverage = rules::coverage(report, evidence.events);
    report.notes.insert(report.notes.end(), evidence.notes.begin(), evidence.notes.end());
    report.notes.insert(report.notes.end(), evidence.capture_problems.begin(), evidence.capture_problems.end());
    return report;
}

}  // namespace wmlab::lab::commands
