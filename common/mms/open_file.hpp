// Opening and closing a file (MS-MMSP 2.2.4.21, 2.2.4.7, 2.2.4.16).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.21: the player names the file it wants to play.
struct LinkViewerToMacOpenFile {
    static constexpr std::uint32_t MID = 0x00030005;
    static constexpr std::string_view name = "LinkViewerToMacOpenFile";

    std::uint32_t playIncarnation = 1;  // 0x01 to 0xFE; MPlayer sends 0
    std::uint32_t spare = 0;
    std::u16string fileName;           // the URL's path without the leading "/", not percent-encoded
    std::vector<std::byte> tokenData;  // authentication data; empty when there is none
    std::vector<std::byte> extra;      // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacOpenFile> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacOpenFile&) const = default;
};

// 2.2.4.7: what the file is like.
struct LinkMacToViewerReportOpenFile {
    static constexpr std::uint32_t MID = 0x00040006;
    static constexpr std::string_view name = "LinkMacToViewerReportOpenFile";

    static constexpr std::uint32_t can_stride = 0x00800000, can_seek = 0x01000000, is_broadcast = 0x02000000,
                                   is_live = 0x04000000, is_playlist = 0x40000000;  // bits of fileAttributes

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 1;  // of OpenFile
    std::uint32_t openFileId = 1;       // must be 1: ffmpeg, MPlayer and VLC send 1 back whatever was given
    std::uint32_t padding = 0;
    std::uint32_t fileName = 0;
    std::uint32_t fileAttributes = 0;
    double fileDuration = 0;       // seconds; 0 when live
    std::uint32_t fileBlocks = 0;  // fileDuration rounded up
    std::array<std::byte, 16> unused1{};
    std::uint32_t filePacketSize = 0;
    std::uint64_t filePacketCount = 0;
    std::uint32_t fileBitRate = 0;     // bit/s
    std::uint32_t fileHeaderSize = 0;  // must equal the header bytes sent: VLC waits for that many
    std::array<std::byte, 36> unused2{};
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportOpenFile> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportOpenFile&) const = default;
};

// 2.2.4.16: the session is over; the server closes the connection.
struct LinkViewerToMacCloseFile {
    static constexpr std::uint32_t MID = 0x0003000D;
    static constexpr std::string_view name = "LinkViewerToMacCloseFile";

    std::uint32_t playIncarnation = 1;
    std::uint32_t openFileId = 1;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacCloseFile> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacCloseFile&) const = default;
};

}  // namespace wmlab::mms
