// Cisco ASA: one extended access list per interface, bound inbound. Stateful: answers need no entry. Lists name the
// real addresses of hosts (since 8.3), whatever is translated.
#include <map>

#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

constexpr std::size_t remark_max = 100;  // of the device

std::string after(const scenario::PortRange& range) {
    return range.first == range.last ? " eq " + std::to_string(range.first)
                                     : " range " + std::to_string(range.first) + " " + std::to_string(range.last);
}

// Static translation of single ports: one object each. Of ranges the device translates none in an object: by a service.
std::string translations_text(const scenario::Scenario& scenario, const Needs& needs) {
    std::string out;
    std::size_t number = 0;
    for (const auto& t : needs.translations) {
        const auto* host = scenario.host(t.host);
        const auto* zone = host != nullptr ? scenario.zone(host->zone) : nullptr;
        if (zone == nullptr) continue;
        const std::string protocol{text(t.protocol)};
        for (const auto& range : t.ports) {
            const auto name = "wmlab_" + t.host + "_" + std::to_string(++number);
            out += "object network " + name + "\n host " + t.address.text() + "\n";
            if (range.first == range.last) {
                const auto port = std::to_string(range.first);
                out += " nat (" + zone->interface + "," + t.in + ") static " + t.published.text() + " service " +
                       protocol + " " + port + " " + port + "\n";
                continue;
            }
            out += "object network " + name + "_outer\n host " + t.published.text() + "\nobject service " + name +
                   "_ports\n service " + protocol + " source" + after(range) + "\nnat (" + zone->interface + "," +
                   t.in + ") source static " + name + " " + name + "_outer service " + name + "_ports " + name +
                   "_ports\n";
        }
    }
    return out;
}

std::string address_text(const std::optional<scenario::Subnet>& net) {
    if (!net) return "any";
    if (net->prefix == 32) return "host " + net->network.text();
    const scenario::Ipv4 mask{~(net->broadcast().value ^ net->network.value)};
    return net->network.text() + " " + mask.text();
}

std::string list_of(const Need& need) { return "access-list wmlab_" + need.in + " "; }

}  // namespace

std::vector<std::string> asa_lines(const scenario::Scenario& /*scenario*/, const Need& need) {
    const auto entry = list_of(need) + "extended permit " + std::string{text(need.protocol)} + " " + address_text(source_of(need)) + " " +
                       address_text(destination_of(need));
    if (need.ports.empty()) return {entry};
    std::vector<std::string> lines;
    for (const auto& range : need.ports) lines.push_back(entry + after(range));
    return lines;
}

std::string asa(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    const bool whole = form == Form::whole;
    std::string out = heading(scenario, needs, "!") +
                      "! Interface names are the scenario's; they must be the `nameif` of the device.\n";
    out += whole ? "! `access-group` takes the place of the list that is bound to an interface now, and what that one permits is shut.\n"
                   "! `--merge` prints the entries alone.\n"
                 : "! For the lists that are bound inbound, above what they deny: put the name of the list of each interface in.\n";
    std::map<std::string, std::string> lists;  // by interface
    for (const auto& need : needs.needs) {
        auto& list = lists[need.in];
        list += list_of(need) + "remark " +
                shortened(need.source + " -> " + need.destination + ": " + flows_text(need), remark_max) + "\n";
        for (const auto& line : asa_lines(scenario, need)) list += line + "\n";
    }
    if (whole)
        for (const auto& zone : scenario.zones)
            if (!lists.contains(zone.interface))
                lists[zone.interface] = "access-list wmlab_" + zone.interface + " extended deny ip any any\n";
    for (const auto& [interface, list] : lists)
        out += "!\n" + list + (whole ? "access-group wmlab_" + interface + " in interface " + interface + "\n" : "");
    if (const auto translations = translations_text(scenario, needs); !translations.empty())
        out += "!\n" + translations;
    for (const auto& need : needs.needs)
        if (need.multicast)
            return out +
                   "!\n! Multicast: as a stub the device passes IGMP on to the router beside the sender (`igmp forward interface NAME` on the\n"
                   "! receivers' interface); else it takes part in PIM and needs a rendezvous point (`pim rp-address ADDRESS`).\n" +
                   (whole ? "multicast-routing\n" : "! multicast-routing\n");
    return out;
}

}  // namespace wmlab::lab::rules::dialect
