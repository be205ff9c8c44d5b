// Windows netsh advfirewall: a firewall on each host, not between them. So for each host the rules for what comes in,
// and for what goes out where outbound traffic is blocked by default.
#include <algorithm>
#include <map>

#include "common/scenario/catalogue.hpp"
#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

std::string upper(std::string_view protocol) { return protocol == "tcp" ? "TCP" : "UDP"; }

constexpr std::size_t name_max = 120;

std::vector<std::string> rule(const Need& need, bool inbound) {
    const auto ports = ports_text(need.ports, "-", ",");
    const auto address = [](const std::optional<scenario::Subnet>& net) { return net ? net_text(*net) : std::string{"any"}; };
    const auto name = "wmlab " + std::string{inbound ? "in " : "out "} +
                      shortened(need.source + " to " + need.destination + ": " + flows_text(need), name_max);
    // A rule is added beside one of its name, not in its place: the old one goes first.
    return {"netsh advfirewall firewall delete rule name=\"" + name + "\"",
            "netsh advfirewall firewall add rule name=\"" + name + "\" dir=" + (inbound ? "in" : "out") +
                " action=allow protocol=" + upper(text(need.protocol)) +
                " localip=" + address(inbound ? destination_of(need) : source_of(need)) +
                " remoteip=" + address(inbound ? source_of(need) : destination_of(need)) +
                (ports.empty() ? "" : (inbound ? " localport=" : " remoteport=") + ports)};
}

std::vector<std::string> receivers_of(const scenario::Scenario& scenario, const Need& need) {
    if (!need.multicast) return {need.destination};
    std::vector<std::string> hosts;  // of a group: hosts of the flow, not of the leg
    for (const auto& instance : scenario::instances(scenario))
        if (instance.flow->group == need.destination_address && std::ranges::find(hosts, instance.to) == hosts.end())
            hosts.push_back(instance.to);
    return hosts;
}

std::string lines_text(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
}

}  // namespace

std::vector<std::string> netsh_lines(const scenario::Scenario& scenario, const Need& need) {
    std::vector<std::string> lines;
    const auto add = [&](bool inbound) {
        for (auto& line : rule(need, inbound)) lines.push_back(std::move(line));
    };
    // Whoever is anyone has no firewall of its own here.
    if (!need.destination_net && !receivers_of(scenario, need).empty()) add(true);
    if (!need.source_net) add(false);
    return lines;
}

std::string netsh(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    std::map<std::string, std::string> incoming, outgoing;  // by host
    for (const auto& need : needs.needs) {
        if (!need.source_net) outgoing[need.source] += lines_text(rule(need, false));
        if (!need.multicast && !need.destination_net) incoming[need.destination] += lines_text(rule(need, true));
    }
    for (const auto& need : needs.needs) {
        if (!need.multicast) continue;
        const auto lines = lines_text(rule(need, true));
        for (const auto& host : receivers_of(scenario, need))
            if (incoming[host].find(lines) == std::string::npos) incoming[host] += lines;
    }
    std::string out = heading(scenario, needs, "rem");
    out +=
        "rem For Windows Vista and Server 2008 or later; Windows 2000 has no firewall, XP and Server 2003 know `netsh firewall`\n"
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
