#include "lab/run/incidents.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>

#include "common/evidence/fields.hpp"
#include "common/scenario/values.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/host/error.hpp"
#include "lab/network/surroundings.hpp"

namespace wmlab::lab {
namespace {

using scenario::Incident;
using Kind = scenario::Incident::Kind;

constexpr std::string_view block_table = "wmlab_block";

std::int64_t monotonic_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string block_rules(const std::string& match) {
    return fmt::format("table inet {} {{\n  chain forward {{\n    type filter hook forward priority -2000000000; policy accept;\n    {} drop\n  }}\n}}\n",
                       block_table, match);
}

std::string without_block() { return fmt::format("table inet {0} {{\n}}\ndelete table inet {0}\n", block_table); }

// Rules that a file adds to what runs, instead of taking their place.
bool adds_only(const std::filesystem::path& file) {
    const auto source = rules::read_source(file);
    return source.dialect == rules::Dialect::nft && !source.takes_away;
}

}  // namespace

std::string incident_text(const Incident& incident) {
    const auto for_a_time = [&] { return incident.lasts.count() == 0 ? std::string{} : " for " + scenario::text(incident.lasts); };
    switch (incident.kind) {
        case Kind::reload:
            return fmt::format("reload of {}{}", incident.ruleset.filename().string(),
                               incident.manner == Incident::Manner::at_once       ? adds_only(incident.ruleset) ? ", which flushes nothing: its rules are added to those that run"
                                                                                                                : ", all at once"
                               : incident.manner == Incident::Manner::flush_first ? ", flushed first, then loaded"
                                                                                  : fmt::format(", by `{}`", fmt::join(incident.program, " ")));
        case Kind::flush_conntrack:
            return "all tracked connections forgotten";
        case Kind::link:
            return fmt::format("the firewall's link to {} down{}", incident.subject, for_a_time());
        case Kind::kill:
            return fmt::format("the simulators of {} killed", incident.subject);
        case Kind::restart:
            return fmt::format("the simulators of {} killed and started again", incident.subject);
        case Kind::block:
            return fmt::format("`{}` dropped{}", incident.subject, for_a_time());
        case Kind::sysctl:
            return fmt::format("{} set to {}", incident.subject, incident.value);
    }
    return {};
}

Incidents::Incidents(Lab& lab, Recorder& recorder, const ScenarioText& text, std::filesystem::path ruleset, Tracer* tracer)
    : lab_{lab}, recorder_{recorder}, text_{text}, ruleset_{std::move(ruleset)}, tracer_{tracer} {}

void Incidents::start(Crew& crew, std::size_t wave) {
    crew_ = &crew;
    wave_ = wave;
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < text_.scenario.events.size(); ++i) arm(i, now);
}

void Incidents::arm(std::size_t index, std::chrono::steady_clock::time_point start) {
    auto& timer = timers_.emplace_back(std::make_unique<boost::asio::steady_timer>(lab_.io, start + text_.scenario.events[index].at));
    timer->async_wait([this, index](boost::system::error_code cancelled) {
        if (!cancelled && crew_ != nullptr) begin(index);  // it may have been due when the flows ended
    });
}

void Incidents::begin(std::size_t index) {
    const auto& incident = text_.scenario.events[index];
    auto& running = *running_.emplace_back(std::make_unique<Running>());
    running.index = index;
    running.began = monotonic_now();
    std::string problem;
    try {
        running.undo = perform(incident, problem);
    } catch (const std::exception& failure) {  // SetupFailed, RulesetRefused
        problem = failure.what();
        while (problem.ends_with('\n')) problem.pop_back();
    }
    if (!running.undo) {
        note(running, monotonic_now(), problem);
        running.done = true;
        if (incident.kind == Kind::reload) trace_again(incident.ruleset);
        return;
    }
    if (incident.lasts.count() == 0) return;  // to the end of the wave
    auto& timer = timers_.emplace_back(std::make_unique<boost::asio::steady_timer>(lab_.io, incident.lasts));
    timer->async_wait([this, &running](boost::system::error_code cancelled) {
        if (!cancelled && crew_ != nullptr) end(running);
    });
}

void Incidents::end(Running& running) {
    if (running.done) return;
    running.done = true;
    std::string problem;
    try {
        running.undo();
    } catch (const std::exception& failure) {
        problem = failure.what();
    }
    note(running, monotonic_now(), problem);
}

