// Starting, stopping and the end of a stream (MS-MMSP 2.2.4.25, 2.2.4.10, 2.2.4.27, 2.2.4.5).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// Start positions of StartPlaying and StartStriding that mean "not given"; position is given when the other two are
// not.
constexpr double position_unused = std::numeric_limits<double>::max();
constexpr std::uint32_t offset_unused = 0xFFFFFFFF;

// The optional tail of StartPlaying (Windows Media Player 9): the first part of the stream, faster than real time.
struct Acceleration {
    std::uint32_t dwAccelBandwidth = 0;  // bit/s
    std::uint32_t dwAccelDuration = 0;   // ms
    std::uint32_t dwLinkBandwidth = 0;   // bit/s
    bool operator==(const Acceleration&) const = default;
};

// 2.2.4.25: media from a position on, in real time.
struct LinkViewerToMacStartPlaying {
    static constexpr std::uint32_t MID = 0x00030007;
    static constexpr std::string_view name = "LinkViewerToMacStartPlaying";

    std::uint32_t openFileId = 1;
    std::uint32_t padding = 0;
    double position = 0;                       // seconds
    std::uint32_t asfOffset = offset_unused;   // bytes from the start of the ASF file
    std::uint32_t locationId = offset_unused;  // ASF packet number
    std::uint32_t frameOffset = 0;             // 0: to the end; bit 31: relative, low 31 bits ms
    std::uint32_t playIncarnation = 4;         // its low byte marks the media's Data packets
    std::optional<Acceleration> acceleration;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacStartPlaying> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacStartPlaying&) const = default;
};

// 2.2.4.10: media follows.
struct LinkMacToViewerReportStartedPlaying {
    static constexpr std::uint32_t MID = 0x00040005;
    static constexpr std::string_view name = "LinkMacToViewerReportStartedPlaying";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 0;
    std::uint32_t tigerFileId = 1;  // openFileId
    std::uint32_t unused1 = 0;
    std::array<std::byte, 12> unused2{};
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportStartedPlaying> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportStartedPlaying&) const = default;
};

// 2.2.4.27: no more media; ReportEndOfStream answers.
struct LinkViewerToMacStopPlaying {
    static constexpr std::uint32_t MID = 0x00030009;
    static constexpr std::string_view name = "LinkViewerToMacStopPlaying";

    std::uint32_t openFileId = 1;
    std::uint32_t playIncarnation = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacStopPlaying> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacStopPlaying&) const = default;
};

// 2.2.4.5: the end, or the answer to StopPlaying.
struct LinkMacToViewerReportEndOfStream {
    static constexpr std::uint32_t MID = 0x0004001E;
    static constexpr std::string_view name = "LinkMacToViewerReportEndOfStream";

    std::uint32_t hr = 0;  // 1: another entry of the playlist follows
    std::uint32_t playIncarnation = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportEndOfStream> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportEndOfStream&) const = default;
};

}  // namespace wmlab::mms
