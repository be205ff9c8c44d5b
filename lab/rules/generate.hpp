// The minimal rules that let exactly a scenario through, derived from the flow catalogue, in the languages of common
// firewalls.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::lab::rules {

// One thing the firewall must let through: the first packet of a conversation. Answers are the stateful firewall's own
// business.
struct Need {
    scenario::Protocol protocol = scenario::Protocol::tcp;
    std::string source, destination;  // host names; the group for multicast
    scenario::Ipv4 source_address, destination_address;
    // Where it is `anyone` of a zone (then named "anyone@outside"): that zone's subnet, or everything. Empty: the host.
    std::optional<scenario::Subnet> source_net{}, destination_net{};
    std::string in, out;  // the firewall's interfaces; `out` of multicast: one row for each zone of receivers
    std::string source_zone, destination_zone;
    scenario::PortList ports;  // destination; empty: any
    bool multicast = false;
    std::vector<std::string> flows;                  // "unicast-udp media"
    std::vector<scenario::PortList> ports_of_flows;  // which of the ports each of them needs; empty: all of them
};

// A host that is reached by another address: what is for that address, on these ports, is led to it.
struct Translation {
    scenario::Protocol protocol = scenario::Protocol::tcp;
    std::string host, in;  // the interface by which it comes
    scenario::Ipv4 published, address;
    scenario::PortList ports;
};

struct Needs {
    std::vector<Translation> translations;  // of the needs below
    std::vector<Need> needs;                // no two overlap for the same hosts and protocol
    std::vector<Need>
        alternatives;  // what a rollover may use, but does not need: it is content with the first way open
    // Hosts whose IGMP reports the firewall itself must take, as the router of their zone.
    struct Membership {
        std::string host, flow;  // "announcements join"
    };
    std::vector<Membership> memberships{};
    std::vector<std::string> notes;  // what cannot be said as a rule of this firewall (IGMP, commands ...)
};
// All addresses of `anyone` of a zone: its subnet, or everything (prefix 0) where it has no end.
scenario::Subnet anyone_net(const scenario::Scenario& scenario, std::string_view zone);

// Flows expected to be anything but pass or degraded are left out: they are not to be let through.
Needs needs(const scenario::Scenario& scenario);

inline constexpr std::array<std::string_view, 5> dialect_names = {"nft", "iptables", "asa", "pf", "netsh"};
enum class Form {
    whole,  // a file of its own, with what loading it replaces said in its head
    merge   // the rules alone, to be put into a ruleset that is there
};
// Text with comments. Nothing: unknown dialect.
std::optional<std::string> generate(const scenario::Scenario& scenario, std::string_view dialect,
                                    Form form = Form::whole);

// Of such a text the lines that let one need through, without those for answers; translations are not among them. None: unknown dialect.
std::vector<std::string> letting_lines(const scenario::Scenario& scenario, std::string_view dialect, const Need& need);

namespace dialect {
std::string nft(const scenario::Scenario& scenario, const Needs& needs, Form form);
std::string iptables(const scenario::Scenario& scenario, const Needs& needs, Form form);
std::string asa(const scenario::Scenario& scenario, const Needs& needs, Form form);
std::string pf(const scenario::Scenario& scenario, const Needs& needs, Form form);
std::string netsh(const scenario::Scenario& scenario, const Needs& needs, Form form);
std::vector<std::string> nft_lines(const scenario::Scenario& scenario, const Need& need);
std::vector<std::string> iptables_lines(const scenario::Scenario& scenario, const Need& need);
std::vector<std::string> asa_lines(const scenario::Scenario& scenario, const Need& need);
std::vector<std::string> pf_lines(const scenario::Scenario& scenario, const Need& need);
std::vector<std::string> netsh_lines(const scenario::Scenario& scenario, const Need& need);
}  // namespace dialect

// Shared by the dialects: the address, or what `anyone` stands for; nothing: any address.
std::optional<scenario::Subnet> source_of(const Need& need);
std::optional<scenario::Subnet> destination_of(const Need& need);
// "10.10.0.10" or "10.10.0.0/24".
std::string net_text(const scenario::Subnet& net);

// Shared by the dialects: "1755", "1024-5000" with the dialect's own sign between the ends, ranges joined by `comma`.
std::string ports_text(const scenario::PortList& ports, std::string_view between, std::string_view comma);
// The comment over each file: what it is for, notes, each line behind `mark`.
std::string heading(const scenario::Scenario& scenario, const Needs& needs, std::string_view mark);
std::string flows_text(const Need& need);  // "unicast-udp media, rollover media"
// At most so long, and not cut in a word: "unicast-udp media ...".
std::string shortened(const std::string& text, std::size_t size_max);

}  // namespace wmlab::lab::rules
