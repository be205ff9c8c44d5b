#include "lab/capture/packet.hpp"

#include <netinet/in.h>

#include <vector>

#include "common/bytes/hex.hpp"
#include "tests/catch.hpp"

using namespace wmlab::lab;

namespace {

using Bytes = std::vector<std::byte>;

void put16(Bytes& bytes, unsigned value) {
    bytes.push_back(std::byte(value >> 8));
    bytes.push_back(std::byte(value & 255));
}

Bytes operator+(Bytes left, const Bytes& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

Bytes ip(std::uint8_t protocol, unsigned source, unsigned destination, const Bytes& payload, unsigned fragment = 0) {
    Bytes bytes{std::byte{0x45}, std::byte{0}};
    put16(bytes, static_cast<unsigned>(20 + payload.size()));
    put16(bytes, 77);
    put16(bytes, fragment);
    bytes.push_back(std::byte{63});
    bytes.push_back(std::byte{protocol});
    put16(bytes, 0);
    for (const auto address : {source, destination}) {
        put16(bytes, address >> 16);
        put16(bytes, address & 0xffff);
    }
    return bytes + payload;
}

Bytes ethernet(const Bytes& payload) {
    Bytes bytes(12);
    put16(bytes, 0x0800);
    return bytes + payload;
}

Bytes ports(unsigned source, unsigned destination, const Bytes& rest) {
    Bytes bytes;
    put16(bytes, source);
    put16(bytes, destination);
    return bytes + rest;
}

Bytes tcp(unsigned flags, std::size_t payload) {
    Bytes rest(8);
    put16(rest, 0x5000 | flags);
    rest.resize(rest.size() + 6 + payload);
    return ports(40000, 1755, rest);
}

constexpr unsigned player = 0x0a14000a, media = 0x0a0a000a, firewall = 0x0a140001;

}  // namespace

TEST_CASE("TCP packets are sorted by what they say", "[lab]") {
    struct Row {
        std::string name;
        unsigned flags;
        std::size_t payload;
        PacketKind kind;
    };
    const auto row = GENERATE(values<Row>({
        {"SYN", 0x02, 0, PacketKind::syn},
        {"SYN with ECN flags", 0xc2, 0, PacketKind::syn},
        {"SYN+ACK", 0x12, 0, PacketKind::syn_ack},
        {"RST", 0x04, 0, PacketKind::rst},
        {"RST+ACK", 0x14, 0, PacketKind::rst},
        {"a bare ACK", 0x10, 0, PacketKind::ack},
        {"PSH+ACK with payload", 0x18, 7, PacketKind::data},
        {"FIN+ACK", 0x11, 0, PacketKind::fin},
        {"FIN with the last payload is data", 0x19, 3, PacketKind::data},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto seen = read_packet(ethernet(ip(IPPROTO_TCP, player, media, tcp(row.flags, row.payload))));
        REQUIRE(seen);
        CHECK(text(seen->sort.kind) == text(row.kind));
        CHECK(seen->payload == row.payload);
        CHECK(seen->sort.source == player);
        CHECK(seen->sort.source_port == 40000);
        CHECK(seen->sort.destination_port == 1755);
        CHECK(seen->ttl == 63);
    }
}

TEST_CASE("an ICMP error names its sender and the packet it quotes", "[lab]") {
    const auto quoted = ip(IPPROTO_UDP, media, player, ports(1755, 2000, Bytes(4)));
    const auto seen = read_packet(
        ethernet(ip(IPPROTO_ICMP, firewall, media, Bytes{std::byte{3}, std::byte{13}} + Bytes(6) + quoted)));
    REQUIRE(seen);
    CHECK(seen->sort.kind == PacketKind::icmp);
    CHECK(seen->sort.icmp_type == 3);
    CHECK(seen->sort.icmp_code == 13);
    CHECK(seen->sort.sender == firewall);
    CHECK(seen->sort.source == media);
    CHECK(seen->sort.source_port == 1755);
    CHECK(seen->sort.destination == player);
    CHECK(seen->sort.destination_port == 2000);
    CHECK(seen->sort.quoted_protocol == IPPROTO_UDP);
}

TEST_CASE("fragments are told apart: the first has ports, the others do not", "[lab]") {
    const auto first = read_packet(ethernet(ip(IPPROTO_UDP, media, player, ports(1755, 2000, Bytes(100)), 0x2000)));
    const auto later = read_packet(ethernet(ip(IPPROTO_UDP, media, player, Bytes(100), 0x00b9)));
    REQUIRE(first);
    REQUIRE(later);
    CHECK(first->first_fragment);
    CHECK(first->sort.kind == PacketKind::udp);
    CHECK(later->later_fragment);
    CHECK_FALSE(later->sort.ports);
    CHECK(later->payload == 100);
    CHECK(later->id == first->id);
}

TEST_CASE("IGMP is IGMP, what is not IPv4 is nothing", "[lab]") {
    const auto igmp = read_packet(ethernet(ip(IPPROTO_IGMP, player, 0xe0000016, Bytes(16))));
    REQUIRE(igmp);
    CHECK(igmp->sort.kind == PacketKind::igmp);
    auto arp = ethernet(Bytes(28));
    arp[13] = std::byte{6};
    CHECK_FALSE(read_packet(arp));
}

TEST_CASE("IGMP: which groups are joined and left, in all versions", "[lab]") {
    struct Row {
        std::string name, message;
        IgmpSeen seen;
    };
    const std::uint32_t one = 0xEF010203, two = 0xEF010204;
    const auto row = GENERATE_COPY(values<Row>({
        {"v1 report", "12 00 0000 EF010203", {{one}, {}}},
        {"v2 report", "16 00 0000 EF010203", {{one}, {}}},
        {"v2 leave", "17 00 0000 EF010203", {{}, {one}}},
        {"general query", "11 64 0000 00000000", {}},
        {"v3 join, as Linux sends it", "22 00 0000 0000 0001 04 00 0000 EF010203", {{one}, {}}},
        {"v3 leave", "22 00 0000 0000 0001 03 00 0000 EF010203", {{}, {one}}},
        {"v3 join of one source", "22 00 0000 0000 0001 03 00 0001 EF010203 0A0A000A", {{one}, {}}},
        {"v3: two joined behind sources, one left",
         "22 00 0000 0000 0003 01 00 0001 EF010204 0A0A000A"
         "04 00 0000 EF010203 03 00 0000 EF010205",
         {{one, two}, {0xEF010205}}},
        {"v3: sources blocked say nothing new", "22 00 0000 0000 0001 06 00 0001 EF010203 0A0A000A", {}},
        {"v3: more records announced than there are", "22 00 0000 0000 FFFF 04 00 0000 EF010203", {{one}, {}}},
        {"v3: a record of more sources than there are", "22 00 0000 0000 0002 04 00 FFFF EF010203", {{one}, {}}},
        {"cut short", "22 00 0000", {}},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto message = wmlab::bytes::from_hex(row.message);
        REQUIRE(message);
        const auto packet = read_packet(ethernet(ip(IPPROTO_IGMP, player, 0xe0000016, *message)));
        REQUIRE(packet);
        CHECK(packet->sort.igmp.joined == row.seen.joined);
        CHECK(packet->sort.igmp.left == row.seen.left);
    }
}

TEST_CASE("a frame cut short or with any byte changed is read or refused, never more", "[lab]") {
    const auto quoted = ip(IPPROTO_TCP, media, player, tcp(0x02, 0));
    for (const auto& whole :
         {ethernet(ip(IPPROTO_TCP, player, media, tcp(0x18, 5))),
          ethernet(ip(IPPROTO_UDP, player, media, ports(1, 2, Bytes(4)))),
          ethernet(ip(IPPROTO_ICMP, firewall, media, Bytes{std::byte{3}, std::byte{1}} + Bytes(6) + quoted))}) {
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const Bytes prefix(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            const auto seen = read_packet(prefix);
            if (size < 14 + 20 + 4) CHECK_FALSE(seen);
        }
        for (std::size_t at = 0; at < whole.size(); ++at)
            for (const auto value : {0, 1, 0x7f, 0x80, 0xff}) {
                auto changed = whole;
                changed[at] = std::byte(value);
                (void)read_packet(changed);
            }
    }
}
