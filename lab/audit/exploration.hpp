// What the sweep of ports between hosts does not try: source ports, segments without SYN, addresses that rules name,
// port forwards, the firewall's own addresses, IP protocols, ICMP types, IPv6, and packets of a shape that a rule asks
// for. One plan of crafted packets for one ruleset, or for two that are compared.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/bench.hpp"
#include "lab/audit/fields.hpp"
#include "lab/rules/generate.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

enum class Dimension { source_ports, tcp_flags, addresses, own_addresses, own_hooks, protocols, icmp_types, shapes, ipv6 };
inline constexpr Dimension all_dimensions[] = {Dimension::source_ports,  Dimension::tcp_flags, Dimension::addresses,
                                               Dimension::own_addresses, Dimension::own_hooks, Dimension::protocols,
                                               Dimension::icmp_types,    Dimension::shapes,    Dimension::ipv6};
std::string_view text(Dimension dimension);  // "source-ports"
std::string words(Dimension dimension);      // "source ports: 20, 53, 80, 1755 and those that rules name"
using Dimensions = std::set<Dimension>;

struct PlanEnd {      // addresses that no rule tells from one another
    Address address;  // the one that is tried
    std::size_t zone = 0;
    std::vector<std::string> hosts;  // of the scenario, among them
    std::string others;              // the rest in words; empty: there is none
    enum class Kind { zone, outside, gateway, published } kind = Kind::zone;
    bool anyone = false;  // the rest of its zone
};

struct Variant {        // of packets to a port or of a protocol
    std::string words;  // empty: the plain one
    std::uint8_t protocol = 6, flags = 0, type = 0, code = 0;
    std::optional<Span> source_ports;
    std::uint16_t shape = 0;
    Dimension dimension = Dimension::addresses;
    bool ports = true;
    bool everywhere = true;  // false: only from anyone
};

struct Origin {  // of one packet of the plan
    std::uint32_t from = 0, to = 0;
    std::uint16_t variant = 0, ports = 0;
};

class Plan {
public:
    Plan(const scenario::Scenario& scenario, const Asked& asked, const Dimensions& dimensions, const Bench& bench);

    std::vector<PlanEnd> ends;
    std::vector<Variant> variants;
    std::vector<ValueClass> ports;  // destination ports
    std::vector<Shape> shapes;
    struct Phase {
        std::size_t behind = 0;  // the zone behind which strangers are
        std::vector<Crafted> packets;
        std::vector<Origin> origins;
    };
    std::vector<Phase> phases;
    bool reduced = false;  // not every combination: each rule's own
    std::size_t size() const;
    std::size_t plain_of(const Origin& origin) const;  // the plain variant of this one's protocol, itself if none

private:
    std::uint32_t add_end(PlanEnd end);
};

std::vector<std::vector<Outcome>> explore(Bench& bench, const Plan& plan);  // by phase

// Who may be reached where by a flow's need.
class NeedIndex {
public:
    explicit NeedIndex(const scenario::Scenario& scenario);
    struct Place {
        std::string zone;
        bool beyond = false;  // an address that no zone has
    };
    // Hosts or other addresses. Who is in a zone may be `anyone` of it.
    std::vector<std::string> flows(const std::string& from, const Place& from_zone, const std::string& to, const Place& to_zone, std::uint8_t protocol,
                                   Span ports) const;

    std::vector<std::string> memberships(const std::string& host) const;  // flows for which the firewall itself takes its IGMP

private:
    std::vector<rules::Need> needs_;
    std::vector<rules::Needs::Membership> memberships_;
};

}  // namespace wmlab::lab
