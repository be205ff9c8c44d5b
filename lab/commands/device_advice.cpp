#include "lab/commands/device_advice.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/scenario/boxes.hpp"
#include "lab/logs/attribution.hpp"
#include "lab/rules/generate.hpp"

namespace wmlab::lab::commands {
namespace {

const std::map<std::string, std::string, std::less<>> languages{
    {"asa", "asa"}, {"pf", "pf"}, {"opnsense", "pf"}, {"iptables", "iptables"}, {"nft", "nft"}, {"windows", "netsh"}};

// `scenario`: as the device sees it.
void advise_device(Report& report, const scenario::Scenario& scenario) {
    const auto& format = scenario.firewall.log.format;
    const auto language = languages.find(format);
    std::optional<rules::Needs> all;
    bool told = false;
    for (auto& flow : report.flows) {
        if (!flow.rule || flow.rule->chain != "device" || (!flow.rule->box.empty() && flow.rule->box != scenario.firewall.name) || !flow.suggestions.empty() || flow.as_expected) continue;
        if (language == languages.end()) {
            if (!std::exchange(told, true))
                report.notes.push_back(
                    fmt::format("there are no suggestions in the language of {}; `wmlab rules` speaks nft, iptables, asa, pf and netsh",
                                format));
            continue;
        }
        if (!all) all = rules::needs(scenario);
        const auto wanted = fmt::format("{} {}", flow.anyone ? flow.anyone->flow : flow.id, flow.leg);
        for (const auto& need : all->needs) {
            if (std::ranges::find(need.flows, wanted) == need.flows.end()) continue;
            for (auto& line : rules::letting_lines(scenario, language->second, need)) {
                Suggestion suggestion;
                suggestion.dialect = language->second;
                suggestion.rule = std::move(line);
                flow.suggestions.push_back(std::move(suggestion));
            }
        }
    }
}

bool by_device(const std::optional<RuleRef>& rule) { return rule && rule->chain == "device"; }

// What one of several devices says is added to what others said: of packets that one has stopped none gets to another, so where two logs say
// that they stopped a leg no rule is named.
void add_told(Report& report, const Report& base, Report& own, const std::string& box, std::set<const LegResult*>& disputed) {
    report.notes.insert(report.notes.end(), own.notes.begin() + static_cast<std::ptrdiff_t>(base.notes.size()), own.notes.end());
    for (std::size_t f = 0; f < report.flows.size(); ++f)
        for (std::size_t l = 0; l < report.flows[f].legs.size(); ++l) {
            auto &flow = report.flows[f], &own_flow = own.flows[f];
            auto &leg = flow.legs[l], &own_leg = own_flow.legs[l];
            const auto had = base.flows[f].legs[l].evidence.size();
            leg.evidence.insert(leg.evidence.end(), own_leg.evidence.begin() + static_cast<std::ptrdiff_t>(had), own_leg.evidence.end());
            if (!by_device(own_leg.rule) || by_device(base.flows[f].legs[l].rule)) continue;
            own_leg.rule->box = box;
            const bool of_flow = leg.name == flow.leg;
            if (!leg.rule && !disputed.contains(&leg)) {
                leg.rule = own_leg.rule;
                if (of_flow && !flow.rule && by_device(own_flow.rule)) flow.rule = leg.rule;
            } else if (leg.verdict != Verdict::pass && by_device(leg.rule)) {
                leg.evidence.push_back(
                    fmt::format("The logs of firewalls {} and {} both say that they stopped these packets: none is named.", leg.rule->box, box));
                if (of_flow && by_device(flow.rule)) flow.rule.reset();
                leg.rule.reset();
                disputed.insert(&leg);
            }
        }
}

}  // namespace

void attribute_devices(Report& report, const scenario::Scenario& scenario, std::span<const evidence::Event> events,
                       const std::map<std::string, DeviceLog>& device_logs,
                       std::chrono::sys_time<std::chrono::nanoseconds> now) {
    const auto with_log = [&](const scenario::Firewall& box) { return !box.log.empty() && device_logs.contains(box.name); };
    const auto boxes = scenario::boxes(scenario);
    const auto base = scenario::several_boxes(scenario) ? report : Report{};
    std::set<const LegResult*> disputed;
    for (const auto& box : boxes) {
        if (!with_log(box)) continue;
        const auto& log = device_logs.at(box.name);
        if (!scenario::several_boxes(scenario)) {
            logs::attribute(report, events, logs::read_log(box.log, log.text, now), log.name);
            continue;
        }
        auto own = base;
        logs::attribute(own, events, logs::read_log(box.log, log.text, now), log.name);
        add_told(report, base, own, box.name, disputed);
    }
    for (const auto& box : boxes)
        if (with_log(box)) advise_device(report, scenario::as_seen_by(scenario, box));
}

}  // namespace wmlab::lab::commands