void Incidents::note(const Running& running, std::int64_t ended, const std::string& problem) {
    const auto& incident = text_.scenario.events[running.index];
    boost::json::object fields;
    fields[field::incident] = running.index;
    fields[field::kind] = scenario::text(incident.kind);
    fields[field::what] = incident_text(incident);
    fields[field::began] = running.began;
    fields[field::ended] = ended;
    fields[field::wave] = wave_;
    if (incident.kind == Kind::reload) fields[field::gap_in_rules] = true;
    if (!problem.empty()) fields[field::problem] = problem;
    recorder_.note(evidence::What::happened, {}, {}, std::move(fields));
}

std::function<void()> Incidents::perform(const Incident& incident, std::string& problem) {
    const auto& firewall = lab_.network.firewall();
    switch (incident.kind) {
        case Kind::reload:
            reload(incident, problem);
            return {};
        case Kind::flush_conntrack:
            lab_.network.forget_connections();
            return {};
        case Kind::link:
            lab_.network.plug(incident.subject, false);
            return [this, zone = incident.subject] { lab_.network.plug(zone, true); };
        case Kind::kill:
        case Kind::restart:
            crew_->kill(incident.subject, incident.kind == Kind::restart);
            return {};
        case Kind::block:
            load_rules(firewall, block_rules(incident.subject));
            return [this] { load_rules(lab_.network.firewall(), without_block()); };
        case Kind::sysctl: {
            auto before = setting_at(firewall, incident.subject);
            if (before.empty()) {
                problem = "this kernel has no setting " + incident.subject;
            } else if (!set_setting(firewall, incident.subject, incident.value)) {
                problem = fmt::format("{} cannot be set to {} here", incident.subject, incident.value);
            } else {
                settings_.emplace_back(incident.subject, std::move(before));
            }
            return {};
        }
    }
    return {};
}

void Incidents::reload(const Incident& incident, std::string& problem) {
    const auto& firewall = lab_.network.firewall();
    const auto& include_path = text_.scenario.firewall.include_path;
    other_rules_ = true;
    switch (incident.manner) {
        case Incident::Manner::at_once:
            load_ruleset(firewall, incident.ruleset, include_path);
            break;
        case Incident::Manner::flush_first:
            load_rules(firewall, "flush ruleset\n");
            load_ruleset(firewall, incident.ruleset, include_path);
            break;
        case Incident::Manner::program: {
            auto words = incident.program;
            for (auto& word : words)
                for (auto at = word.find("{ruleset}"); at != std::string::npos; at = word.find("{ruleset}", at + 1))
                    word.replace(at, 9, incident.ruleset.string());
            if (words.front().find('/') != std::string::npos) words.front() = (text_.directory / words.front()).string();
            if (const auto program = find_program(words.front()); !program.empty()) words.front() = program.string();
            const auto result = run_tool(firewall, words);
            if (!result.ending.ok()) problem = fmt::format("`{}` ended with {}: {}", fmt::join(words, " "), result.ending.text(), result.output);
            break;
        }
    }
}

void Incidents::trace_again(const std::filesystem::path& ruleset) {
    if (tracer_ == nullptr) return;
    try {
        tracer_->reloaded(ruleset);
    } catch (const SetupFailed& failure) {
        lab_.notes.push_back(fmt::format("no rule can be named after the reload of {}: {}", ruleset.string(), failure.what()));
    }
}

void Incidents::stop() {
    timers_.clear();
    for (const auto& running : running_)
        if (!running->done) note(*running, monotonic_now(), {});
    for (std::size_t i = 0; i < text_.scenario.events.size() && crew_ != nullptr; ++i) {
        if (std::ranges::any_of(running_, [&](const auto& running) { return running->index == i; })) continue;
        Running never;
        never.index = i;
        never.began = monotonic_now();
        note(never, never.began, "it did not happen: all flows had ended before");
    }
    crew_ = nullptr;
}

void Incidents::restore() {
    for (const auto& running : running_)
        if (!running->done) running->undo();
    running_.clear();
    const auto& firewall = lab_.network.firewall();
    for (auto at = settings_.rbegin(); at != settings_.rend(); ++at) set_setting(firewall, at->first, at->second);
    settings_.clear();
    if (!other_rules_) return;
    other_rules_ = false;
    load_rules(firewall, "flush ruleset\n");
    if (!ruleset_.empty()) load_ruleset(firewall, ruleset_, text_.scenario.firewall.include_path);
    trace_again(ruleset_);
}

}  // namespace wmlab::lab
