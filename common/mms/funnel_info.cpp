#include "common/mms/funnel_info.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacFunnelInfo> LinkViewerToMacFunnelInfo::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacFunnelInfo info;
    info.playIncarnation = in.u32("playIncarnation");
    return in.complete(std::move(info));
}

std::vector<std::byte> LinkViewerToMacFunnelInfo::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportFunnelInfo> LinkMacToViewerReportFunnelInfo::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportFunnelInfo report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.transportMask = in.u32("transportMask");
    report.nBlockFragments = in.u32("nBlockFragments");
    report.fragmentBytes = in.u32("fragmentBytes");
    report.nCubs = in.u32("nCubs");
    report.failedCubs = in.u32("failedCubs");
    report.nDisks = in.u32("nDisks");
    report.decluster = in.u32("decluster");
    report.cubddDatagramSize = in.u32("cubddDatagramSize");
    report.packet_pair = in.extra();
    return in.finish(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportFunnelInfo::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(transportMask);
    out.u32(nBlockFragments);
    out.u32(fragmentBytes);
    out.u32(nCubs);
    out.u32(failedCubs);
    out.u32(nDisks);
    out.u32(decluster);
    out.u32(cubddDatagramSize);
    return out.complete(packet_pair);
}

}  // namespace wmlab::mms
