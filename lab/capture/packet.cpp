#include "lab/capture/packet.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace wmlab::lab {
namespace {

constexpr std::size_t ethernet_header = 14;
constexpr std::array<std::string_view, 11> names = {"syn", "syn-ack", "rst",  "fin",      "data", "ack",
                                                    "udp", "icmp",    "igmp", "fragment", "other"};

// Network byte order; beyond the end everything is zero and `cut` is set.
class Fields {
public:
    explicit Fields(std::span<const std::byte> bytes) : bytes_{bytes} {}
    std::uint8_t u8(std::size_t at) const {
        if (at < bytes_.size()) return std::to_integer<std::uint8_t>(bytes_[at]);
        cut_ = true;
        return 0;
    }
    std::uint16_t u16(std::size_t at) const { return static_cast<std::uint16_t>(u8(at) << 8 | u8(at + 1)); }
    std::uint32_t u32(std::size_t at) const { return std::uint32_t{u16(at)} << 16 | u16(at + 2); }
    Fields from(std::size_t at) const { return Fields{bytes_.subspan(std::min(at, bytes_.size()))}; }
    bool cut() const { return cut_; }
    std::span<const std::byte> bytes() const { return bytes_; }

private:
    std::span<const std::byte> bytes_;
    mutable bool cut_ = false;
};

bool has_ports(std::uint8_t protocol) { return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP; }

PacketKind tcp_kind(std::uint8_t flags, std::uint32_t payload) {
    constexpr std::uint8_t fin = 1, syn = 2, rst = 4, ack = 16;
    if ((flags & rst) != 0) return PacketKind::rst;
    if ((flags & syn) != 0) return (flags & ack) != 0 ? PacketKind::syn_ack : PacketKind::syn;
    if (payload != 0) return PacketKind::data;
    return (flags & fin) != 0 ? PacketKind::fin : PacketKind::ack;
}

// FNV-1a.
std::uint32_t hash_of(std::uint8_t flags, std::span<const std::byte> payload) {
    std::uint32_t hash = (2166136261U ^ flags) * 16777619U;
    for (const auto byte : payload) hash = (hash ^ std::to_integer<std::uint8_t>(byte)) * 16777619U;
    return hash;
}

bool quotes_a_packet(std::uint8_t icmp_type) {  // RFC 792, RFC 1122 3.2.2: errors
    return icmp_type == 3 || icmp_type == 4 || icmp_type == 5 || icmp_type == 11 || icmp_type == 12;
}

// An error is told of the packet that it quotes. False: the quote is cut short.
bool read_icmp(const Fields& icmp, PacketSort& sort) {
    sort.kind = PacketKind::icmp;
    sort.icmp_type = icmp.u8(0);
    sort.icmp_code = icmp.u8(1);
    sort.sender = sort.source;
    if (!quotes_a_packet(sort.icmp_type)) return true;
    const auto quoted = icmp.from(8);
    const std::size_t header = (quoted.u8(0) & 15u) * 4u;
    sort.quoted_protocol = quoted.u8(9);
    sort.source = quoted.u32(12);
    sort.destination = quoted.u32(16);
    if (has_ports(sort.quoted_protocol) && (quoted.u16(6) & 0x1fffu) == 0) {
        const auto transport = quoted.from(header);
        sort.ports = true;
        sort.source_port = transport.u16(0);
        sort.destination_port = transport.u16(2);
        if (transport.cut()) return false;
    }
    return !quoted.cut();
}

}  // namespace

std::string_view text(PacketKind kind) { return names[static_cast<std::size_t>(kind)]; }

std::optional<PacketSeen> read_packet(std::span<const std::byte> frame) {
    const Fields ethernet{frame};
    if (ethernet.u16(12) != 0x0800) return std::nullopt;
    const auto ip = ethernet.from(ethernet_header);
    const std::size_t header = (ip.u8(0) & 15u) * 4u;
    const std::size_t total = ip.u16(2);
    if (ip.u8(0) >> 4 != 4 || header < 20 || total < header) return std::nullopt;

    PacketSeen seen;
    auto& sort = seen.sort;
    seen.id = ip.u16(4);
    seen.ttl = ip.u8(8);
    sort.protocol = ip.u8(9);
    sort.source = ip.u32(12);
    sort.destination = ip.u32(16);
    const auto fragment = ip.u16(6);
    const auto offset = fragment & 0x1fffu;
    seen.first_fragment = offset == 0 && (fragment & 0x2000u) != 0;
    seen.later_fragment = offset != 0;
    if (ip.cut()) return std::nullopt;

    const auto behind = ip.from(header);
    const auto payload_after = [&](std::size_t transport, std::uint8_t flags = 0) {
        seen.payload = static_cast<std::uint32_t>(total - header > transport ? total - header - transport : 0);
        const auto payload = behind.from(transport).bytes();  // a short frame is padded: not with payload
        seen.hash = hash_of(flags, payload.first(std::min<std::size_t>(payload.size(), seen.payload)));
    };
    if (seen.later_fragment) {
        sort.kind = PacketKind::fragment;
        payload_after(0);
        return seen;
    }
    if (has_ports(sort.protocol)) {
        sort.ports = true;
        sort.source_port = behind.u16(0);
        sort.destination_port = behind.u16(2);
    }
    switch (sort.protocol) {
        case IPPROTO_TCP:
            // PSH says nothing about what the packet does.
            payload_after((behind.u8(12) >> 4) * 4u, behind.u8(13) & 0x17u);
            seen.sequence = behind.u32(4);
            sort.kind = tcp_kind(behind.u8(13), seen.payload);
            break;
        case IPPROTO_UDP:
            payload_after(8);
            sort.kind = PacketKind::udp;
            break;
        case IPPROTO_IGMP:
            payload_after(0);
            sort.kind = PacketKind::igmp;
            sort.igmp = read_igmp(behind.bytes().first(std::min<std::size_t>(behind.bytes().size(), total - header)));
            break;
        case IPPROTO_ICMP:
            payload_after(8);
            if (!read_icmp(behind, sort)) return std::nullopt;
            break;
        default:
            payload_after(0);
            break;
    }
    if (behind.cut()) return std::nullopt;
    return seen;
}

}  // namespace wmlab::lab
