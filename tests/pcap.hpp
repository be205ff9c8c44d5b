// Reads pcap files (Ethernet or Linux cooked v2, IPv4) for tests: TCP connections put together, and UDP datagrams.
#pragma once
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::tests {

struct Endpoint {
    std::uint32_t address = 0;
    std::uint16_t port = 0;
    auto operator<=>(const Endpoint&) const = default;
};

struct Datagram {
    Endpoint source, destination;
    std::vector<std::byte> payload;
};

struct Connection {
    Endpoint client, server;
    std::vector<std::byte> to_server, to_client;  // up to the first hole
};

struct Capture {
    std::vector<Connection> connections;  // in the order of their SYNs
    std::vector<Datagram> datagrams;
};

namespace detail {

// One direction of a connection: segments by their offset from the initial sequence number.
class Assembly {
public:
    void start(std::uint32_t initial) { initial_ = initial; }
    void add(std::uint32_t sequence, bytes::Bytes data) {
        const std::uint32_t offset = sequence - initial_ - 1;
        if (data.empty() || offset > 0x7FFFFFFF) return;
        auto& kept = segments_[offset];
        if (kept.size() < data.size()) kept.assign(data.begin(), data.end());
    }
    std::vector<std::byte> bytes() const {
        std::vector<std::byte> out;
        for (const auto& [offset, data] : segments_) {
            if (offset > out.size()) break;
            if (offset + data.size() <= out.size()) continue;
            out.insert(out.end(), data.begin() + static_cast<std::ptrdiff_t>(out.size() - offset), data.end());
        }
        return out;
    }

private:
    std::uint32_t initial_ = 0;
    std::map<std::uint32_t, std::vector<std::byte>> segments_;
};

}  // namespace detail

inline Capture read_pcap(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    const std::vector<char> text{std::istreambuf_iterator<char>{in}, {}};
    bytes::Reader records{std::as_bytes(std::span{text})};
    const bool little = records.u32("magic") == 0xA1B2C3D4;
    records.skip(16, "version to snaplen");
    const auto link = records.u32("network");
    if (!little || (link != 1 && link != 276)) throw std::runtime_error("not a capture we read: " + file.string());

    struct Assembled {
        Endpoint client, server;
        detail::Assembly to_server, to_client;
    };
    std::vector<Assembled> connections;
    Capture capture;
    while (records.left() >= 16) {
        records.skip(8, "time");
        const auto size = records.u32("incl_len");
        records.skip(4, "orig_len");
        bytes::Reader frame{records.raw(size, "frame")};
        frame.skip(link == 1 ? 12 : 0, "addresses");
        if (frame.u16be("EtherType") != 0x0800) continue;
        frame.skip(link == 1 ? 0 : 18, "rest of the cooked header");
        bytes::Reader ip{frame.rest()};
        const std::size_t ip_size = (ip.u8("version and IHL") & 15U) * std::size_t{4};
        ip.skip(1, "TOS");
        const auto total = ip.u16be("total length");
        ip.skip(5, "identification to TTL");
        const auto protocol = ip.u8("protocol");
        ip.skip(2, "checksum");
        Endpoint source, destination;
        source.address = ip.u32be("source");
        destination.address = ip.u32be("destination");
        if (ip.failed() || total < ip_size || total > frame.left()) continue;
        const auto transport = frame.rest().subspan(ip_size, total - ip_size);
        bytes::Reader head{transport};
        source.port = head.u16be("source port");
        destination.port = head.u16be("destination port");
        if (protocol == 17) {
            head.skip(4, "length and checksum");
            const auto payload = head.rest();
            capture.datagrams.push_back({source, destination, {payload.begin(), payload.end()}});
        } else if (protocol == 6) {
            const auto sequence = head.u32be("sequence number");
            head.skip(4, "acknowledgment number");
            const auto offset = (head.u8("data offset") >> 4U) * std::size_t{4};
            const auto flags = head.u8("flags");
            const bool syn = (flags & 2U) != 0, ack = (flags & 16U) != 0;
            head.seek(offset, "data");
            if (syn && !ack) {
                connections.push_back({source, destination, {}, {}});
                connections.back().to_server.start(sequence);
            }
            for (auto at = connections.rbegin(); at != connections.rend(); ++at) {
                const bool to_server = at->client == source && at->server == destination;
                if (!to_server && !(at->client == destination && at->server == source)) continue;
                if (syn && ack) at->to_client.start(sequence);
                if (!syn) (to_server ? at->to_server : at->to_client).add(sequence, head.rest());
                break;
            }
        }
    }
    for (const auto& connection : connections) {
        capture.connections.push_back(
            {connection.client, connection.server, connection.to_server.bytes(), connection.to_client.bytes()});
    }
    return capture;
}

}  // namespace wmlab::tests
