// OpenBSD and FreeBSD pf. Rules without a direction hold on both interfaces a packet crosses; state lets the answers
// through.
#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {

std::string pf(const scenario::Scenario& scenario, const Needs& needs) {
    std::string out = heading(scenario, needs, "#") + "\nset skip on lo\nblock drop all\n";
    for (const auto& need : needs.needs) {
        out += "\n# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\npass quick on { " +
               need.in + " " + need.out + " } inet proto " + std::string{text(need.protocol)} + " from " +
               need.source_address.text() + " to " + need.destination_address.text();
        if (!need.ports.empty()) {
            const auto ports = ports_text(need.ports, ":", " ");
            out += " port " + (need.ports.size() > 1 ? "{ " + ports + " }" : ports);
        }
        out += " keep state\n";
    }
    return out;
}

}  // namespace wmlab::lab::rules::dialect
