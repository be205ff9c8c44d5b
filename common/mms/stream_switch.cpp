#include "common/mms/stream_switch.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacStreamSwitch> LinkViewerToMacStreamSwitch::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacStreamSwitch streams;
    const auto cStreamEntries = in.u32("cStreamEntries");
    in.check(std::size_t{cStreamEntries} * 6 <= in.left(), "is more than the message holds");
    for (std::uint32_t i = 0; i < cStreamEntries && !in.failed(); ++i) {
        auto& entry = streams.aStreamEntries.emplace_back();
        entry.wSrcStreamNumber = in.u16("wSrcStreamNumber");
        entry.wDstStreamNumber = in.u16("wDstStreamNumber");
        entry.wThinningLevel = in.u16("wThinningLevel");
    }
    return in.complete(std::move(streams));
}

std::vector<std::byte> LinkViewerToMacStreamSwitch::serialise() const {
    MessageWriter out{MID};
    out.u32(static_cast<std::uint32_t>(aStreamEntries.size()));
    for (const auto& entry : aStreamEntries) {
        out.u16(entry.wSrcStreamNumber);
        out.u16(entry.wDstStreamNumber);
        out.u16(entry.wThinningLevel);
    }
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportStreamSwitch> LinkMacToViewerReportStreamSwitch::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportStreamSwitch report;
    report.hr = in.u32("hr");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportStreamSwitch::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    return out.complete(extra);
}

}  // namespace wmlab::mms
