// The first exchange of a control connection (MS-MMSP 2.2.4.17, 2.2.4.2).
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/guid.hpp"
#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// Values of playIncarnation in Connect, ReportConnectedEX, FunnelInfo and ReportFunnelInfo. Players of today send 0 or
// other values in Connect: anything that is not one of these means no packet pair.
constexpr std::uint32_t MMS_DISABLE_PACKET_PAIR = 0xF0F0F0EF;
constexpr std::uint32_t MMS_USE_PACKET_PAIR = 0xF0F0F0F0;
constexpr std::uint32_t MMS_PACKET_PAIR_TCP_HIGH_ENTROPY = 0xF0F0F0F1;
constexpr std::uint32_t MMS_PACKET_PAIR_UDP_HIGH_ENTROPY = 0xF0F0F901;

// 2.2.4.17: the player names itself.
struct LinkViewerToMacConnect {
    static constexpr std::uint32_t MID = 0x00030001;
    static constexpr std::string_view name = "LinkViewerToMacConnect";

    std::uint32_t playIncarnation = MMS_DISABLE_PACKET_PAIR;
    std::uint32_t MacToViewerProtocolRevision = 0x0004000B;
    std::uint32_t ViewerToMacProtocolRevision = 0x0003001C;
    std::u16string subscriberName;  // see SubscriberName
    std::vector<std::byte> extra;   // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacConnect> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacConnect&) const = default;
};

// What subscriberName says: "NSPlayer/4.1.0.3928; {GUID}; Host: media:1755". Nothing in it can be relied on.
struct SubscriberName {
    std::string product, version;     // "NSPlayer", "4.1.0.3928"
    std::optional<bytes::Guid> guid;  // VLC's and libmms's are malformed
    std::string host;
    std::string guid_text = {};  // as it was sent

    static SubscriberName parse(std::u16string_view text);
    std::u16string text() const;
    bool vlc() const { return guid_text.starts_with("{0x"); }
    // "Spoooon!" without a version, in one or another spelling (2.2.4.17, product behaviour 17).
    bool windows_media_services_4() const { return product.starts_with("Spooo"); }
};

// 2.2.4.2: the server names itself.
struct LinkMacToViewerReportConnectedEX {
    static constexpr std::uint32_t MID = 0x00040001;
    static constexpr std::string_view name = "LinkMacToViewerReportConnectedEX";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = MMS_DISABLE_PACKET_PAIR;
    std::uint32_t MacToViewerProtocolRevision = 0x0004000B;
    std::uint32_t ViewerToMacProtocolRevision = 0x0003001C;
    double blockGroupPlayTime = 1.0;
    std::uint32_t blockGroupBlocks = 1;
    std::uint32_t nMaxOpenFiles = 1;
    std::uint32_t nBlockMaxBytes = 0x8000;
    std::uint32_t maxBitRate = 0x00989680;
    std::u16string ServerVersionInfo, VersionInfo, VersionUrl, AuthenPackage;  // empty: absent (count 0)
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportConnectedEX> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportConnectedEX&) const = default;
};

}  // namespace wmlab::mms
