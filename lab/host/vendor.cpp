#include "lab/host/vendor.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace wmlab::lab {
namespace {

// Beginnings of lines, blanks left out.
bool has_line(std::string_view text, std::span<const std::string_view> beginnings) {
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        if (std::ranges::any_of(beginnings, [&](std::string_view beginning) { return line.starts_with(beginning); }))
            return true;
    }
    return false;
}

struct Vendor {
    std::string_view name;                       // "the configuration of a Cisco ASA"
    std::string_view dialect;                    // of `wmlab rules`; empty: it writes none for it
    std::array<std::string_view, 8> lines{};     // one of these begins a line
    std::array<std::string_view, 3> anywhere{};  // or is somewhere in the text
};

constexpr std::array vendors = {
    Vendor{"the configuration of a FortiGate (FortiOS)",
           "",
           {"config firewall policy", "config firewall address", "config system interface", "#config-version=FG"},
           {}},
    Vendor{"the configuration of a Palo Alto firewall (PAN-OS)",
           "",
           {"set rulebase security", "set deviceconfig", "set network interface ethernet", "set vsys ", "set address "},
           {"<vsys>", "<rulebase>", "paloaltonetworks"}},
    Vendor{"the configuration of a Junos device",
           "",
           {"set security policies", "set security zones", "set security nat", "set firewall family inet",
            "set firewall filter", "## Last commit", "set applications application"},
           {"security-zone ", "from-zone "}},
    Vendor{"the configuration of a VyOS or EdgeOS router",
           "",
           {"set firewall ", "set nat ", "set interfaces ethernet", "firewall {", "all-ping "},
           {}},
    Vendor{"the configuration of an OPNsense or pfSense firewall", "pf", {}, {"<opnsense>", "<pfsense>"}},
    Vendor{"the configuration of a Cisco ASA",
           "asa",
           {"ASA Version", "PIX Version", "access-group ", "nameif ", "object network ", "object-group network ",
            "same-security-traffic "},
           {}},
    Vendor{"the access list of a Cisco router or switch",
           "asa",
           {"ip access-list ", "access-list ", "ip access-group ", "interface GigabitEthernet"},
           {}},
    Vendor{"rules of pf (OpenBSD, FreeBSD)",
           "pf",
           {"pass in", "pass out", "pass quick", "block in", "block drop", "block return", "block all", "set skip on"},
           {"rdr-to ", "nat-to "}},
    Vendor{"rules of ipfw (FreeBSD)", "", {"ipfw add", "add allow ", "add deny ", "${fwcmd}"}, {}},
    Vendor{"the configuration of a MikroTik router (RouterOS)", "", {"/ip firewall", "/ip/firewall"}, {}},
    Vendor{"an export of AWS security groups",
           "",
           {"resource \"aws_security_group"},
           {"\"IpPermissions\"", "\"SecurityGroups\"", "\"SecurityGroupRules\""}},
    Vendor{"an export of an Azure network security group",
           "",
           {"resource \"azurerm_network_security"},
           {"\"securityRules\"", "\"destinationPortRange\""}},
    Vendor{"an export of Google Cloud firewall rules",
           "",
           {"resource \"google_compute_firewall"},
           {"\"compute#firewall\"", "\"sourceRanges\""}},
    Vendor{"rules of the Windows firewall",
           "netsh",
           {"netsh advfirewall", "advfirewall ", "New-NetFirewallRule", "Rule Name:"},
           {"|Action=Allow|", "|Action=Block|", "\\FirewallRules]"}},
    Vendor{"the configuration of an OpenWrt router (uci)",
           "",
           {"config rule", "config zone", "config forwarding", "config redirect"},
           {}},
    Vendor{"a zone or policy of firewalld", "", {}, {"<zone", "<policy target", "<direct>"}},
};

std::string listing_form(std::string_view text) {
    static constexpr std::array<std::string_view, 2> of_list = {"Chain INPUT (policy", "Chain FORWARD (policy"};
    static constexpr std::array<std::string_view, 1> commit = {"COMMIT"};
    static constexpr std::array<std::string_view, 3> of_rules = {"-A ", "-P ", "-N "};
    if (has_line(text, of_list))
        return "it is what `iptables -L` prints, from which rules cannot be loaded: take the output of `iptables-save`";
    if (text.find("ip6tables-save") != std::string_view::npos ||
        (has_line(text, commit) && text.find("ipv6-icmp") != std::string_view::npos))
        return "it is of ip6tables, and scenarios are IPv4: take the output of `iptables-save` (rules.v4)";
    if (has_line(text, of_rules) && !has_line(text, commit))
        return "it is what `iptables -S` prints, one table without its name and COMMIT: take the output of `iptables-save`";
    return {};
}

}  // namespace

std::string vendor_form(std::string_view text) {
    // A line of nft's may begin as one of another: `set address {`.
    static constexpr std::array<std::string_view, 12> of_linux = {
        "table ip",      "table inet",    "table arp", "table bridge", "table netdev", "add table ",
        "create table ", "flush ruleset", "*filter",   "*nat",         "*mangle",      "*raw"};
    if (has_line(text, of_linux)) return listing_form(text);
    for (const auto& vendor : vendors) {
        const auto given = [](std::string_view word) { return !word.empty(); };
        std::array<std::string_view, 8> lines{};
        const auto end = std::ranges::copy_if(vendor.lines, lines.begin(), given).out;
        const bool found = has_line(text, std::span{lines.begin(), end}) ||
                           std::ranges::any_of(vendor.anywhere, [&](std::string_view word) {
                               return given(word) && text.find(word) != std::string_view::npos;
                           });
        if (!found) continue;
        std::string form =
            "it is " + std::string{vendor.name} +
            ", which a Linux kernel cannot load: try the device itself, between two network cards of this machine (`wmlab run SCENARIO --attach ZONE=NIC --attach ZONE=NIC`)";
        if (!vendor.dialect.empty())
            form +=
                "; `wmlab rules SCENARIO --dialect " + std::string{vendor.dialect} + "` writes the rules that it needs";
        return form;
    }
    return listing_form(text);
}

}  // namespace wmlab::lab
