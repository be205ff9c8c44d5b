// Playing at another rate (MS-MMSP 2.2.4.26, 2.2.4.11).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.26: as StartPlaying, with a rate.
struct LinkViewerToMacStartStriding {
    static constexpr std::uint32_t MID = 0x00030028;
    static constexpr std::string_view name = "LinkViewerToMacStartStriding";

    std::uint32_t openFileId = 1;
    std::uint32_t padding = 0;
    double position = 0;
    std::uint32_t asfOffset = 0xFFFFFFFF;
    std::uint32_t locationId = 0xFFFFFFFF;
    std::uint32_t frameOffset = 0;
    std::uint32_t playIncarnation = 4;
    double rate = 1;               // -5 to 5, not 0
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacStartStriding> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacStartStriding&) const = default;
};

// 2.2.4.11: media follows.
struct LinkMacToViewerReportStartStriding {
    static constexpr std::uint32_t MID = 0x0004000A;
    static constexpr std::string_view name = "LinkMacToViewerReportStartStriding";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 0;
    std::uint32_t spare = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportStartStriding> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportStartStriding&) const = default;
};

}  // namespace wmlab::mms
