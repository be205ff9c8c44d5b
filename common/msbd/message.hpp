// MSBD messages (MS-MSBD 2.2): the stream of an encoder or upstream server, pulled by a server over TCP 7007. All
// integers are little-endian except the address in RES_CONNECT.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::msbd {

// 2.2.1: the 16 octets every message begins with.
struct MSBMSGBASE {
    static constexpr std::size_t size = 16;
    static constexpr std::uint32_t signature = 0x2042534D;  // "MSB "
    static constexpr std::uint16_t version = 0x0106;
    static constexpr std::size_t message_size_max = 0xFFFF;

    std::uint32_t dwSignature = signature;
    std::uint16_t wVersion = version;  // another minor one is read, too
    std::uint16_t wMessageId = 0;
    std::uint32_t cbMessage = size;  // all of the message, 16 to 65535
    std::uint32_t hr = 0;

    // Checks signature, major version and cbMessage's range.
    static bytes::Parsed<MSBMSGBASE> parse(bytes::Bytes message);
};

// The messages without a body. 2.2.2, 2.2.3, 2.2.4, 2.2.9
struct MSB_MSG_REQ_PING {
    static constexpr std::uint16_t wMessageId = 0x0001;
    static constexpr std::string_view name = "MSB_MSG_REQ_PING";
    std::uint32_t hr = 0;
    bool operator==(const MSB_MSG_REQ_PING&) const = default;
};
struct MSB_MSG_RES_PING {
    static constexpr std::uint16_t wMessageId = 0x0002;
    static constexpr std::string_view name = "MSB_MSG_RES_PING";
    std::uint32_t hr = 0;
    bool operator==(const MSB_MSG_RES_PING&) const = default;
};
struct MSB_MSG_REQ_STREAMINFO {  // deprecated, and answered
    static constexpr std::uint16_t wMessageId = 0x0003;
    static constexpr std::string_view name = "MSB_MSG_REQ_STREAMINFO";
    std::uint32_t hr = 0;
    bool operator==(const MSB_MSG_REQ_STREAMINFO&) const = default;
};
struct MSB_MSG_IND_EOS {  // IND_STREAMINFO follows: of the next entry, or the empty one
    static constexpr std::uint16_t wMessageId = 0x0009;
    static constexpr std::string_view name = "MSB_MSG_IND_EOS";
    std::uint32_t hr = 0;
    bool operator==(const MSB_MSG_IND_EOS&) const = default;
};

// 2.2.5, 2.2.6: what a stream is like. The texts' encoding is left open: octets.
struct StreamInfo {
    static constexpr std::uint32_t unknown_duration = 0xFFFFFFFF;
    static constexpr std::size_t binary_size_max = 0xFFFF - 48;  // title, description, link and header together

    std::uint16_t wStreamId = 1;  // 0 to 7FF or 8000 to 87FF, unique in the playlist
    std::uint16_t cbPacketSize = 0;
    std::uint32_t cTotalPackets = 0;              // 0: unknown (live)
    std::uint32_t dwBitRate = 0;                  // bit/s
    std::uint32_t msDuration = unknown_duration;  // live
    std::string title, description, link;
    std::vector<std::byte> header;  // ASF Header Object and the first 50 bytes of the Data Object
    bool operator==(const StreamInfo&) const = default;
};
struct MSB_MSG_RES_STREAMINFO {
    static constexpr std::uint16_t wMessageId = 0x0004;
    static constexpr std::string_view name = "MSB_MSG_RES_STREAMINFO";
    std::uint32_t hr = 0;
    StreamInfo stream;  // means nothing where hr is a failure
    bool operator==(const MSB_MSG_RES_STREAMINFO&) const = default;
};
struct MSB_MSG_IND_STREAMINFO {  // hr NS_E_NO_STREAM: the empty one, nothing follows
    static constexpr std::uint16_t wMessageId = 0x0005;
    static constexpr std::string_view name = "MSB_MSG_IND_STREAMINFO";
    std::uint32_t hr = 0;
    StreamInfo stream;
    bool operator==(const MSB_MSG_IND_STREAMINFO&) const = default;
    static MSB_MSG_IND_STREAMINFO empty();
};

