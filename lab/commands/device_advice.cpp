#include "lab/commands/device_advice.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <optional>
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

}  // namespace

void attribute_devices(Report& report, const scenario::Scenario& scenario, std::span<const evidence::Event> events,
                       const std::map<std::string, DeviceLog>& device_logs,
                       std::chrono::sys_time<std::chrono::nanoseconds> now) {
    const auto name_box = [&](std::optional<RuleRef>& rule, const std::string& box) {
        if (rule && rule->chain == "device" && rule->box.empty()) rule->box = box;
    };
    for (const auto& box : scenario::boxes(scenario)) {
        const auto log = device_logs.find(box.name);
        if (box.log.empty() || log == device_logs.end()) continue;
        logs::attribute(report, events, logs::read_log(box.log, log->second.text, now), log->second.name);
        for (auto& flow : report.flows) {
            if (!scenario::several_boxes(scenario)) break;
            name_box(flow.rule, box.name);
            for (auto& leg : flow.legs) name_box(leg.rule, box.name);
        }
        advise_device(report, scenario::as_seen_by(scenario, box));
    }
}

}  // namespace wmlab::lab::commands
