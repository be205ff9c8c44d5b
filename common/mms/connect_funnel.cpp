#include "common/mms/connect_funnel.hpp"

#include <charconv>

#include "common/bytes/utf16.hpp"
#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacConnectFunnel> LinkViewerToMacConnectFunnel::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacConnectFunnel funnel;
    funnel.playIncarnation = in.u32("playIncarnation");
    funnel.maxBlockBytes = in.u32("maxBlockBytes");
    funnel.maxFunnelBytes = in.u32("maxFunnelBytes");
    funnel.maxBitRate = in.u32("maxBitRate");
    funnel.funnelMode = in.u32("funnelMode");
    funnel.funnelName = in.utf16z("funnelName");
    return in.complete(std::move(funnel));
}

std::vector<std::byte> LinkViewerToMacConnectFunnel::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(maxBlockBytes);
    out.u32(maxFunnelBytes);
    out.u32(maxBitRate);
    out.u32(funnelMode);
    out.utf16z(funnelName);
    return out.complete(extra);
}

std::optional<FunnelName> FunnelName::parse(std::u16string_view text) {
    const std::string utf8 = bytes::to_utf8(text);
    std::string_view left = utf8;
    if (!left.starts_with("\\\\")) return std::nullopt;
    left.remove_prefix(2);
    const auto first = left.find('\\');
    const auto second = first == std::string_view::npos ? first : left.find('\\', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    FunnelName name;
    name.address = left.substr(0, first);
    auto protocol = std::string{left.substr(first + 1, second - first - 1)};
    for (auto& c : protocol)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (protocol == "UDP") {
        name.transport = Transport::udp;
    } else if (protocol != "TCP") {
        return std::nullopt;
    }
    const auto port = left.substr(second + 1);
    const auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), name.port);
    if (problem != std::errc{} || end != port.data() + port.size() || name.port == 0) return std::nullopt;
    return name;
}

std::u16string FunnelName::text() const {
    return bytes::to_utf16("\\\\" + address + "\\" + (transport == Transport::udp ? "UDP" : "TCP") + "\\" +
                           std::to_string(port));
}

bytes::Parsed<LinkMacToViewerReportConnectedFunnel> LinkMacToViewerReportConnectedFunnel::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportConnectedFunnel report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.packetPayloadSize = in.u32("packetPayloadSize");
    report.funnelName = in.utf16z("funnelName");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportConnectedFunnel::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(packetPayloadSize);
    out.utf16z(funnelName);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportDisconnectedFunnel> LinkMacToViewerReportDisconnectedFunnel::parse(
    bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportDisconnectedFunnel report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportDisconnectedFunnel::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    return out.complete(extra);
}

}  // namespace wmlab::mms
