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

}  // namespace

std::string pf(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    const bool whole = form == Form::whole;
    const auto address = [](const std::optional<scenario::Subnet>& net) { return net ? net_text(*net) : std::string{"any"}; };
    std::string out = heading(scenario, needs, "#");
    if (whole)
        out +=
            "# `pfctl -f` puts this file in the place of all rules that are loaded. `--merge` prints the rules "
            "alone.\n";
    out += "\n# the device's own interface names: em0, vtnet1 ...\n";
    for (const auto& zone : scenario.zones) out += macro(zone.name) + " = \"" + zone.interface + "\"\n";
    if (whole) out += "\nset skip on lo\nblock drop all\n";
    for (const auto& t : needs.translations)
        out += "\n# " + t.host + " is known as " + t.published.text() + "\nmatch in on " +
               interface_macro(scenario, t.in) + " inet proto " + std::string{text(t.protocol)} + " to " +
               t.published.text() + to_ports(t.ports) + " rdr-to " + t.address.text() + "\n";
    for (const auto& need : needs.needs)
        out += "\n# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\npass quick on { " +
               interface_macro(scenario, need.in) + " " + interface_macro(scenario, need.out) + " } inet proto " +
               std::string{text(need.protocol)} + " from " + address(source_of(need)) + " to " +
               address(destination_of(need)) + to_ports(need.ports) + " keep state\n";
    // IGMP carries an IP option (router alert), which pf stops unless it is told not to.
    std::string igmp;
    for (const auto& instance : scenario::instances(scenario)) {
        const auto* receiver = scenario.host(instance.to);
        if (instance.flow->type != scenario::FlowType::multicast || receiver == nullptr) continue;
        const auto line = "pass in quick on " +
                          interface_macro(scenario, std::string{scenario.zone(receiver->zone)->interface}) +
                          " inet proto igmp from " + receiver->address.text() + " allow-opts\n";
        if (igmp.find(line) == std::string::npos) igmp += line;
    }
    if (!igmp.empty()) out += "\n# where the firewall itself is the multicast router of the receivers\n" + igmp;
    return out;
}

}  // namespace wmlab::lab::rules::dialect
