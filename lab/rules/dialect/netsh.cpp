// Windows netsh advfirewall: a firewall on each host, not between them. So for each host the rules for what comes in,
// and for what goes out where outbound traffic is blocked by default.
#include <map>

#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

std::string upper(std::string_view protocol) { return protocol == "tcp" ? "TCP" : "UDP"; }

constexpr std::size_t name_max = 120;

std::string rule(const Need& need, bool inbound) {
    const auto ports = ports_text(need.ports, "-", ",");
    const auto address = [](const std::optional<scenario::Subnet>& net) { return net ? net_text(*net) : std::string{"any"}; };
    const auto name = "wmlab " + std::string{inbound ? "in " : "out "} +
                      shortened(need.source + " to " + need.destination + ": " + flows_text(need), name_max);
    // A rule is added beside one of its name, not in its place: the old one goes first.
    return "netsh advfirewall firewall delete rule name=\"" + name + "\"\nnetsh advfirewall firewall add rule name=\"" +
           name + "\" dir=" + (inbound ? "in" : "out") + " action=allow protocol=" + upper(text(need.protocol)) +
           " localip=" + address(inbound ? destination_of(need) : source_of(need)) +
           " remoteip=" + address(inbound ? source_of(need) : destination_of(need)) +
           (ports.empty() ? "" : (inbound ? " localport=" : " remoteport=") + ports) + "\n";
}

}  // namespace

std::string netsh(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    std::map<std::string, std::string> incoming, outgoing;  // by host
    for (const auto& need : needs.needs) {
        if (!need.source_net) outgoing[need.source] += rule(need, false);  // nobody's own firewall
        if (!need.multicast && !need.destination_net) incoming[need.destination] += rule(need, true);
    }
    for (const auto& instance :
         scenario::instances(scenario))  // receivers of a group are hosts of the flow, not of the leg
        for (const auto& need : needs.needs)
            if (need.multicast && instance.flow->group == need.destination_address) {
                const auto line = rule(need, true);
                auto& host = incoming[instance.to];
                if (host.find(line) == std::string::npos) host += line;
            }
    std::string out = heading(scenario, needs, "rem");
    out +=
        "rem For Windows Vista and Server 2008 or later; Windows 2000 has no firewall, XP and Server 2003 know `netsh "
        "firewall`\n"
        "rem without outbound rules. `delete rule` before each says \"No rules match\" the first time.\n";
    if (form == Form::whole)
        out += "rem The rules are added to those that are there; what these allow besides stays open.\n";
    for (const auto& t : needs.translations)
        out += "rem Note: " + t.host + " is known as " + t.published.text() +
               ": its translation is the business of the router between, not of these hosts.\n";
    for (const auto& host : scenario.hosts) {
        if (incoming.contains(host.name))
            out += "\nrem on " + host.name + " (" + host.address.text() + "): what comes in\n" + incoming[host.name];
        if (outgoing.contains(host.name))
            out += "\nrem on " + host.name +
                   ": what goes out, only where outbound connections are blocked by default\n" + outgoing[host.name];
    }
    return out;
}

}  // namespace wmlab::lab::rules::dialect
