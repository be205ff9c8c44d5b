// The next entry of a playlist (MS-MMSP 2.2.4.12).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.12: a new header follows (TCP), or is to be asked for (UDP).
struct LinkMacToViewerReportStreamChange {
    static constexpr std::uint32_t MID = 0x00040020;
    static constexpr std::string_view name = "LinkMacToViewerReportStreamChange";

    std::uint32_t hr = 0;
    std::uint32_t dwTcpHdrIncarnation = 0xFF;
    std::uint32_t cbPacketSize = 0;
    std::uint32_t cbHeaderSize = 0;
    std::uint32_t dwBitRate = 0;
    std::uint32_t dwStreamId = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportStreamChange> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportStreamChange&) const = default;
};

}  // namespace wmlab::mms
