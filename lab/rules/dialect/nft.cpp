#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {

std::string nft(const scenario::Scenario& scenario, const Needs& needs) {
    std::string out = "#!/usr/sbin/nft -f\n" + heading(scenario, needs, "#") +
                      "\ntable inet wmlab {\n"
                      "    chain forward {\n"
                      "        type filter hook forward priority filter; policy drop;\n\n";
    bool answers = false;
    for (const auto& need : needs.needs)
        answers = answers || need.protocol == scenario::Protocol::tcp || !need.multicast;
    if (answers) out += "        # answers of what is accepted below\n        ct state established,related accept\n";
    for (const auto& need : needs.needs) {
        out += "\n        # " + need.source + " -> " + need.destination + ": " + flows_text(need) +
               "\n        iifname \"" + need.in + "\" oifname \"" + need.out + "\" ip saddr " +
               need.source_address.text() + " ip daddr " + need.destination_address.text() + " ";
        const auto ports = ports_text(need.ports, "-", ", ");
        if (need.ports.empty())
            out += "meta l4proto " + std::string{text(need.protocol)};
        else
            out += std::string{text(need.protocol)} + " dport " + (need.ports.size() > 1 ? "{ " + ports + " }" : ports);
        out += " accept\n";
    }
    return out + "    }\n}\n";
}

}  // namespace wmlab::lab::rules::dialect
