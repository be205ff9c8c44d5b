// iptables-save form, for iptables-restore.
#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

constexpr std::size_t multiport_max = 15;  // a range counts twice

std::vector<scenario::PortList> parts_of(const scenario::PortList& ports) {
    std::vector<scenario::PortList> parts;
    std::size_t used = multiport_max;
    for (const auto& range : ports) {
        const std::size_t cost = range.first == range.last ? 1 : 2;
        if (used + cost > multiport_max) parts.emplace_back(), used = 0;
        parts.back().push_back(range);
        used += cost;
    }
    if (parts.empty()) parts.emplace_back();
    return parts;
}

}  // namespace

std::string iptables(const scenario::Scenario& scenario, const Needs& needs) {
    std::string out = heading(scenario, needs, "#") +
                      "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
                      "# answers of what is accepted below\n"
                      "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    for (const auto& need : needs.needs) {
        out += "# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\n";
        for (const auto& ports : parts_of(need.ports)) {
            const std::string protocol{text(need.protocol)};
            out += "-A FORWARD -i " + need.in + " -o " + need.out + " -s " + need.source_address.text() + "/32 -d " +
                   need.destination_address.text() + "/32 -p " + protocol;
            if (ports.size() == 1)
                out += " -m " + protocol + " --dport " + ports_text(ports, ":", ",");
            else if (!ports.empty())
                out += " -m multiport --dports " + ports_text(ports, ":", ",");
            out += " -j ACCEPT\n";
        }
    }
    return out + "COMMIT\n";
}

}  // namespace wmlab::lab::rules::dialect
