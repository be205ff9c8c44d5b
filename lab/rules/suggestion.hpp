// The smallest rule that lets a leg through, in the ruleset's own language.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/catalogue.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

// A rule that accepts packets by their addresses and ports, and by nothing else.
struct AcceptRule {
    std::string in, out;  // interfaces; empty: any
    std::vector<scenario::Subnet> sources, destinations;  // an address is a /32
    std::string protocol;  // "tcp", "udp"
    bool answers = false;  // `ports` are those the packets come from
    scenario::PortList ports;

    // How the file calls addresses and interfaces: "10.10.0.10" by "$MEDIA". nftables only.
    using Names = std::map<std::string, std::string, std::less<>>;
    // In iptables' words it may take more than one line: a list has at most 15 ports.
    std::vector<std::string> text(Dialect dialect, std::string_view chain, const Names& names = {}) const;
    static std::optional<AcceptRule> from(const std::string& text,
                                          Dialect dialect);  // of text() with one line, no names
    bool covers(const AcceptRule& other) const;              // every packet that the other accepts
    bool operator==(const AcceptRule&) const = default;
};
// As few rules as let exactly the same packets through.
std::vector<AcceptRule> merged(std::vector<AcceptRule> rules);
// What one list of ports of iptables' multiport holds; a range counts twice.
constexpr std::size_t multiport_max = 15;
std::vector<scenario::PortList> multiport_parts(const scenario::PortList& ports);

// The names that a nftables file gives at its top level before this line, each for one address or interface.
AcceptRule::Names names_in(const std::string& text, unsigned line);

// A sample's address and what is written in its place: the zone's subnet, or, where that is everything, only the
// interface by which its packets come in and those for it go out.
struct AnyoneAs {
    scenario::Ipv4 address;
    scenario::Subnet net;
    std::string in, out;
};

// "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 1755 accept", or "-A FORWARD -s ... -j ACCEPT". `answers`: for
// what comes back, where connections are not tracked. `in`, `out`: interfaces, where the chain's rules name them.
std::string accept_rule(const scenario::Leg& leg, Dialect dialect, std::string_view chain, bool answers = false,
                        const std::string& in = {}, const std::string& out = {}, const std::optional<AnyoneAs>& anyone = {});
// Lets the answers of accepted connections through: "ct state established,related accept".
std::string accept_answers(Dialect dialect, std::string_view chain);

// Leads what is for the first address, on these ports, to the second; of `source` alone, or of everybody. `chain` as in as_command().
std::string dnat_rule(scenario::Ipv4 published, scenario::Ipv4 address, std::string_view protocol, const scenario::PortList& ports, Dialect dialect,
                      const std::string& chain, const std::string& in, std::optional<scenario::Subnet> source = {});
// A table of its own for rules of a chain that the file does not have.
std::string section_of(const std::vector<std::string>& rules, Dialect dialect, const std::string& chain);

// The rule as a statement outside of its chain's block, `chain` being "inet filter forward": "add rule inet filter
// forward ...". `command`: "add" (last), "insert" (first), "insert 3" (as the dialect counts: nft from 0, iptables from
// 1), "section": in a table of its own, empty: the rule as it is.
std::string as_command(const std::string& rule, Dialect dialect, const std::string& chain, std::string_view command);

}  // namespace wmlab::lab::rules
