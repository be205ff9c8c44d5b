// Cisco ASA: one extended access list per interface, bound inbound. Stateful: answers need no entry.
#include <map>

#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {

std::string asa(const scenario::Scenario& scenario, const Needs& needs) {
    std::string out = heading(scenario, needs, "!") +
                      "! Interface names are the scenario's; they must be the `nameif` of the device.\n";
    std::map<std::string, std::string> lists;  // by interface
    for (const auto& need : needs.needs) {
        auto& list = lists[need.in];
        const auto name = "access-list wmlab_" + need.in + " ";
        list +=
            name + "remark " + need.source + " -> " + need.destination + ": " + flows_text(need).substr(0, 60) + "\n";
        const auto entry = name + "extended permit " + std::string{text(need.protocol)} + " host " +
                           need.source_address.text() + " host " + need.destination_address.text();
        if (need.ports.empty()) list += entry + "\n";
        for (const auto& range : need.ports)
            list += entry +
                    (range.first == range.last
                         ? " eq " + std::to_string(range.first)
                         : " range " + std::to_string(range.first) + " " + std::to_string(range.last)) +
                    "\n";
    }
    for (const auto& zone : scenario.zones)
        if (!lists.contains(zone.interface))
            lists[zone.interface] = "access-list wmlab_" + zone.interface + " extended deny ip any any\n";
    for (const auto& [interface, list] : lists)
        out += "!\n" + list + "access-group wmlab_" + interface + " in interface " + interface + "\n";
    for (const auto& need : needs.needs)
        if (need.multicast) return out + "!\nmulticast-routing\n";
    return out;
}

}  // namespace wmlab::lab::rules::dialect
