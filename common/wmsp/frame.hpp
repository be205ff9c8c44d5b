// The framed packets of MS-WMSP 2.2.3: reader and writer. One frame is a framing header, sometimes a Reason or an MMS
// data packet header, and a payload.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::wmsp {

using bytes::Bytes;

enum class PacketID : std::uint8_t {
    Header = 'H',
    Data = 'D',
    EndOfStream = 'E',
    StreamChange = 'C',
    Metadata = 'M',
    PacketPair = 'P',
    TestDataNotification = 'T',
};

inline constexpr std::size_t framing_header_size = 4, mms_packet_header_size = 8;
inline constexpr std::size_t frame_payload_max = 65535 - mms_packet_header_size;  // of $H, $D, $M

// Reasons of $E and $C: HRESULTs.
inline constexpr std::uint32_t reason_finished = 0, reason_entry_finished = 1, reason_rewound = 0x000D2F09,
                               reason_wait = 0x400D14BE;

struct Frame {
    bool B = false;                       // the next packet follows without delay
    PacketID packet_id = PacketID::Data;  // any letter
    std::uint16_t PacketLength = 0;       // as announced
    std::optional<std::uint32_t> Reason;  // $E, $C, $P
    std::uint32_t LocationId = 0;         // $H, $D, $M, as the next three
    std::uint8_t Incarnation = 0, AFFlags = 0;
    std::uint16_t PacketSize = 0;
    std::vector<std::byte> payload;

    bool carries_mms_packet() const {
        return packet_id == PacketID::Header || packet_id == PacketID::Data || packet_id == PacketID::Metadata;
    }
    std::string name() const;  // "$H"
    static bytes::Parsed<Frame> parse(Bytes frame);
    std::vector<std::byte> serialise() const;  // lengths are counted, not taken from the fields
    bool operator==(const Frame&) const = default;
};

// MS-WMSP 2.2.3.5: the ASF header in one $H, or several where it is too large. Players of the era want one.
std::vector<Frame> header_frames(Bytes asf_header);
// AFFlags counts packets modulo 256; every player of a live stream may thus get the same bytes.
std::vector<std::byte> data_frame(std::uint32_t location_id, Bytes packet);
std::vector<std::byte> end_frame(std::uint32_t reason);
std::vector<std::byte> stream_change_frame(std::uint32_t reason);

// Cuts a stream into frames. Keeps one unfinished frame (64 KiB at most) and what the last put() brought.
class FrameReader {
public:
    void put(Bytes bytes);
    std::optional<Frame> next();  // absent: more bytes are needed, or there is a problem
    const std::optional<bytes::ParseError>& problem() const {
        return problem_;
    }  // offsets count from the stream's start
    bool between_frames() const { return buffer_.size() == used_; }
    std::size_t unfinished() const { return buffer_.size() - used_; }

private:
    std::vector<std::byte> buffer_;
    std::size_t used_ = 0;
    std::uint64_t before_ = 0;   // bytes of the stream before buffer_
    unsigned packet_pairs_ = 0;  // $P lie about their length, each in its own way (2.2.3.7)
    std::optional<bytes::ParseError> problem_;
};

// Puts the ASF header together from the $H frames of one answer.
class HeaderAssembler {
public:
    explicit HeaderAssembler(std::size_t size_max = 1 << 20) : size_max_{size_max} {}
    // Error: the header is too long, or is none.
    std::optional<bytes::ParseError> add(const Frame& frame);
    bool complete() const { return complete_; }
    const std::vector<std::byte>& header() const { return header_; }
    void clear() { header_.clear(), complete_ = false; }

private:
    std::size_t size_max_;
    std::vector<std::byte> header_;
    bool complete_ = false;
};

}  // namespace wmlab::wmsp
