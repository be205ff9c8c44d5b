// What the player counted (MS-MMSP 2.2.4.20, 2.2.1.1, 2.2.1.2).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.1.2. Texts are ANSI, cut to their field; "-" stands for none.
struct CLIENT_LOG_INFO {
    static constexpr std::uint32_t cbSize = 1142;

    std::string szURL = "-", szChannelURL = "-", szUserAgent = "-", szHostingWebPage = "-";
    std::uint64_t qwClientVersion = 0;  // four parts of 16 bits
    std::string szLang = "-", szUniquePID = "-", szHostExe = "-";
    std::uint64_t qwHostExeVer = 0;
    std::uint32_t msFileDuration = 0;
    std::uint64_t qwFileSize = 0;
    std::uint32_t dwAvgBandwidthBps = 0;
    std::string szAudioCodec = "-", szVideoCodec = "-";
    std::uint32_t msStartTime = 0, msPlayed = 0;
    std::int16_t rate = 1;
    std::uint32_t dwBufferingCount = 0, msBufferingTime = 0;
    std::uint64_t qwBytesReceived = 0;
    std::uint32_t dwPacketsReceived = 0, dwPacketsLostClient = 0, dwPacketsRecoveredECC = 0;
    std::uint32_t dwMinReceptionQuality = 100;  // percent
    std::uint32_t hr = 0;
    bool operator==(const CLIENT_LOG_INFO&) const = default;
};

// 2.2.1.1
struct CLIENT_LOG {
    static constexpr std::uint32_t cbSize = 1490;

    CLIENT_LOG_INFO info;
    std::uint32_t dwSourceId = 1;  // openFileId
    std::uint32_t dwIPAddress = 0xFFFFFFFF;
    std::string szComputerDNS = "-", szOS = "-";
    std::uint64_t qwOSVersion = 0;
    std::string szCPU = "-", szProto = "mms", szTransport = "-";
    std::uint32_t dwPacketsLostNet = 0, dwPacketsLostContNet = 0, dwResendRequests = 0, dwPacketsRecoveredResent = 0,
                  dwPacketsResent = 0;
    bool operator==(const CLIENT_LOG&) const = default;
};

// 2.2.4.20: statistics, whenever a stream stops.
struct LinkViewerToMacLogging {
    static constexpr std::uint32_t MID = 0x00030032;
    static constexpr std::string_view name = "LinkViewerToMacLogging";

    CLIENT_LOG log;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacLogging> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacLogging&) const = default;
};

}  // namespace wmlab::mms
