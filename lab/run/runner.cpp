#include "lab/run/runner.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/evidence/clocks.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/waves.hpp"
#include "lab/firewall/tracer.hpp"
#include "lab/host/error.hpp"
#include "lab/run/bystanders.hpp"
#include "lab/run/crew.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using namespace std::chrono_literals;
using evidence::What;
using Flows = std::vector<scenario::FlowInstance>;

constexpr milliseconds reports_limit{300};  // hosts report a membership within milliseconds, and again within a second

std::vector<Flows> plan(const scenario::Scenario& scenario, const RunOptions& options) {
    auto flows = scenario::instances(scenario);
    if (!options.flows.empty()) {
        const std::set<std::string> wanted(options.flows.begin(), options.flows.end());
        std::erase_if(flows, [&](const auto& flow) { return !wanted.contains(flow.id); });
    }
    auto waves = scenario::waves(scenario, flows);
    if (options.jobs == 0) return waves;
    std::vector<Flows> smaller;
    for (const auto& wave : waves)
        for (std::size_t at = 0; at < wave.size(); at += options.jobs) {
            const auto first = wave.begin() + static_cast<std::ptrdiff_t>(at);
            smaller.emplace_back(
                first, first + static_cast<std::ptrdiff_t>(std::min<std::size_t>(options.jobs, wave.size() - at)));
        }
    return smaller;
}

std::set<std::string> hosts_of(const std::vector<Flows>& waves) {
    std::set<std::string> hosts;
    for (const auto& wave : waves)
        for (const auto& flow : wave) {
            hosts.insert({flow.from, flow.to});
            if (flow.flow->proxy) hosts.insert(flow.flow->proxy->host);
        }
    return hosts;
}

bool is_command(const scenario::FlowInstance& flow) { return flow.flow->type == scenario::FlowType::command; }

void note_lab(const Lab& lab, Recorder& recorder, const RunOptions& options, std::size_t wave) {
    boost::json::object fields;
    fields["kind"] = lab.setting.kind();
    fields["control"] = options.control;
    fields["wave"] = wave;
    if (lab.multicast.active()) fields["routes"] = to_json(lab.routes);
    if (!lab.notes.empty()) {
        boost::json::array notes;
        for (const auto& note : lab.notes) notes.emplace_back(note);
        fields["notes"] = std::move(notes);
    }
    recorder.note(What::lab_up, {}, {}, std::move(fields));
}

void run_wave(Lab& lab, Recorder& recorder, const ScenarioText& text, const Flows& flows, const RunOptions& options) {
    auto how = options.crew;
    how.direct = options.ruleset.empty();
    Crew crew{lab, recorder, text, flows, how};
    Commands commands{lab, recorder, text};
    if (crew.wait_until_ready()) {
        // The players have joined; their first reports are under way. One that is stopped is waited for in vain.
        lab.wait([&] { return lab.multicast.ready_for(flows); }, steady_clock::now() + reports_limit);
        crew.start();
        const auto started = steady_clock::now();
        for (const auto& flow : flows)
            if (is_command(flow)) commands.start(flow);
        const auto over = [&](const scenario::FlowInstance& flow) {
            return is_command(flow) ? commands.ended(flow) : crew.ended(flow);
        };
        for (const auto& flow : flows) {
            const auto limit = longest(*flow.flow) + options.margin;
            if (lab.wait([&] { return over(flow); }, started + limit) || lab.interruptions > 0) continue;
            if (options.crew.say) options.crew.say(fmt::format("{} has not ended after {} s", flow.id, limit / 1.0s));
        }
    }
    commands.stop();
    crew.stop();
    for (auto& event : lab.wire.take()) recorder.add(std::move(event));
    for (auto& event : lab.multicast.take()) recorder.add(std::move(event));
    lab.network.forget_connections();
}

}  // namespace

milliseconds longest(const scenario::Flow& flow) {
    constexpr int steps = 5;  // of a transport, each of which may take the deadline
    const auto attempts = static_cast<int>(std::max<std::size_t>(scenario::transports(flow).size(), 1));
    unsigned ports = 0;
    for (const auto& range : flow.ports) ports += range.size();
    return attempts * (steps * flow.deadline + flow.play) + milliseconds{ports} + milliseconds{flow.count * 20};
}

Run run(const ScenarioText& text, const Inside& inside, const RunOptions& options) {
    Recorder recorder{options.journals, options.seen};
    const auto waves = plan(text.scenario, options);
    Lab lab{text.scenario, inside, options.ruleset, recorder, options.setting, options.captures};
    Run result;
    std::optional<Tracer> tracer;
    if (options.trace && !options.ruleset.empty() && options.setting.built_in()) {
        try {
            tracer.emplace(lab.network.firewall(), options.ruleset,
                           options.trace_buffer > 0 ? options.trace_buffer : rules::trace_buffer_wanted);
            if (tracer->ruleset().empty())
                lab.notes.push_back(
                    options.ruleset.string() +
                    " holds no rule and no policy that drops: the firewall forwards everything. (What "
                    "iptables-save, iptables-legacy-save and nft list ruleset print are three things.)");
        } catch (const SetupFailed& failure) {
            lab.notes.push_back(std::string{"no rule can be named: "} + failure.what());
        }
    }
    {
        HostPrograms programs{lab, recorder, text, hosts_of(waves), options.crew.say};
        for (std::size_t number = 0; number < waves.size() && lab.interruptions == 0; ++number) {
            note_lab(lab, recorder, options, number + 1);
            programs.wait_until_listening(waves[number]);
            run_wave(lab, recorder, text, waves[number], options);
        }
        if (!options.before_end) programs.stop_elsewhere();
        result.interrupted = lab.interruptions > 0;
        if (tracer)
            for (auto& event : tracer->finish(options.coverage, arrivals(text.scenario, recorder.events)))
                recorder.add(std::move(event));
        recorder.finish(result.interrupted ? "signal" : "finished");
        result.events = std::move(recorder.events);
        evidence::align_clocks(result.events);
        result.problems = std::move(recorder.problems);
        result.notes = lab.notes;
        if (options.before_end && !result.interrupted) options.before_end(lab, result);
    }
    lab.wire.stop();
    if (lab.captures)
        for (auto& problem : lab.captures->close()) {
            if (options.crew.say) options.crew.say(problem);
            result.notes.push_back(std::move(problem));
        }
    return result;
}

}  // namespace wmlab::lab
