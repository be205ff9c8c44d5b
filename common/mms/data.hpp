// Data packets (MS-MMSP 2.2.2): header, media and packet-pair bytes from the server, the same 8 bytes of header on TCP
// and UDP; and RequestPacketListResend (2.2.5), with which a player on UDP asks for lost ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

struct Data {
    static constexpr std::size_t header_size = 8;
    static constexpr std::uint8_t AFFlags_header_part = 0x04;
    static constexpr std::uint8_t AFFlags_header_last = 0x0C;  // also when it is the only part
    static constexpr std::uint8_t AFFlags_packet_pair = 0x10;
    static constexpr std::uint8_t playIncarnation_packet_pair = 0xFF;    // also of a header after StreamChange over TCP
    static constexpr std::uint32_t LocationId_packet_pair = 0xF0F0F000;  // the second one: + 1
    static constexpr std::size_t packet_pair_payload = 1464;
    static constexpr std::size_t payload_max = 0xFFFF - header_size;

    std::uint32_t LocationId = 0;      // of a header part: 0, 1, ...; of media: the ASF packet's number
    std::uint8_t playIncarnation = 0;  // low byte of the one of ReadBlock, StartPlaying or StartStriding
    std::uint8_t AFFlags = 0;          // of media: low byte of the send counter
    std::vector<std::byte> Payload;    // PacketSize is its size + 8

    // `packet` is one whole datagram, or one packet cut from the stream: PacketSize must be its size.
    static bytes::Parsed<Data> parse(bytes::Bytes packet);
    std::vector<std::byte> serialise() const;
    bool operator==(const Data&) const = default;
};

// Header and payload without an intermediate struct, for the sending path.
std::vector<std::byte> data_packet(std::uint32_t LocationId, std::uint8_t playIncarnation, std::uint8_t AFFlags,
                                   bytes::Bytes Payload);

struct RequestPacketListResend {
    static constexpr std::uint32_t magic = 0xBEEFF00D;
    static constexpr std::size_t count_max = 32;

    std::uint32_t dwClientId = 0;                  // nCubs of ReportFunnelInfo
    std::uint16_t wSourceId = 0;                   // low half of openFileId
    std::vector<std::uint32_t> dwBeginPacketList;  // 1 to 32 sequence numbers

    static bytes::Parsed<RequestPacketListResend> parse(bytes::Bytes datagram);
    std::vector<std::byte> serialise() const;
    bool operator==(const RequestPacketListResend&) const = default;
};

}  // namespace wmlab::mms
