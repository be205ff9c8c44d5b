#include "lab/audit/crafted.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cstring>

namespace wmlab::lab {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& bytes, std::size_t at, unsigned value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8), bytes[at + 1] = static_cast<std::uint8_t>(value);
}
void put32(Bytes& bytes, std::size_t at, std::uint32_t value) {
    put16(bytes, at, value >> 16), put16(bytes, at + 2, value & 0xFFFF);
}
unsigned get16(std::span<const std::uint8_t> bytes, std::size_t at) { return unsigned{bytes[at]} << 8 | bytes[at + 1]; }
std::uint32_t get32(std::span<const std::uint8_t> bytes, std::size_t at) {
    return static_cast<std::uint32_t>(get16(bytes, at) << 16 | get16(bytes, at + 2));
}

std::uint32_t sum_of(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get16(bytes, i);
    if (bytes.size() % 2 != 0) sum += unsigned{bytes.back()} << 8;
    return sum;
}
unsigned folded(std::uint32_t sum) {
    while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum & 0xFFFF;
}

void put_bits(Bytes& bytes, std::size_t start, const Shape::Raw& raw) {
    for (unsigned bit = 0; bit < raw.bits && bit < 64; ++bit) {
        const auto at = raw.offset + bit;
        if (start + at / 8 >= bytes.size()) return;
        const auto mask = static_cast<std::uint8_t>(0x80u >> at % 8);
        auto& byte = bytes[start + at / 8];
        const bool set = (raw.value >> (raw.bits - 1 - bit) & 1) != 0;
        byte = static_cast<std::uint8_t>(set ? byte | mask : byte & ~mask);
    }
}

constexpr std::size_t nonce_size = 4;

// RFC 9260, 3.1 and 3.3.2. A packet that begins no association is invalid to the kernel's connection tracking.
constexpr std::size_t sctp_header = 12, sctp_init = 20;
using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

void put_sctp_init(Bytes& bytes, std::size_t at, std::uint32_t nonce) {
    at += sctp_header;  // verification tag 0, the checksum comes last
    bytes[at] = 1;      // INIT
    put16(bytes, at + 2, sctp_init);
    put32(bytes, at + 4, nonce | 1);  // initiate tag: any but 0
    put32(bytes, at + 8, 65536);      // receiver window
    put16(bytes, at + 12, 1), put16(bytes, at + 14, 1);
}

void put_sctp_checksum(Bytes& bytes, std::size_t at) {
    Crc32c crc;
    crc.process_bytes(bytes.data() + at, bytes.size() - at);
    for (unsigned i = 0; i < 4; ++i) bytes[at + 8 + i] = static_cast<std::uint8_t>(crc.checksum() >> (8 * i));
}

// RFC 4340, 5.1: a DCCP-Request, with a sequence number of 48 bits and a service code.
constexpr std::size_t dccp_request = 20;
void put_dccp_request(Bytes& bytes, std::size_t at, std::uint32_t nonce) {
    bytes[at + 4] = dccp_request / 4;  // where the data begin, in words
    bytes[at + 8] = 0 << 1 | 1;        // type 0, extended sequence numbers
    put32(bytes, at + 12, nonce);
}

std::size_t header_size(std::uint8_t protocol, const Shape& shape) {
    if (protocol == tcp_number) return sizeof(tcphdr) + (shape.segment_max ? 4 : 0);
    if (protocol == sctp_number) return sctp_header + sctp_init - nonce_size;  // the nonce is the initial TSN
    if (protocol == dccp_number) return dccp_request;
    return protocol == udp_number || protocol == udplite_number || protocol == icmp_v4 || protocol == icmp_v6 ? 8 : 0;
}

// How much data stands behind the headers, so that the packet is as long as its shape asks and what is asked for has its place.
std::size_t payload_size(const Crafted& packet, const Shape& shape, std::size_t network, std::size_t transport) {
    std::size_t payload = packet.protocol == tcp_number ? 0 : nonce_size;
    if (shape.payload) payload = *shape.payload;
    if (shape.length && *shape.length >= network + transport) payload = *shape.length - network - transport;
    for (const auto& raw : shape.raw) {
        const auto end = (raw.offset + raw.bits + 7) / 8 + (raw.transport ? network : 0);
        if (end > network + transport + payload) payload = end - network - transport;
    }
    for (const auto& raw : shape.raw)  // the length that UDP's own header tells: another than the real one is invalid
        if (packet.protocol == udp_number && raw.transport && raw.offset == 32 && raw.bits == 16 && raw.value >= transport && raw.value < 0xFFFF - network)
            payload = raw.value - transport;
    if (packet.protocol == udp_number && !shape.raw.empty() && payload < 2 * nonce_size) payload = 2 * nonce_size;
    return payload;
}

