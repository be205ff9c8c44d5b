// What a multicast sender puts into UDP datagrams: MSB packets and Beacon packets (MS-MSB 2.2.3, 2.2.4).
#pragma once
#include <array>
#include <vector>

#include "common/asf/header.hpp"

namespace wmlab::msb {

using asf::Bytes;

// One complete ASF packet behind 8 bytes. The sender may have cut the ASF packet's padding.
struct Packet {
    static constexpr std::size_t head_size = 8;
    static constexpr std::uint16_t entry_bit = 0x8000;  // of wStreamID, toggled with every entry of a playlist

    std::uint32_t dwPacketID = 0;  // +1 with every packet; a parity packet repeats the one before
    std::uint16_t wStreamID = 0;   // Format ID and entry_bit
    Bytes asf_packet;              // points into the datagram given

    std::uint16_t format_id() const { return wStreamID & 0x07FF; }
    static bytes::Parsed<Packet> parse(Bytes datagram);
    std::vector<std::byte> serialise() const;
};

// "The server is there": sent while it has no packets to send.
inline constexpr std::array<std::byte, 4> beacon_packet = {std::byte{'M'}, std::byte{'S'}, std::byte{'B'},
                                                           std::byte{' '}};
bool is_beacon(Bytes datagram);

}  // namespace wmlab::msb
