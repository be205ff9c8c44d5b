// What a player does with the datagrams of its group and port: tells media from the rest, finds what was lost, restores
// what parity packets allow (MS-MSB 3.2.5).
#pragma once
#include <bitset>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/msb/nsc.hpp"
#include "common/msb/parity.hpp"

namespace wmlab::msb {

enum class Kind {
    media,
    parity,  // nothing to restore, or too much
    beacon,
    duplicate,       //
    unknown_format,  // a Format ID the station file lacks
    other_source,    // an MSB packet of another station on the same group and port
    damaged,         // an MSB packet whose ASF packet cannot be one of its format
    foreign,         // no MSB packet
};
std::string_view text(Kind kind);

struct Media {
    std::uint32_t dwPacketID = 0;
    std::uint16_t wStreamID = 0;
    std::uint64_t number = 0;  // like dwPacketID, but goes on when that wraps or starts again
    std::vector<std::byte> asf_packet;
    bool late = false;      // arrived after a higher number
    bool restored = false;  // lost, and restored by its parity packet
};

struct Receipt {
    Kind kind = Kind::foreign;
    std::uint16_t wStreamID = 0;  // of an MSB packet
    std::vector<Media> media;     // none or one
    bool stream_changed = false;  // its wStreamID is another than before; also true of the very first
    bool started_again = false;   // dwPacketID leapt: the sender was restarted
    std::string problem;          // of damaged and foreign
};

struct ReceiverCounts {
    std::uint64_t datagrams = 0, media = 0, media_bytes = 0, lost = 0, late = 0, restored = 0;
    std::uint64_t parity = 0, beacons = 0, duplicates = 0, unknown_format = 0, other_source = 0, damaged = 0,
                  foreign = 0;
    std::uint64_t streams = 0, starts = 0;  // wStreamID changed; dwPacketID leapt
};

class Receiver {
public:
    // A station without formats (nobody has its file, only group and port are known): every format is taken.
    explicit Receiver(Station station);

    // source: the sender's IP address as text. The first one that sends media of the station is listened to; the file's
    // Multicast Adapter takes its place when it is heard, since that address may be wrong behind NAT.
    Receipt receive(Bytes datagram, std::string_view source);

    const ReceiverCounts& counts() const { return counts_; }
    const std::set<std::uint32_t>& lost() const { return lost_; }  // dwPacketIDs, at most lost_max of them
    const Station& station() const { return station_; }
    const std::string& source() const { return source_; }

    static constexpr std::size_t lost_max = 4096;

private:
    void start(std::uint32_t dwPacketID);
    void start_again(Receipt& receipt, std::uint32_t last_id);
    bool starts_over(std::uint32_t dwPacketID);
    void take(Receipt& receipt, std::uint32_t dwPacketID, std::uint16_t wStreamID, Bytes asf_packet, bool restored);

    static constexpr std::int32_t window = 1024;   // how late a packet may be
    static constexpr std::int32_t gap_max = 4096;  // a longer one is another numbering
    static constexpr std::int32_t late_stream_max = 64;
    static constexpr unsigned duplicates_in_row_max = 8;
    static std::size_t place(std::uint64_t number) { return static_cast<std::size_t>(number % window); }

    Station station_;
    ReceiverCounts counts_;
    std::string source_;
    std::optional<std::uint16_t> wStreamID_, previous_wStreamID_;
    Repair repair_;
    std::set<std::uint32_t> lost_;
    std::uint32_t last_id_ = 0;
    std::uint64_t last_number_ = 0, first_number_ = 0;
    bool started_ = false;
    std::bitset<window> seen_;  // by number modulo window
    std::uint32_t last_duplicate_ = 0;
    unsigned duplicates_in_row_ = 0;
};

}  // namespace wmlab::msb
