#include "lab/commands/live.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/judge.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab::commands {
namespace {

constexpr scenario::milliseconds beginning{200};  // of a flow: connections are opened, the first media is sent

bool plays(const scenario::Flow& flow) {
    using enum scenario::FlowType;
    return flow.type != dcom && flow.type != probe && flow.type != command;
}

// When every stream is in the midst of its play.
scenario::milliseconds in_the_midst(const scenario::Scenario& scenario) {
    std::optional<scenario::milliseconds> shortest;
    for (const auto& flow : scenario.flows)
        if (plays(flow)) shortest = shortest ? std::min(*shortest, flow.play) : flow.play;
    return beginning + shortest.value_or(2 * beginning) / 2;
}

// Somebody who watches notices, though the new rules want the stream to work.
bool hurts_what_works(const Effect& effect, const FlowChange* change) {
    if (effect.slipped > 0) return true;
    if (effect.impact != Impact::died) return false;
    if (change == nullptr) return true;
    return !change->as_expected || change->change == Change::unchanged || change->change == Change::better || change->change == Change::repaired;
}

// The scenario in which nothing happens but the change.
scenario::Scenario with_reload(scenario::Scenario scenario, const std::filesystem::path& ruleset) {
    scenario::Incident reload;
    reload.kind = scenario::Incident::Kind::reload;
    reload.at = in_the_midst(scenario);
    reload.ruleset = ruleset;
    scenario::set_manner(reload, scenario.firewall.apply);
    scenario.events = {reload};
    return scenario;
}

}  // namespace

LiveRun run_live(const ScenarioText& text, const Inside& inside, const TrialOptions& options, const std::filesystem::path& before,
                 const std::filesystem::path& after) {
    LiveRun live;
    live.ruleset = std::filesystem::absolute(after);
    live.flows = options.flows;
    auto live_text = text;
    live_text.scenario = with_reload(text.scenario, live.ruleset);

    RunOptions wish;
    wish.setting = options.setting;
    wish.ruleset = before;
    wish.flows = options.flows;
    wish.jobs = options.jobs;
    wish.trace = false;
    wish.seen = options.seen;
    wish.crew.say = options.say;
    if (!options.journals.empty()) wish.journals = options.journals / live_folder;
    if (!options.captures.empty()) wish.captures = options.captures / live_folder;
    auto run = lab::run(live_text, inside, wish);
    live.run = {std::move(run.events), std::move(run.problems), run.interrupted};
    return live;
}

Live tell_live(const scenario::Scenario& scenario, const LiveRun& evidence, const Comparison& change) {
    const auto& flows = evidence.flows;
    JudgeOptions how;
    how.problems = evidence.run.problems;
    how.only = [&](const scenario::FlowInstance& flow) { return flows.empty() || std::ranges::find(flows, flow.id) != flows.end(); };
    const auto report = judge(with_reload(scenario, evidence.ruleset), evidence.run.events, {}, how);

    Live live;
    if (!report.incidents.empty()) live.happening = report.incidents.front();
    std::vector<std::string> absent;
    for (const auto& flow : report.flows) {
        if (flow.effects.empty()) {
            absent.push_back(flow.id);
            continue;
        }
        auto effect = flow.effects.front();
        const auto found = std::ranges::find(change.flows, flow.id, &FlowChange::id);
        effect.as_expected = !hurts_what_works(effect, found == change.flows.end() ? nullptr : &*found);
        live.flows.push_back({flow.id, std::move(effect)});
    }
    if (!scenario.events.empty()) live.notes.emplace_back("the scenario's own `events` did not happen in this run");
    if (!absent.empty())
        live.notes.push_back(fmt::format("{} {} over when the change was made: a longer `play` would show more", names(absent, 8), absent.size() == 1 ? "was" : "were"));
    if (!live.happening.problem.empty()) live.notes.push_back("the change could not be made as it should: " + live.happening.problem);
    return live;
}

}  // namespace wmlab::lab::commands
