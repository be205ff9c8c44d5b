// The player's number, for resend requests, and the packet pair (MS-MMSP 2.2.4.19, 2.2.4.6).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/mms/connect.hpp"

namespace wmlab::mms {

// 2.2.4.19: asks for the number, and with playIncarnation for a packet pair.
struct LinkViewerToMacFunnelInfo {
    static constexpr std::uint32_t MID = 0x00030018;
    static constexpr std::string_view name = "LinkViewerToMacFunnelInfo";

    std::uint32_t playIncarnation = MMS_DISABLE_PACKET_PAIR;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacFunnelInfo> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacFunnelInfo&) const = default;
};

// 2.2.4.6: the answer; three of them make a packet pair over TCP.
struct LinkMacToViewerReportFunnelInfo {
    static constexpr std::uint32_t MID = 0x00040015;
    static constexpr std::string_view name = "LinkMacToViewerReportFunnelInfo";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = MMS_DISABLE_PACKET_PAIR;
    std::uint32_t transportMask = 8;
    std::uint32_t nBlockFragments = 1;
    std::uint32_t fragmentBytes = 0x00010000;
    std::uint32_t nCubs = 0;  // identifies the player in RequestPacketListResend
    std::uint32_t failedCubs = 0;
    std::uint32_t nDisks = 1;
    std::uint32_t decluster = 0;
    std::uint32_t cubddDatagramSize = 0;
    std::vector<std::byte> packet_pair;  // "Packet-pair packet": everything after the fields, random bytes

    static bytes::Parsed<LinkMacToViewerReportFunnelInfo> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportFunnelInfo&) const = default;
};

}  // namespace wmlab::mms
