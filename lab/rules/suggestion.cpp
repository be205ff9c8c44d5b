#include "lab/rules/suggestion.hpp"

#include <algorithm>

namespace wmlab::lab::rules {
namespace {

std::string nft_ports(const scenario::PortList& ports) {
    if (ports.size() == 1) return ports[0].text();
    std::string text = "{ ";
    for (std::size_t i = 0; i < ports.size(); ++i) text += (i ? ", " : "") + ports[i].text();
    return text + " }";
}

std::string iptables_ports(const scenario::PortList& ports) {
    std::string text;
    for (const auto& range : ports) {
        if (!text.empty()) text += ",";
        text += std::to_string(range.first);
        if (range.last != range.first) text += ":" + std::to_string(range.last);
    }
    return text;
}

}  // namespace

std::string accept_rule(const scenario::Leg& leg, Dialect dialect, std::string_view chain, bool answers) {
    auto source = leg.source_address.text(), destination = leg.destination_address.text();
    if (answers) std::swap(source, destination);
    const auto protocol = std::string{scenario::text(leg.protocol)};
    const std::string port = answers ? "sport" : "dport";
    // IGMP goes to the group or, from version 3 on, to all routers.
    if (leg.protocol == scenario::Protocol::igmp) {
        return dialect == Dialect::nft ? "ip saddr " + source + " ip protocol igmp accept"
                                       : "-A " + std::string{chain} + " -s " + source + "/32 -p igmp -j ACCEPT";
    }
    const bool ports = !leg.destination_ports.empty();
    if (dialect == Dialect::nft) {
        std::string rule = "ip saddr " + source + " ip daddr " + destination + " ";
        if (ports)
            rule += protocol + " " + port + " " + nft_ports(leg.destination_ports) + " ";
        else
            rule += "meta l4proto " + protocol + " ";
        return rule + "accept";
    }
    std::string rule = "-A " + std::string{chain} + " -s " + source + "/32 -d " + destination + "/32 -p " + protocol;
    if (ports) {
        rule += leg.destination_ports.size() == 1 ? " -m " + protocol + " --" + port + " "
                                                  : std::string{" -m multiport --"} + port + "s ";
        rule += iptables_ports(leg.destination_ports);
    }
    return rule + " -j ACCEPT";
}

std::string as_command(const std::string& rule, Dialect dialect, const std::string& chain, std::string_view command) {
    if (command.empty()) return rule;
    if (dialect == Dialect::nft) return std::string{command} + " rule " + chain + " " + rule;
    return command == "insert" && rule.starts_with("-A ") ? "-I " + rule.substr(3) : rule;
}

std::string accept_answers(Dialect dialect, std::string_view chain) {
    return dialect == Dialect::nft
               ? "ct state established,related accept"
               : "-A " + std::string{chain} + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
}

std::string with_rule_before(const std::string& text, unsigned line, const std::string& rule) {
    std::size_t at = 0;
    for (unsigned number = 1; number < line && at < text.size(); ++number) {
        const auto end = text.find('\n', at);
        at = end == std::string::npos ? text.size() : end + 1;
    }
    const auto indent = text.substr(at, text.find_first_not_of(" \t", at) - at);
    const bool unfinished = at > 0 && text[at - 1] != '\n';
    return text.substr(0, at) + (unfinished ? "\n" : "") + (indent.size() < 40 ? indent : "") + rule + "\n" +
           text.substr(at);
}

}  // namespace wmlab::lab::rules
