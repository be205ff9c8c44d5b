#include "common/mms/connect.hpp"

#include "common/bytes/utf16.hpp"
#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacConnect> LinkViewerToMacConnect::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacConnect connect;
    connect.playIncarnation = in.u32("playIncarnation");
    connect.MacToViewerProtocolRevision = in.u32("MacToViewerProtocolRevision");
    connect.ViewerToMacProtocolRevision = in.u32("ViewerToMacProtocolRevision");
    connect.subscriberName = in.utf16z("subscriberName");
    return in.complete(std::move(connect));
}

std::vector<std::byte> LinkViewerToMacConnect::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(MacToViewerProtocolRevision);
    out.u32(ViewerToMacProtocolRevision);
    out.utf16z(subscriberName);
    return out.complete(extra);
}

SubscriberName SubscriberName::parse(std::u16string_view text) {
    SubscriberName name;
    const std::string utf8 = bytes::to_utf8(text);
    std::string_view left = utf8;
    for (bool first = true; !left.empty(); first = false) {
        const auto end = std::min(left.find(';'), left.size());
        auto part = left.substr(0, end);
        left.remove_prefix(std::min(end + 1, left.size()));
        while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
        while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
        if (first) {
            const auto slash = part.find('/');
            name.product = part.substr(0, slash);
            if (slash != std::string_view::npos) name.version = part.substr(slash + 1);
        } else if (part.starts_with('{')) {
            name.guid = bytes::Guid::from_text(part);
            name.guid_text = part;
        } else if (constexpr std::string_view host = "Host:"; part.starts_with(host)) {
            part.remove_prefix(host.size());
            while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
            name.host = part;
        }
    }
    return name;
}

std::u16string SubscriberName::text() const {
    std::string utf8 = product + "/" + version;
    if (guid) utf8 += "; {" + guid->text() + "}";
    if (!host.empty()) utf8 += "; Host: " + host;
    return bytes::to_utf16(utf8);
}

bytes::Parsed<LinkMacToViewerReportConnectedEX> LinkMacToViewerReportConnectedEX::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportConnectedEX report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.MacToViewerProtocolRevision = in.u32("MacToViewerProtocolRevision");
    report.ViewerToMacProtocolRevision = in.u32("ViewerToMacProtocolRevision");
    report.blockGroupPlayTime = in.f64("blockGroupPlayTime");
    report.blockGroupBlocks = in.u32("blockGroupBlocks");
    report.nMaxOpenFiles = in.u32("nMaxOpenFiles");
    report.nBlockMaxBytes = in.u32("nBlockMaxBytes");
    report.maxBitRate = in.u32("maxBitRate");
    const auto cbServerVersionInfo = in.u32("cbServerVersionInfo");  // characters, not bytes, the null included
    const auto cbVersionInfo = in.u32("cbVersionInfo");
    const auto cbVersionUrl = in.u32("cbVersionUrl");
    const auto cbAuthenPackage = in.u32("cbAuthenPackage");
    const auto text = [&in](std::size_t characters, std::string_view field) {
        auto value = in.utf16(characters, field);
        if (!value.empty() && value.back() == 0) value.pop_back();
        return value;
    };
    report.ServerVersionInfo = text(cbServerVersionInfo, "ServerVersionInfo");
    report.VersionInfo = text(cbVersionInfo, "VersionInfo");
    report.VersionUrl = text(cbVersionUrl, "VersionUrl");
    report.AuthenPackage = text(cbAuthenPackage, "AuthenPackage");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportConnectedEX::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(MacToViewerProtocolRevision);
    out.u32(ViewerToMacProtocolRevision);
    out.f64(blockGroupPlayTime);
    out.u32(blockGroupBlocks);
    out.u32(nMaxOpenFiles);
    out.u32(nBlockMaxBytes);
    out.u32(maxBitRate);
    const auto texts = {&ServerVersionInfo, &VersionInfo, &VersionUrl, &AuthenPackage};
    for (const auto* text : texts) out.u32(text->empty() ? 0 : static_cast<std::uint32_t>(text->size() + 1));
    for (const auto* text : texts)
        if (!text->empty()) out.utf16z(*text);
    return out.complete(extra);
}

}  // namespace wmlab::mms
