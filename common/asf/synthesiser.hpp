// Valid ASF without a codec: an audible tone as G.711 mu-law or 16-bit PCM, which every player decodes. Each payload
// starts with a mark of 24 bytes (a tick in the tone) by which the receiver proves what arrived:
//
//   offset  size  field
//   0       4     "WMLB"
//   4       4     seed of the content
//   8       8     packet number
//   16      4     size of the payload, mark included
//   20      4     CRC-32 of the payload without these 4 bytes
//
// Little-endian. The Content Description of the header says "wmlab synthetic, seed 12345678" (hex).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/asf/content.hpp"

namespace wmlab::asf {

struct SyntheticOptions {
    // Bit/s of each audio stream, 8000 to 20000000; more than one: several streams of the same tone, numbered from 1.
    std::vector<std::uint32_t> bitrates = {64000};
    bool live = true;                           // the broadcast flag
    std::optional<milliseconds> duration = {};  // absent: endless (live only)
    std::uint32_t seed = 0;                     // tells contents apart
    std::uint32_t packet_size_max = 1400;       // 100 to 65536; 1400 keeps a packet in one datagram for every transport
    std::string title = "wmlab test tone";
};

// Every packet is a pure function of its number. Packet n belongs to stream 1 + n mod (number of streams).
class Synthesiser : public Content {
public:
    static ContentResult<std::shared_ptr<const Synthesiser>> make(const SyntheticOptions& options);

    const Header& header() const override { return header_; }
    std::optional<std::uint64_t> packet_count() const override { return packet_count_; }
    std::vector<std::byte> packet(std::uint64_t number) const override;
    milliseconds send_time(std::uint64_t number) const override;
    std::uint64_t packet_at_time(milliseconds time, const StreamSet& streams = every_stream()) const override;
    std::uint64_t packets_before(milliseconds time) const override;

private:
    struct Track {                          // one audio stream
        std::uint16_t channels = 1;         //
        std::uint16_t sample_size = 1;      // bytes: 1 is mu-law, 2 is PCM
        std::uint32_t rate = 8000;          // samples a second
        std::vector<std::byte> one_second;  // of the tone, which repeats after it
        std::size_t frame_size() const { return std::size_t{channels} * sample_size; }
    };
    Synthesiser() = default;
    std::uint64_t first_frame(const Track& track, std::uint64_t turn) const;
    milliseconds time_of_turn(std::uint64_t turn) const;
    Header make_header(const SyntheticOptions& options) const;

    Header header_;
    std::optional<std::uint64_t> packet_count_;
    std::vector<Track> tracks_;
    std::uint32_t seed_ = 0, packet_size_ = 0;
    std::uint64_t interval_ = 0;  // microseconds between packets of a stream
};

struct SyntheticCheck {
    enum class Outcome { not_synthetic, good, damaged } outcome = Outcome::not_synthetic;
    std::uint64_t number = 0;  // of a good packet
    std::uint32_t seed = 0;
    std::string problem;  // of a damaged one
};
// In a stream whose header says it is synthetic, every packet that does not prove itself is damaged.
SyntheticCheck verify_synthetic(Bytes packet, const Header& header);
// The seed of a synthetic stream's header; absent: some other stream.
std::optional<std::uint32_t> synthetic_seed(const Header& header);

}  // namespace wmlab::asf
