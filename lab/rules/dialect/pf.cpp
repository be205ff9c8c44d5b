// OpenBSD and FreeBSD pf. Rules without a direction hold on both interfaces a packet crosses; state lets the answers
// through. Translation in OpenBSD's words.
#include <algorithm>
#include <cctype>

#include "common/scenario/catalogue.hpp"
#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

// A macro's name for a zone: letters, digits, `_`.
std::string macro(const std::string& zone) {
    auto name = zone + "_if";
    std::ranges::replace_if(
        name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return name;
}

std::string to_ports(const scenario::PortList& ranges) {
    if (ranges.empty()) return {};
    const auto ports = ports_text(ranges, ":", " ");
    return " port " + (ranges.size() > 1 ? "{ " + ports + " }" : ports);
}

std::string interface_macro(const scenario::Scenario& scenario, const std::string& interface) {
    const auto zone = std::ranges::find(scenario.zones, interface, &scenario::Zone::interface);
    return zone == scenario.zones.end() ? interface : "$" + macro(zone->name);
}

// IGMP carries an IP option (router alert), which pf stops unless it is told not to.
std::string igmp_line(const scenario::Scenario& scenario, const scenario::Host& receiver) {
    return "pass in quick on " + interface_macro(scenario, std::string{scenario.zone(receiver.zone)->interface}) +
           " inet proto igmp from " + receiver.address.text() + " allow-opts";
}

std::vector<std::string> igmp_lines(const scenario::Scenario& scenario, const Need* only) {
    std::vector<std::string> lines;
    for (const auto& instance : scenario::instances(scenario)) {
        const auto* receiver = scenario.host(instance.to);
        if (instance.flow->type != scenario::FlowType::multicast || receiver == nullptr) continue;
        if (only != nullptr && instance.flow->group != only->destination_address) continue;
        auto line = igmp_line(scenario, *receiver);
        if (std::ranges::find(lines, line) == lines.end()) lines.push_back(std::move(line));
    }
    return lines;
}

std::string pass_line(const scenario::Scenario& scenario, const Need& need) {
    const auto address = [](const std::optional<scenario::Subnet>& net) { return net ? net_text(*net) : std::string{"any"}; };
    return "pass quick on { " + interface_macro(scenario, need.in) + " " + interface_macro(scenario, need.out) + " } inet proto " +
           std::string{text(need.protocol)} + " from " + address(source_of(need)) + " to " + address(destination_of(need)) +
           to_ports(need.ports) + " keep state";
}

}  // namespace

std::vector<std::string> pf_lines(const scenario::Scenario& scenario, const Need& need) {
    std::vector<std::string> lines{pass_line(scenario, need)};
    if (need.multicast)
        for (auto& line : igmp_lines(scenario, &need)) lines.push_back(std::move(line));
    return lines;
}

std::string pf(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    const bool whole = form == Form::whole;
    std::string out = heading(scenario, needs, "#");
    if (whole)
        out +=
            "# `pfctl -f` puts this file in the place of all rules that are loaded. `--merge` prints the rules alone.\n";
    out += "\n# the device's own interface names: em0, vtnet1 ...\n";
    for (const auto& zone : scenario.zones) out += macro(zone.name) + " = \"" + zone.interface + "\"\n";
    if (whole) out += "\nset skip on lo\nblock drop all\n";
    for (const auto& t : needs.translations)
        out += "\n# " + t.host + " is known as " + t.published.text() + "\nmatch in on " +
               interface_macro(scenario, t.in) + " inet proto " + std::string{text(t.protocol)} + " to " +
               t.published.text() + to_ports(t.ports) + " rdr-to " + t.address.text() + "\n";
    for (const auto& need : needs.needs)
        out += "\n# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\n" + pass_line(scenario, need) + "\n";
    std::string igmp;
    for (const auto& line : igmp_lines(scenario, nullptr)) igmp += line + "\n";
    if (!igmp.empty()) out += "\n# where the firewall itself is the multicast router of the receivers\n" + igmp;
    return out;
}

}  // namespace wmlab::lab::rules::dialect