void put_ipv6(Bytes& bytes, const Crafted& packet, const Shape& shape) {
    const auto traffic_class = shape.service.value_or(0);
    bytes[0] = static_cast<std::uint8_t>(0x60 | traffic_class >> 4);
    bytes[1] = static_cast<std::uint8_t>(traffic_class << 4);
    put16(bytes, 4, static_cast<unsigned>(bytes.size() - 40));
    bytes[6] = packet.protocol;
    bytes[7] = static_cast<std::uint8_t>(shape.lifetime.value_or(64));
    std::ranges::copy(packet.source.bytes(), bytes.begin() + 8);
    std::ranges::copy(packet.destination.bytes(), bytes.begin() + 24);
}

void put_ipv4(Bytes& bytes, const Crafted& packet, const Shape& shape, std::uint32_t nonce) {
    bytes[0] = 0x45;
    bytes[1] = static_cast<std::uint8_t>(shape.service.value_or(0));
    put16(bytes, 2, static_cast<unsigned>(bytes.size()));
    put16(bytes, 4, shape.id.value_or(nonce & 0xFFFF));
    put16(bytes, 6, shape.fragment.value_or(0));
    bytes[8] = static_cast<std::uint8_t>(shape.lifetime.value_or(64));
    bytes[9] = packet.protocol;
    std::copy_n(packet.source.bytes().begin(), 4, bytes.begin() + 12);
    std::copy_n(packet.destination.bytes().begin(), 4, bytes.begin() + 16);
}

void put_transport(Bytes& bytes, std::size_t at, std::size_t size, const Crafted& packet, const Shape& shape, std::uint32_t nonce) {
    if (has_ports(packet.protocol)) put16(bytes, at, packet.source_port), put16(bytes, at + 2, packet.destination_port);
    switch (packet.protocol) {
        case tcp_number:
            put32(bytes, at + 4, shape.sequence.value_or(nonce));
            put32(bytes, at + 8, shape.acknowledgement.value_or(packet.flags & TH_ACK ? ~nonce : 0));
            bytes[at + 12] = static_cast<std::uint8_t>(size / 4 << 4);
            bytes[at + 13] = packet.flags;
            put16(bytes, at + 14, shape.window.value_or(64240));
            put16(bytes, at + 18, shape.urgent.value_or(0));
            if (shape.segment_max) bytes[at + 20] = 2, bytes[at + 21] = 4, put16(bytes, at + 22, *shape.segment_max);
            break;
        case udp_number:
            put16(bytes, at + 4, static_cast<unsigned>(bytes.size() - at));
            break;
        case icmp_v4:
        case icmp_v6:
            bytes[at] = packet.type, bytes[at + 1] = packet.code;
            put32(bytes, at + 4, nonce);  // identifier and sequence of an echo
            break;
        case sctp_number:
            put_sctp_init(bytes, at, nonce);
            break;
        case dccp_number:
            put_dccp_request(bytes, at, nonce);
            break;
        default:  // UDP-Lite has its ports, and a coverage of 0: the checksum covers all of it (RFC 3828)
            break;
    }
}

void put_checksums(Bytes& bytes, std::size_t network, const Crafted& packet) {
    const bool v6 = packet.destination.v6;
    if (!v6) {
        put16(bytes, 10, 0);
        put16(bytes, 10, folded(sum_of(std::span{bytes}.first(network))));
    }
    const auto source = packet.source.bytes(), destination = packet.destination.bytes();
    const auto behind = std::span{bytes}.subspan(network);
    const auto pseudo = sum_of(std::span{source}.first(v6 ? 16 : 4), sum_of(std::span{destination}.first(v6 ? 16 : 4))) + packet.protocol +
                        static_cast<std::uint32_t>(behind.size());
    switch (packet.protocol) {
        case tcp_number:
            put16(bytes, network + 16, folded(sum_of(behind, pseudo)));
            break;
        case dccp_number:
            put16(bytes, network + 6, folded(sum_of(behind, pseudo)));
            break;
        case udp_number:
        case udplite_number: {
            const auto sum = folded(sum_of(behind, pseudo));
            put16(bytes, network + 6, sum == 0 ? 0xFFFF : sum);
            break;
        }
        case icmp_v4:
        case icmp_v6:
            put16(bytes, network + 2, folded(sum_of(behind, packet.protocol == icmp_v6 ? pseudo : 0)));
            break;
        case sctp_number:
            put_sctp_checksum(bytes, network);
            break;
        default:
            break;
    }
}

}  // namespace

std::optional<Address> Address::from(std::string_view text) {
    if (const auto v4 = scenario::Ipv4::from(text)) return of(*v4);
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, std::string{text}.c_str(), &parsed) != 1) return std::nullopt;
    Address address;
    address.v6 = true;
    for (const auto byte : parsed.s6_addr) address.value = address.value << 8 | byte;
    return address;
}

