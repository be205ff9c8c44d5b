// iptables-save form, for iptables-restore.
#include "lab/rules/generate.hpp"
#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

std::string ports_of(scenario::Protocol protocol, const scenario::PortList& ports) {
    if (ports.size() == 1) return " -m " + std::string{text(protocol)} + " --dport " + ports_text(ports, ":", ",");
    return ports.empty() ? std::string{} : " -m multiport --dports " + ports_text(ports, ":", ",");
}

}  // namespace

std::vector<std::string> iptables_lines(const scenario::Scenario& /*scenario*/, const Need& need) {
    const auto address = [](const char* option, const std::optional<scenario::Subnet>& net) { return net ? option + net->text() : std::string{}; };
    std::vector<std::string> lines;
    for (const auto& ports : multiport_parts(need.ports))
        lines.push_back("-A FORWARD -i " + need.in + " -o " + need.out + address(" -s ", source_of(need)) + address(" -d ", destination_of(need)) +
                        " -p " + std::string{text(need.protocol)} + ports_of(need.protocol, ports) + " -j ACCEPT");
    return lines;
}

std::string iptables(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    const bool whole = form == Form::whole;
    std::string translations;
    for (const auto& t : needs.translations)
        for (const auto& ports : multiport_parts(t.ports))
            translations += "-A PREROUTING -i " + t.in + " -d " + t.published.text() + "/32 -p " +
                            std::string{text(t.protocol)} + ports_of(t.protocol, ports) + " -j DNAT --to-destination " +
                            t.address.text() + "\n";
    std::string rules =
        "# answers of what is accepted below\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    for (const auto& need : needs.needs) {
        rules += "# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\n";
        for (const auto& line : iptables_lines(scenario, need)) rules += line + "\n";
    }
    auto out = heading(scenario, needs, "#");
    if (!whole) {
        if (!translations.empty()) out += "# in the table nat\n" + translations;
        return out + "# in the table filter, before what drops\n" + rules;
    }
    out +=
        "# iptables-restore first empties each table named below and sets its policies: all rules that are there go.\n"
        "# `--merge` prints the rules alone.\n";
    if (!translations.empty())
        out +=
            "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n" +
            translations + "COMMIT\n";
    return out + "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n" + rules + "COMMIT\n";
}

}  // namespace wmlab::lab::rules::dialect
