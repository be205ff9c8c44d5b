// One TCP connection on the wires of its two hosts, each seen with its own addresses (NAT may lie between).
#pragma once
#include "lab/judge/leg.hpp"

namespace wmlab::lab {

struct Path {
    bool source_complete = false, destination_complete = false;  // absence on that wire means something
    Between near, far;                      // the connection's addresses on the source's and on the destination's wire
    bool translated = false;                // they differ
    bool uncertain = false;                 // several connections on the far wire may be this one
    std::uint64_t syn_out = 0, syn_in = 0;  // left the source, reached the destination
    std::uint64_t syn_ack_out = 0, syn_ack_in = 0;                       // left the destination, reached the source
    std::uint64_t data_out = 0, data_in = 0, back_out = 0, back_in = 0;  // segments with payload, there and back
    std::uint64_t ack_in = 0;  // anything after the SYN that reached the destination
    std::uint64_t fin_back_out = 0, fin_back_in = 0, fin_out = 0, fin_in = 0;
    std::uint64_t rst_to_source = 0, rst_from_destination = 0;  // received by the source, sent by the destination
    std::uint64_t rst_to_destination = 0, rst_from_source = 0;
    std::optional<Icmp> icmp_to_source, icmp_to_destination;
    std::uint64_t icmp_from_destination = 0;     // the destination's own ICMP about this connection
    std::optional<unsigned> rst_ttl, other_ttl;  // of packets in the destination's name, at the source
};

Path follow(const LegContext& context, const Endpoint& local, const Endpoint& remote, const Event* accepted = nullptr);

// What the kernel's trace says of the first of these packets.
struct Traced {
    bool known = false;    // it says anything
    bool dropped = false;  // none of them got through
    Between as;            // the addresses they went on with
};
Traced traced(const LegContext& context, std::string_view protocol, const Between& near);

// Where the firewall's translation sent these packets, if that is neither the leg's destination nor a port of it: told
// by the kernel's trace.
std::optional<Endpoint> sent_elsewhere(const LegContext& context, std::string_view protocol, const Between& near);

}  // namespace wmlab::lab