// 2.2.7: the pulling end's first message.
struct MSB_MSG_REQ_CONNECT {
    static constexpr std::uint16_t wMessageId = 0x0007;
    static constexpr std::string_view name = "MSB_MSG_REQ_CONNECT";
    static constexpr std::uint32_t unicast = 1, multicast = 2;  // dwFlags
    std::uint32_t hr = 0;
    std::uint32_t dwFlags = unicast;
    std::u16string szChannel = u"NetShow";  // not terminated; terminators sent all the same are taken off
    bool operator==(const MSB_MSG_REQ_CONNECT&) const = default;
};

// 2.2.8: the answer. hr a failure: refused, the connection is closed.
struct MSB_MSG_RES_CONNECT {
    static constexpr std::uint16_t wMessageId = 0x0008;
    static constexpr std::string_view name = "MSB_MSG_RES_CONNECT";
    static constexpr std::uint32_t header_in_nsc = 2;     // dwFlags
    static constexpr std::uint16_t family_multicast = 2;  // sin_family; 0: unicast
    std::uint32_t hr = 0;
    std::uint32_t dwFlags = 0;
    std::uint16_t sin_family = 0;
    std::uint16_t sin_port = 0;
    std::uint32_t sin_addr = 0;  // 0xEFC00109 is 239.192.1.9
    bool operator==(const MSB_MSG_RES_CONNECT&) const = default;
};

// 2.2.10: one ASF packet, on the connection, or as one datagram to the granted group.
struct MSB_MSG_IND_PACKET {
    static constexpr std::uint16_t wMessageId = 0x000A;
    static constexpr std::string_view name = "MSB_MSG_IND_PACKET";
    static constexpr std::size_t payload_max = 0xFFFF - 24;
    std::uint32_t hr = 0;
    std::uint32_t dwPacketId = 0;
    std::uint16_t wStreamId = 0;
    std::vector<std::byte> bPayload;
    bool operator==(const MSB_MSG_IND_PACKET&) const = default;
};

// A message of an id that MS-MSBD does not have: to be skipped.
struct UnknownMessage {
    static constexpr std::string_view name = "unknown";
    std::uint16_t wMessageId = 0;
    std::uint32_t hr = 0;
    std::vector<std::byte> body;
    bool operator==(const UnknownMessage&) const = default;
};

using Message = std::variant<MSB_MSG_REQ_PING, MSB_MSG_RES_PING, MSB_MSG_REQ_STREAMINFO, MSB_MSG_RES_STREAMINFO,
                             MSB_MSG_IND_STREAMINFO, MSB_MSG_REQ_CONNECT, MSB_MSG_RES_CONNECT, MSB_MSG_IND_EOS,
                             MSB_MSG_IND_PACKET, UnknownMessage>;

// `message`: all of it, cbMessage octets. Also a datagram of the multicast.
bytes::Parsed<Message> parse_message(bytes::Bytes message);
std::vector<std::byte> serialise(const Message& message);
// MSB_MSG_IND_PACKET without an intermediate struct, for the sending path.
std::vector<std::byte> packet_message(std::uint32_t dwPacketId, std::uint16_t wStreamId, bytes::Bytes payload);

std::string_view name(const Message& message);  // "MSB_MSG_REQ_CONNECT"
std::uint32_t result(const Message& message);   // hr
// The fields worth a place in a journal, by their spec names.
using Field = std::pair<std::string_view, std::variant<std::uint64_t, std::string>>;
std::vector<Field> telling_fields(const Message& message);

std::vector<std::byte> head_of(bytes::Bytes message);  // its MSBMSGBASE as far as received, for the journal
bool other_version(bytes::Bytes message);              // a base of another wVersion than ours

// Whether the stream's fields are within their ranges, and how not: what a sender should check before it sends it.
std::optional<std::string> problem(const StreamInfo& stream);

// Cuts a TCP stream into whole messages, however its segments fell. Keeps no more than one message (64 KiB). A wrong
// signature, version or length is noticed as soon as its octets are there; after it nothing more is believed.
class MessageSplitter {
public:
    struct Result {
        std::vector<std::vector<std::byte>> messages;
        std::optional<bytes::ParseError> error;
    };
    Result feed(bytes::Bytes received);

    bool failed() const { return failed_; }
    std::size_t buffered() const { return buffer_.size(); }
    bytes::Bytes unfinished() const { return buffer_; }  // after an error: the message at fault, as far as received

private:
    std::vector<std::byte> buffer_;
    bool failed_ = false;
};

}  // namespace wmlab::msbd
