// Asking for the ASF header (MS-MMSP 2.2.4.23, 2.2.4.8, 2.2.4.15).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.23: asks for the header, which comes as Data packets.
struct LinkViewerToMacReadBlock {
    static constexpr std::uint32_t MID = 0x00030015;
    static constexpr std::string_view name = "LinkViewerToMacReadBlock";

    std::uint32_t openFileId = 1;
    std::uint32_t fileBlockId = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0x8000;
    std::uint32_t flags = 0xFFFFFFFF;
    std::uint32_t padding = 0;
    double tEarliest = 0;
    double tDeadline = 3600;
    std::uint32_t playIncarnation = 2;  // its low byte marks the header's Data packets
    std::uint32_t playSequence = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacReadBlock> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacReadBlock&) const = default;
};

// 2.2.4.8: the header follows.
struct LinkMacToViewerReportReadBlock {
    static constexpr std::uint32_t MID = 0x00040011;
    static constexpr std::string_view name = "LinkMacToViewerReportReadBlock";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 0;
    std::uint32_t playSequence = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportReadBlock> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportReadBlock&) const = default;
};

// 2.2.4.15: the header did not come; a new ReadBlock follows.
struct LinkViewerToMacCancelReadBlock {
    static constexpr std::uint32_t MID = 0x00030025;
    static constexpr std::string_view name = "LinkViewerToMacCancelReadBlock";

    std::uint32_t playIncarnation = 0;  // of the ReadBlock
    std::vector<std::byte> extra;       // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacCancelReadBlock> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacCancelReadBlock&) const = default;
};

}  // namespace wmlab::mms
