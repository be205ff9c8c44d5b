// Where Data packets are to go (MS-MMSP 2.2.4.18, 2.2.4.3, 2.2.4.4).
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::mms {

// 2.2.4.18: the player names transport and port.
struct LinkViewerToMacConnectFunnel {
    static constexpr std::uint32_t MID = 0x00030002;
    static constexpr std::string_view name = "LinkViewerToMacConnectFunnel";

    std::uint32_t playIncarnation = 0;
    std::uint32_t maxBlockBytes = 0xFFFFFFFF;
    std::uint32_t maxFunnelBytes = 0;
    std::uint32_t maxBitRate = 0x00989680;
    std::uint32_t funnelMode = 2;
    std::u16string funnelName;     // see FunnelName
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkViewerToMacConnectFunnel> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkViewerToMacConnectFunnel&) const = default;
};

enum class Transport { tcp, udp };

// What funnelName says: \\10.20.0.10\UDP\2345. The address is not to be trusted: data goes to the TCP peer's.
struct FunnelName {
    std::string address;
    Transport transport = Transport::tcp;
    std::uint16_t port = 0;

    static std::optional<FunnelName> parse(std::u16string_view text);  // nothing: not of this form, or port not 1-65535
    std::u16string text() const;
    bool operator==(const FunnelName&) const = default;
};

// 2.2.4.3: the server will send there.
struct LinkMacToViewerReportConnectedFunnel {
    static constexpr std::uint32_t MID = 0x00040002;
    static constexpr std::string_view name = "LinkMacToViewerReportConnectedFunnel";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 0;
    std::uint32_t packetPayloadSize = 0;
    std::u16string funnelName = u"Funnel Of The Gods";
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportConnectedFunnel> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportConnectedFunnel&) const = default;
};

// 2.2.4.4: the server will not send there; the player may name another transport.
struct LinkMacToViewerReportDisconnectedFunnel {
    static constexpr std::uint32_t MID = 0x00040003;
    static constexpr std::string_view name = "LinkMacToViewerReportDisconnectedFunnel";

    std::uint32_t hr = 0;
    std::uint32_t playIncarnation = 0;
    std::vector<std::byte> extra;  // what follows the fields, when it is not mere padding

    static bytes::Parsed<LinkMacToViewerReportDisconnectedFunnel> parse(bytes::Bytes message);
    std::vector<std::byte> serialise() const;
    bool operator==(const LinkMacToViewerReportDisconnectedFunnel&) const = default;
};

}  // namespace wmlab::mms
