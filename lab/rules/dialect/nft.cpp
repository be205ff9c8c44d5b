#include "lab/rules/generate.hpp"

namespace wmlab::lab::rules::dialect {
namespace {

std::string matched(scenario::Protocol protocol, const scenario::PortList& ranges) {
    const auto ports = ports_text(ranges, "-", ", ");
    if (ranges.empty()) return "meta l4proto " + std::string{text(protocol)};
    return std::string{text(protocol)} + " dport " + (ranges.size() > 1 ? "{ " + ports + " }" : ports);
}

}  // namespace

std::vector<std::string> nft_lines(const scenario::Scenario& /*scenario*/, const Need& need) {
    const auto address = [](const char* which, const std::optional<scenario::Subnet>& net) {
        return net ? std::string{"ip "} + which + " " + net_text(*net) + " " : std::string{};
    };
    return {"iifname \"" + need.in + "\" oifname \"" + need.out + "\" " + address("saddr", source_of(need)) +
            address("daddr", destination_of(need)) + matched(need.protocol, need.ports) + " accept"};
}

std::string nft(const scenario::Scenario& scenario, const Needs& needs, Form form) {
    const bool whole = form == Form::whole;
    const std::string indent = whole ? "        " : "";
    std::string translations;
    for (const auto& t : needs.translations)
        translations += indent + "iifname \"" + t.in + "\" ip daddr " + t.published.text() + " " +
                        matched(t.protocol, t.ports) + " dnat to " + t.address.text() + "\n";
    std::string rules;
    bool answers = false;
    for (const auto& need : needs.needs)
        answers = answers || need.protocol == scenario::Protocol::tcp || !need.multicast;
    if (answers)
        rules += indent + "# answers of what is accepted below\n" + indent + "ct state established,related accept\n";
    for (const auto& need : needs.needs)
        rules += "\n" + indent + "# " + need.source + " -> " + need.destination + ": " + flows_text(need) + "\n" +
                 indent + nft_lines(scenario, need).front() + "\n";
    if (!whole) {
        auto out = heading(scenario, needs, "#");
        if (!translations.empty())
            out +=
                "\n# for the chain of type nat at the hook prerouting of an `ip` table (in an `inet` one: dnat ip to)\n" +
                translations;
        return out + "\n# for the chain at the hook forward, before what drops\n" + rules;
    }
    auto out = "#!/usr/sbin/nft -f\n" + heading(scenario, needs, "#") +
               "# Loading it adds a table and leaves the others; but its chain drops whatever else is forwarded, also what the others\n"
               "# accept. `--merge` prints the rules alone.\n"
               "\ntable inet wmlab {\n    chain forward {\n        type filter hook forward priority filter; policy drop;\n\n" +
               rules + "    }\n}\n";
    if (!translations.empty())
        out +=
            "\ntable ip wmlab_nat {\n    chain prerouting {\n        type nat hook prerouting priority dstnat; policy accept;\n" +
            translations + "    }\n}\n";
    return out;
}

}  // namespace wmlab::lab::rules::dialect
