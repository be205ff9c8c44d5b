// ASF data packets (ASF specification 5.2): when to send one, and what is in it.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "common/asf/header.hpp"

namespace wmlab::asf {

struct Payload {
    std::uint8_t stream = 0;  // Stream Number
    bool key_frame = false;
    std::uint32_t object_number = 0;                     // Media Object Number
    std::uint32_t offset = 0;                            // of data in the media object
    std::uint32_t object_size = 0;                       // whole media object; 0 where the packet does not say
    std::optional<milliseconds> presentation_time = {};  // includes the preroll; absent without replicated data
    Bytes data;                                          // points into the packet given
};

// Where a payload stands in the packet, from its Stream Number to the end of its data. A compressed payload is one.
struct PayloadPlace {
    std::size_t begin = 0, end = 0;
    std::uint8_t stream = 0;
    bool key_frame = false;
    std::uint32_t object_number = 0;
    bool starts_object = false;
};

struct PacketInfo {
    milliseconds send_time{0};
    milliseconds duration{0};
    std::size_t padding = 0;        // bytes at the end of what was received
    std::vector<Payload> payloads;  // sub-payloads of a compressed payload are payloads of their own
    std::vector<PayloadPlace> places;
    // Offsets of the 4-byte time fields in the packet, for shift_times.
    std::size_t send_time_offset = 0;
    std::vector<std::size_t> presentation_time_offsets;
};

// A packet may be shorter than packet_size by padding that was not sent, whether or not Padding Length still counts it.
Parsed<PacketInfo> parse_packet(Bytes packet, std::size_t packet_size);

// Only as far as Send Time: enough for pacing, cheap, and works for packets whose payloads cannot be parsed.
Parsed<milliseconds> send_time(Bytes packet);

// Whether a media object of one of these streams starts here with the key frame bit.
bool starts_key_frame(const PacketInfo& packet, const Header& header);

// The packet with only some of its payloads: `keep` says which of `places`. Times and packet_size stay, the room becomes
// padding. `parsed` is parse_packet's word on this packet; at least one payload is kept.
std::vector<std::byte> with_payloads(Bytes packet, std::size_t packet_size, const PacketInfo& parsed,
                                     const std::vector<bool>& keep);

// Adds to Send Time and all presentation times. A packet that cannot be parsed stays as it is.
void shift_times(std::span<std::byte> packet, std::size_t packet_size, milliseconds shift);

// The packet with packet_size bytes, as a file holds it. Where padding was cut off and Padding Length changed to say so
// (MS-MSB 2.2.4 asks for it), Padding Length counts it again: players take zeros after the payload for media otherwise.
std::vector<std::byte> padded(Bytes packet, std::size_t packet_size);

// Turns the send times of packets in order into ones a sender can follow: never backward, and steps backward of more
// than a second or forward of more than a minute (joined files, a wrapped clock, damage) become "at once".
class Pacing {
public:
    // The mean interval is for packets whose own time cannot be read.
    explicit Pacing(const Header& header);
    milliseconds next(Bytes packet);

private:
    milliseconds mean_interval_{0}, last_raw_{0}, last_{0};
    bool first_ = true;
};

}  // namespace wmlab::asf
