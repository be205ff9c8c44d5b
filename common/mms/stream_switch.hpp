// Choosing streams (MS-MMSP 2.2.4.28, 2.2.4.13).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

struct STREAM_SWITCH_ENTRY {
    static constexpr std::uint16_t no_source = 0xFFFF;
    static constexpr std::uint16_t all_frames = 0, key_frames = 1, off = 2;  // wThinningLevel

    std::uint16_t wSrcStreamNumber = no_source;
    std::uint16_t wDstStreamNumber = 0;
    std::uint16_t wThinningLevel = all_frames;
    bool operator==(const STREAM_SWITCH_ENTRY&) const = default;
};

// 2.2.4.28: which streams to send. Without it none is selected.
struct LinkViewerToMacStreamSwitch {
    static constexpr std::uint32_t MID = 0x00030033;
    static constexpr std::string_view name = "LinkViewerToMacStreamSwitch";

    std::vector<STREAM_SWITCH_ENTRY> aStreamEntries;  // cStreamEntries of them
    std::vector<std::byte> extra;                     // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacStreamSwitch> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacStreamSwitch&) const = default;
};

// 2.2.4.13: the answer.
struct LinkMacToViewerReportStreamSwitch {
    static constexpr std::uint32_t MID = 0x00040021;
    static constexpr std::string_view name = "LinkMacToViewerReportStreamSwitch";

    std::uint32_t hr = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportStreamSwitch> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportStreamSwitch&) const = default;
};

}  // namespace wmlab::mms
