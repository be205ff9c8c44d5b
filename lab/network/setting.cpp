#include "lab/network/setting.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>

#include <boost/program_options/parsers.hpp>
#include <stdexcept>

namespace wmlab::lab {
namespace {

std::pair<std::string, std::string> halves(const std::string& option, const std::string& text, const char* form) {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
        throw std::invalid_argument{fmt::format("--{} wants {}, not `{}`", option, form, text)};
    return {text.substr(0, equals), text.substr(equals + 1)};
}

template <class All>
std::string names(const All& all) {
    std::string list;
    for (const auto& one : all) list += (list.empty() ? "" : ", ") + one.name;
    return list;
}

}  // namespace

std::string_view Setting::kind() const { return built_in() ? "built-in" : attached.empty() ? "machines" : "attached"; }

std::string Setting::device() const {
    std::string cards;
    for (const auto& [zone, card] : attached)
        cards += fmt::format("{}{} ({})", cards.empty() ? "" : " and ", card, zone);
    return cards.empty() ? "the device between the machines" : "the device between " + cards;
}

Setting setting_from(const scenario::Scenario& scenario, std::span<const std::string> attach,
                     std::span<const std::string> launch, bool force, const std::string& firewall) {
    Setting setting;
    setting.force = force;
    for (const auto& text : attach) {
        const auto [zone, card] = halves("attach", text, "ZONE=NIC");
        if (scenario.zone(zone) == nullptr)
            throw std::invalid_argument{
                fmt::format("--attach: the scenario has no zone `{}`; it has {}", zone, names(scenario.zones))};
        for (const auto& [other, taken] : setting.attached)
            if (taken == card)
                throw std::invalid_argument{
                    fmt::format("--attach: {} cannot be in zone {} and in zone {}: the device lies between two cards",
                                card, other, zone)};
        if (!setting.attached.emplace(zone, card).second)
            throw std::invalid_argument{fmt::format("--attach: zone {} is given twice", zone)};
    }
    for (const auto& host : scenario.hosts)
        if (!host.launch.empty()) setting.launched[host.name] = host.launch;
    for (const auto& text : launch) {
        const auto [host, prefix] = halves("launch", text, "HOST=PREFIX");
        if (scenario.host(host) == nullptr)
            throw std::invalid_argument{
                fmt::format("--launch: the scenario has no host `{}`; it has {}", host, names(scenario.hosts))};
        setting.launched[host] = boost::program_options::split_unix(prefix);
    }
    if (setting.built_in()) {
        if (!firewall.empty())
            throw std::invalid_argument{
                "--firewall joins a firewall that is another machine, and the hosts are in the built-in lab: say where they are (--attach ZONE=NIC or --launch HOST=PREFIX)"};
        for (const auto& host : scenario.hosts)
            if (host.asked)
                throw std::invalid_argument{fmt::format(
                    "host {} has `address: auto`, which is asked of its machine, and it is in the built-in lab: say where it is (`launch`, --launch {}=PREFIX), or name the address",
                    host.name, host.name)};
        return setting;
    }
    setting.firewall = firewall.empty() ? scenario.firewall.launch : boost::program_options::split_unix(firewall);
    if (setting.attached.size() == 1 && setting.launched.empty())
        throw std::invalid_argument{"--attach: the device lies between two cards: attach a second zone"};
    for (const auto& host : scenario.hosts) {
        if (setting.launched.contains(host.name)) continue;
        if (!setting.attached.contains(host.zone))
            throw std::invalid_argument{fmt::format(
                "host {} is nowhere: zone {} is not attached (--attach {}=NIC) and the host is not launched (--launch {}=PREFIX)",
                host.name, host.zone, host.zone, host.name)};
    }
    for (const auto& host : scenario.hosts)
        if (host.asked && !setting.launched.contains(host.name))
            throw std::invalid_argument{
                fmt::format("host {} has `address: auto`, which is asked of its machine, and it sits on a card of this one: name the address", host.name)};
    return setting;
}

}  // namespace wmlab::lab