std::array<std::uint8_t, 16> Address::bytes() const {
    std::array<std::uint8_t, 16> bytes{};
    const unsigned size = v6 ? 16 : 4;
    for (unsigned i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - i)));
    return bytes;
}

std::string Address::text() const {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes().data(), text, sizeof text);
    return text;
}

std::string Shape::words() const {
    std::string all;
    const auto add = [&](const std::string& word) { all += (all.empty() ? "" : ", ") + word; };
    if (length) add(fmt::format("{} bytes long", *length));
    if (payload) add(fmt::format("with {} bytes of data", *payload));
    if (lifetime) add(fmt::format("with a time to live of {}", *lifetime));
    if (service) add(fmt::format("with DSCP {} and ECN {}", *service >> 2, *service & 3));
    if (id) add(fmt::format("with the IP identification {}", *id));
    if (fragment) add(fmt::format("with the fragment field 0x{:04x}", *fragment));
    if (window) add(fmt::format("with a window of {}", *window));
    if (sequence) add(fmt::format("with the sequence number {}", *sequence));
    if (acknowledgement) add(fmt::format("with the acknowledgement number {}", *acknowledgement));
    if (urgent) add(fmt::format("with the urgent pointer {}", *urgent));
    if (segment_max) add(fmt::format("with a maximum segment size of {}", *segment_max));
    if (hardware_source) add(fmt::format("from the hardware address {:012x}", *hardware_source));
    for (const auto& r : raw)
        add(fmt::format("with 0x{:x} in {} bits at bit {} of the {} header", r.value, r.bits, r.offset,
                        r.transport ? "transport" : "network"));
    return all;
}

std::vector<std::uint8_t> craft(const Crafted& packet, const Shape& shape, std::uint32_t nonce) {
    const bool v6 = packet.destination.v6;
    const std::size_t network = v6 ? 40 : 20, transport = header_size(packet.protocol, shape);
    const auto payload = payload_size(packet, shape, network, transport);
    Bytes bytes(network + transport + payload);
    if (v6)
        put_ipv6(bytes, packet, shape);
    else
        put_ipv4(bytes, packet, shape, nonce);
    put_transport(bytes, network, transport, packet, shape, nonce);
    // At both ends of the data: rules that look into it may ask for the beginning.
    if (payload >= nonce_size && packet.protocol != tcp_number) {
        put32(bytes, network + transport, nonce);
        put32(bytes, bytes.size() - nonce_size, nonce);
    }
    for (const auto& raw : shape.raw) put_bits(bytes, raw.transport ? network : 0, raw);
    put_checksums(bytes, network, packet);
    return bytes;
}

std::optional<std::uint32_t> nonce_behind(std::uint8_t protocol, std::span<const std::uint8_t> transport) {
    if (protocol == tcp_number) return transport.size() >= 8 ? std::optional{get32(transport, 4)} : std::nullopt;
    const std::size_t header = header_size(protocol, {});
    if (transport.size() < header + nonce_size) return std::nullopt;
    return get32(transport, transport.size() - nonce_size);
}

std::optional<Sighted> sighted(std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) return std::nullopt;
    Sighted seen;
    std::size_t at = 0;
    const auto address = [&](std::size_t from, bool v6) {
        Address read;
        read.v6 = v6;
        for (std::size_t i = 0; i < (v6 ? 16u : 4u); ++i) read.value = read.value << 8 | bytes[from + i];
        return read;
    };
    if (bytes[0] >> 4 == 4 && bytes.size() >= 20) {
        at = std::size_t{bytes[0] & 0xFu} * 4;
        const std::size_t whole = get16(bytes, 2);
        if (whole > at && whole < bytes.size()) bytes = bytes.first(whole);
        seen.protocol = bytes[9];
        seen.source = address(12, false), seen.destination = address(16, false);
    } else if (bytes[0] >> 4 == 6 && bytes.size() >= 40) {
        at = 40;
        seen.protocol = bytes[6];
        seen.source = address(8, true), seen.destination = address(24, true);
    } else {
        return std::nullopt;
    }
    if (at > bytes.size()) return std::nullopt;
    const auto transport = bytes.subspan(at);
    if (has_ports(seen.protocol) && transport.size() >= 4)
        seen.source_port = static_cast<std::uint16_t>(get16(transport, 0)),
        seen.destination_port = static_cast<std::uint16_t>(get16(transport, 2));
    if ((seen.protocol == icmp_v4 || seen.protocol == icmp_v6) && !transport.empty()) seen.type = transport[0];
    const auto nonce = nonce_behind(seen.protocol, transport);
    if (!nonce) return std::nullopt;
    seen.nonce = *nonce;
    return seen;
}

}  // namespace wmlab::lab
