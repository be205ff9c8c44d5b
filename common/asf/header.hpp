// The ASF header as MMS, WMSP, MSBD and MSB carry it: the Header Object and the first 50 bytes of the Data Object
// (ASF specification 2, 3 and 5.1).
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::asf {

using bytes::Bytes;
using bytes::Parsed;
using std::chrono::milliseconds;

inline constexpr std::size_t object_head_size = 24;       // GUID and size, the head of every object
inline constexpr std::size_t header_object_head = 30;     // what precedes the children of the Header Object
inline constexpr std::size_t data_object_head = 50;       // what precedes the packets of the Data Object
inline constexpr std::size_t header_size_max = 10 << 20;  // more is refused: a header is collected in memory
inline constexpr std::uint32_t packet_size_max = 65536;   // the largest that writers of ASF make

enum class StreamType { audio, video, command, binary, other };
std::string_view text(StreamType type);

struct Stream {
    std::uint8_t number = 0;  // 1 to 127
    StreamType type = StreamType::other;
    std::uint32_t bitrate = 0;  // average, bit/s; 0 where the header does not say
    bool encrypted = false;
    std::vector<std::byte> type_specific;  // audio: WAVEFORMATEX; video: sizes and BITMAPINFOHEADER
    bool operator==(const Stream&) const = default;
};

struct Header {
    std::vector<std::byte> raw;  // exactly as it goes over the wire and starts a file
    bytes::Guid file_id;
    bool broadcast = false;           // live: counts, sizes and durations mean nothing
    bool seekable = false;            //
    std::uint32_t packet_size = 0;    // every data packet has it; minimum and maximum are equal
    std::uint64_t packets_count = 0;  // of the Data Object, else of the File Properties; 0: unknown
    milliseconds play_duration{0};    // includes the preroll
    milliseconds send_duration{0};
    milliseconds preroll{0};             // presentation times are late by it
    std::uint32_t maximum_bit_rate = 0;  // bit/s, all streams together
    std::vector<Stream> streams;         // in the order of the header; each number once
    std::u16string title, description;   // of the Content Description; may be empty
    bool protected_content = false;      // DRM: can be relayed, players without a licence cannot decode it

    // Offsets into raw, for the functions that patch a copy.
    std::size_t file_properties_offset = 0, data_object_offset = 0;

    // Bytes after the header are ignored. Errors: not an ASF header, a size that lies, no File Properties, no stream,
    // packet size 0 or not constant.
    static Parsed<Header> parse(Bytes message);
    const Stream* stream(std::uint8_t number) const;
    bool has_video() const;
    bool operator==(const Header&) const = default;
};

// How long the header is that begins with these bytes, as far as they tell: it is complete when the answer is not
// larger than what is there. For receivers that get it in parts. Error: this is no ASF header, or one of more than
// header_size_max.
Parsed<std::size_t> header_bytes_needed(Bytes received_so_far);

// A copy for relaying live: broadcast flag alone; counts, sizes and durations zero.
Header live_header(const Header& header);
// header.raw with another Size of the Data Object. Of a broadcast it means nothing (5.1), yet players read it: over HTTP,
// and VLC over MMS, want 0, and libmms loops for ever on that. Stored content stays as it is.
std::vector<std::byte> raw_of_broadcast(const Header& header, std::uint64_t data_object_size);
// A copy for a complete stored file of so many packets. Play duration is send duration and preroll.
Header stored_header(const Header& header, std::uint64_t packets_count, milliseconds send_duration);

}  // namespace wmlab::asf
