// The server's side of a station (MS-MSB 3.1): ASF packets and time in, datagrams out. Beacons while there is nothing
// to send, a new wStreamID for every stream, parity packets when asked for. Holds no socket and no clock.
#pragma once
#include <chrono>
#include <optional>
#include <vector>

#include "common/msb/parity.hpp"

namespace wmlab::msb {

using TimePoint = std::chrono::steady_clock::time_point;  // passed in; nothing in here reads a clock
using Datagram = std::vector<std::byte>;

// What one UDP datagram over IPv4 carries, head included.
inline constexpr std::size_t datagram_max = 65507;
inline constexpr std::size_t asf_packet_max = datagram_max - Packet::head_size;
// Of a packet that no router need fragment at an MTU of 1500.
inline constexpr std::size_t unfragmented_max = 1472 - Packet::head_size;

struct SenderOptions {
    std::uint32_t first_dwPacketID = 0;
    unsigned span = 0;  // data packets to a parity packet, at most 15; 0: none. Default Ecc of the station file
    std::chrono::milliseconds beacon_interval = std::chrono::seconds{5};  // 1 to 10 s (3.1.2)
    bool beacon_while_streaming = false;                                  // as Windows 2000 Server does (<7>)
};

class SenderSession {
public:
    explicit SenderSession(SenderOptions options = {});

    void start(TimePoint now);  // the station exists: a beacon is due at once
    // The packets that follow are of this format. Each entry of a playlist and each round of a loop is a stream of its
    // own.
    void start_stream(std::uint16_t format_id, TimePoint now);
    // One datagram, or two where a parity packet follows. None: no stream was started, or the packet is larger than
    // asf_packet_max.
    std::vector<Datagram> packet(Bytes asf_packet);
    void end_stream(TimePoint now);  // nothing to send for now: beacons go on
    void stop();                     // the station is no more

    std::optional<TimePoint> next_deadline() const { return beacon_due_; }
    std::optional<Datagram> tick(TimePoint now);  // the beacon, when it is due

    std::uint32_t next_dwPacketID() const { return next_id_; }
    std::uint16_t wStreamID() const { return wStreamID_; }

private:
    SenderOptions options_;
    ParityMaker parity_;
    std::uint32_t next_id_ = 0;
    std::uint16_t wStreamID_ = 0;
    bool streaming_ = false, streamed_ = false;
    std::optional<TimePoint> beacon_due_;
};

}  // namespace wmlab::msb
