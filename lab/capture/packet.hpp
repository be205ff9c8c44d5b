// What sort of packet an Ethernet frame is, as far as the evidence of a wire needs it. Pure: no sockets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lab/network/igmp.hpp"

namespace wmlab::lab {

enum class PacketKind : std::uint8_t { syn, syn_ack, rst, fin, data, ack, udp, icmp, igmp, fragment, other };
std::string_view text(PacketKind kind);

// One IPv4 packet. For an ICMP error source, destination and ports are those of the packet it quotes.
struct PacketSort {
    PacketKind kind = PacketKind::other;
    std::uint8_t protocol = 0;         // IPPROTO_ of the packet itself
    std::uint8_t quoted_protocol = 0;  // ICMP errors: of the packet quoted
    std::uint8_t icmp_type = 0, icmp_code = 0;
    std::uint32_t sender = 0;  // ICMP: who sent it; host byte order, as all addresses here
    std::uint32_t source = 0, destination = 0;
    std::uint16_t source_port = 0, destination_port = 0;
    bool ports = false;  // the two are known
    IgmpSeen igmp;       // of kind igmp
    auto operator<=>(const PacketSort&) const = default;
};

struct PacketSeen {
    PacketSort sort;
    std::uint8_t ttl = 0;
    std::uint16_t id = 0;         // IP identification: joins fragments
    bool first_fragment = false;  // more follow
    bool later_fragment = false;  // not the first: has no ports of its own
    std::uint32_t payload =
        0;  // bytes behind the transport header (of the whole packet, not only of what was captured)
    std::uint32_t sequence = 0;  // TCP
    // Of the TCP flags and of the payload as far as it was captured: what a firewall that only forwards or translates
    // leaves as it is. Addresses, ports, time to live, options and checksums are not in it.
    std::uint32_t hash = 0;
};

// `frame` may be cut short by the capture; nothing for frames that are not IPv4 or broken.
std::optional<PacketSeen> read_packet(std::span<const std::byte> frame);

}  // namespace wmlab::lab
