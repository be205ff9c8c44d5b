// TCP conversations of a pcap file (Ethernet or Linux cooked v2, IPv4), put together by sequence numbers.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "common/bytes/reader.hpp"
#include "tests/catch.hpp"

namespace wmlab::tests {

struct Conversation {
    std::string client, server;  // "10.189.2.20:36350"
    std::vector<std::byte> to_server, to_client;
    bool server_ended = false;  // its FIN was seen
};

// In the order of their first packets. A capture that cannot be read fails the test.
inline std::vector<Conversation> tcp_conversations(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    INFO("capture: " << file);
    REQUIRE(in.is_open());
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    bytes::Reader capture{std::as_bytes(std::span{text})};
    REQUIRE(capture.u32("magic") == 0xA1B2C3D4);
    capture.skip(16, "head");
    const auto link = capture.u32("link type");
    REQUIRE((link == 1 || link == 276));

    struct Direction {
        std::map<std::uint32_t, bytes::Bytes> segments;
        std::uint32_t first = 0;
        bool ended = false;
    };
    struct Stream {
        std::string client, server;
        Direction to_server, to_client;
    };
    std::vector<Stream> streams;
    const auto address = [](std::uint32_t ip, std::uint16_t port) {
        return std::to_string(ip >> 24) + '.' + std::to_string(ip >> 16 & 255) + '.' + std::to_string(ip >> 8 & 255) +
               '.' + std::to_string(ip & 255) + ':' + std::to_string(port);
    };
    while (capture.left() != 0) {
        capture.skip(8, "time");
        const auto size = capture.u32("captured");
        capture.skip(4, "length");
        bytes::Reader packet{capture.raw(size, "packet")};
        REQUIRE_FALSE(capture.failed());
        std::uint16_t type = 0;
        if (link == 1) {
            packet.skip(12, "addresses");
            type = packet.u16be("type");
        } else {
            type = packet.u16be("type");
            packet.skip(18, "cooked");
        }
        if (type != 0x0800) continue;
        const auto at = packet.offset();
        const auto version = packet.u8("version");
        packet.skip(1, "tos");
        const auto total = packet.u16be("total length");
        packet.skip(5, "id");
        const auto protocol = packet.u8("protocol");
        packet.skip(2, "checksum");
        const auto source = packet.u32be("source"), destination = packet.u32be("destination");
        if (protocol != 6) continue;
        packet.seek(at + std::size_t{version & 15U} * 4, "tcp");
        const auto tcp = packet.offset();
        const auto source_port = packet.u16be("source port"), destination_port = packet.u16be("destination port");
        const auto sequence = packet.u32be("sequence");
        packet.skip(4, "acknowledgment");
        const auto data_offset = static_cast<std::size_t>(packet.u8("data offset") >> 4) * 4;
        const auto flags = packet.u8("flags");
        packet.seek(tcp + data_offset, "data");
        REQUIRE_FALSE(packet.failed());
        const auto data = packet.raw(at + total - packet.offset(), "data");
        const auto from = address(source, source_port), to = address(destination, destination_port);
        if ((flags & 0x12) == 0x02) {
            streams.push_back({from, to, {}, {}});
            streams.back().to_server.first = sequence + 1;
        }
        for (auto stream = streams.rbegin(); stream != streams.rend(); ++stream) {
            const bool up = stream->client == from && stream->server == to;
            const bool down = stream->client == to && stream->server == from;
            if (!up && !down) continue;
            auto& direction = up ? stream->to_server : stream->to_client;
            if (down && (flags & 0x12) == 0x12) direction.first = sequence + 1;
            if ((flags & 0x01) != 0) direction.ended = true;
            if (!data.empty()) {
                auto& kept = direction.segments[sequence - direction.first];
                if (data.size() > kept.size()) kept = data;
            }
            break;
        }
    }
    std::vector<Conversation> conversations;
    const auto joined = [](const Direction& direction) {
        std::vector<std::byte> all;
        for (const auto& [offset, data] : direction.segments) {
            if (offset > all.size()) break;  // the capture ends in a hole
            const auto known = all.size() - offset;
            if (known < data.size())
                all.insert(all.end(), data.begin() + static_cast<std::ptrdiff_t>(known), data.end());
        }
        return all;
    };
    for (const auto& stream : streams)
        conversations.push_back(
            {stream.client, stream.server, joined(stream.to_server), joined(stream.to_client), stream.to_client.ended});
    return conversations;
}

}  // namespace wmlab::tests
