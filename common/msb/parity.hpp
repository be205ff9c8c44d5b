// Error correction of MSB (MS-MSB 2.2.2): after every span of packets one that is their exclusive OR, by which one lost
// packet of the span is restored.
#pragma once
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "common/msb/packet.hpp"

namespace wmlab::msb {

inline constexpr unsigned span_max = 15;

// The Error Correction Data of an ASF packet.
struct ErrorCorrection {
    std::uint8_t type = 0;    // 0: not used, 1: data, 2: parity
    std::uint8_t number = 0;  // of the packet in its span, from 1; the parity packet's is span + 1. Or always 1
    std::uint8_t cycle = 0;   // of the span
    std::size_t size = 3;     // bytes that are not covered by the parity
    bool operator==(const ErrorCorrection&) const = default;
};
// Absent: the packet has no Error Correction Data, or too little.
std::optional<ErrorCorrection> error_correction(Bytes asf_packet);

// The sender's side.
class ParityMaker {
public:
    explicit ParityMaker(unsigned span) : span_{span} {}  // 0: none is made
    // Numbers the packet in its span. The parity packet, when the span is complete.
    std::optional<std::vector<std::byte>> add(std::span<std::byte> asf_packet);
    void abandon();  // a new stream starts: its packets are another span's

private:
    unsigned span_ = 0, number_ = 0;
    std::uint8_t cycle_ = 0;
    std::vector<std::byte> parity_;
};

// The receiver's side. Keeps the last span_max packets.
class Repair {
public:
    explicit Repair(unsigned default_span) : default_span_{default_span} {}  // of senders that number nothing
    void remember(std::uint32_t dwPacketID, Bytes asf_packet);
    struct Restored {
        std::uint32_t dwPacketID = 0;
        std::vector<std::byte> asf_packet;
    };
    // Absent: none was lost, more than one was, or the parity packet is not of these packets.
    std::optional<Restored> restore(const Packet& parity) const;
    void clear() { last_.clear(); }

private:
    struct Kept {
        std::uint32_t dwPacketID = 0;
        std::vector<std::byte> asf_packet;
    };
    unsigned default_span_ = 0;
    std::deque<Kept> last_;
};

}  // namespace wmlab::msb
