// Packets made by hand for the audit's further dimensions: any addresses, ports, flags, IP protocols, ICMP types, and
// what else a rule may ask a packet for. IPv4 and IPv6. Pure.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::lab {

// An address of either family as a number; IPv4 addresses are those below 2^32.
__extension__ typedef unsigned __int128 Wide;
struct Address {
    Wide value = 0;
    bool v6 = false;
    static Address of(scenario::Ipv4 address) { return {address.value, false}; }
    static std::optional<Address> from(std::string_view text);
    std::string text() const;
    std::array<std::uint8_t, 16> bytes() const;  // network order; IPv4: the first four
    auto operator<=>(const Address&) const = default;
};

// What one rule asks a packet for beside addresses, ports, flags and types. Unset: as an ordinary packet has it.
struct Shape {
    std::optional<unsigned> length;    // of the whole packet
    std::optional<unsigned> payload;   // bytes behind the header of TCP, UDP ...
    std::optional<unsigned> lifetime;  // TTL or hop limit
    std::optional<unsigned> service;   // the whole traffic class: DSCP and ECN
    std::optional<unsigned> id, fragment;
    std::optional<unsigned> window, sequence, acknowledgement, urgent, segment_max;
    std::optional<std::uint64_t> hardware_source;
    struct Raw {  // `@th,64,32 0xdeadbeef`: bits from the start of the network header (false) or the one behind it
        bool transport = true;
        unsigned offset = 0, bits = 0;
        std::uint64_t value = 0;
    };
    std::vector<Raw> raw;
    bool plain() const { return *this == Shape{}; }
    bool operator==(const Shape& other) const { return words() == other.words(); }
    std::string words() const;  // "1400 bytes long, TTL 3"
};

struct Crafted {
    std::uint8_t zone = 0;  // whose wire it arrives from; firewall_itself: the firewall sends it
    std::uint8_t protocol = 6;
    std::uint16_t source_port = 0, destination_port = 0;
    std::uint8_t flags = 0, type = 0, code = 0;  // of TCP; of ICMP
    std::uint16_t shape = 0;                     // index; 0: an ordinary packet
    Address source, destination;
};
inline constexpr std::uint8_t firewall_itself = 255;
inline constexpr std::uint8_t icmp_v4 = 1, igmp_number = 2, tcp_number = 6, udp_number = 17, dccp_number = 33, icmp_v6 = 58, sctp_number = 132,
                              udplite_number = 136;
// Beside TCP and UDP: where rules name them, each port of theirs is tried, too.
inline constexpr std::array further_transports{dccp_number, sctp_number, udplite_number};
constexpr bool has_ports(std::uint8_t protocol) {
    return protocol == tcp_number || protocol == udp_number || protocol == dccp_number || protocol == sctp_number || protocol == udplite_number;
}

// From the network header on. `nonce` stands where no firewall changes it.
std::vector<std::uint8_t> craft(const Crafted& packet, const Shape& shape, std::uint32_t nonce);

// A packet seen on a wire (or, `bare`, without its network header), as far as the audit asks.
struct Sighted {
    std::uint32_t nonce = 0;
    Address source, destination;
    std::uint8_t protocol = 0, type = 0;  // type: of ICMP
    std::uint16_t source_port = 0, destination_port = 0;
};
std::optional<Sighted> sighted(std::span<const std::uint8_t> bytes);
std::optional<std::uint32_t> nonce_behind(std::uint8_t protocol, std::span<const std::uint8_t> transport);

}  // namespace wmlab::lab
