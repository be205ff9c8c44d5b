// TcpMessageHeader (MS-MMSP 2.2.3) and the cutting of a TCP stream into messages and Data packets, in both directions.
//
// "Packet" is what starts with a TcpMessageHeader, "message" the MMS message inside it, from its chunkLen on.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/bytes/writer.hpp"
#include "common/mms/data.hpp"

namespace wmlab::mms {

struct TcpMessageHeader {
    static constexpr std::size_t size = 32;
    static constexpr std::uint32_t sessionId_value = 0xB00BFACE;
    static constexpr std::uint32_t seal_value = 0x20534D4D;  // "MMS "

    std::uint8_t rep = 1, version = 0, versionMinor = 0, padding = 0;
    std::uint32_t sessionId = sessionId_value;
    std::uint32_t messageLength = 0;  // bytes of the messages + 16
    std::uint32_t seal = seal_value;
    std::uint32_t chunkCount =
        0;                  // messageLength / 8 on the wire of every real program, whatever 2.2.3 says; not checked
    std::uint16_t seq = 0;  // per direction and connection, wraps
    std::uint16_t MBZ = 0;
    std::uint64_t timeSent = 0;  // ms since the first packet; players send 0 or anything; not checked

    // Checks sessionId, seal and messageLength (24 bytes or more, a multiple of 8).
    static bytes::Parsed<TcpMessageHeader> parse(bytes::Bytes packet);
    void write(bytes::Writer& out) const;
    bool operator==(const TcpMessageHeader&) const = default;
};

// Wraps messages for one direction of one connection; counts seq.
class Framer {
public:
    // `messages`: one serialised message (players must, servers should send one a packet), or several back to back.
    std::vector<std::byte> frame(bytes::Bytes messages, std::uint64_t timeSent = 0);

private:
    std::uint16_t seq_ = 0;
};

// A packet of the control stream. `messages` holds at least one message; each is `chunkLen * 8` bytes.
struct MessagePacket {
    TcpMessageHeader header;
    std::vector<std::vector<std::byte>> messages;

    std::vector<std::byte> serialise() const;  // header as it is, for byte-exact copies
    bool operator==(const MessagePacket&) const = default;
};
using StreamItem = std::variant<MessagePacket, Data>;

enum class StreamDirection {
    to_server,  // messages only
    to_player,  // messages and Data packets mixed
};

// Cuts a TCP stream into its items, however the bytes were split into segments. Never buffers more than one packet, and
// never more than `packet_size_max` bytes. After an error the stream has no boundaries any more: all later bytes are
// ignored.
class StreamSplitter {
public:
    static constexpr std::size_t packet_size_default = 128 * 1024;

    explicit StreamSplitter(StreamDirection direction, std::size_t packet_size_max = packet_size_default)
        : direction_{direction}, packet_size_max_{packet_size_max} {}

    struct Result {
        std::vector<StreamItem> items;           // complete ones, in order
        std::optional<bytes::ParseError> error;  // offset from the start of the packet it is in
    };
    Result feed(bytes::Bytes received);

    bool failed() const { return failed_; }
    std::size_t buffered() const { return buffer_.size(); }  // bytes of an unfinished packet
    bytes::Bytes unfinished() const { return buffer_; }      // after an error: the packet at fault, as far as received

private:
    bytes::Parsed<std::optional<StreamItem>> next(bytes::Bytes left, std::size_t& used) const;

    StreamDirection direction_;
    std::size_t packet_size_max_;
    std::vector<std::byte> buffer_;
    bool failed_ = false;
};

}  // namespace wmlab::mms
