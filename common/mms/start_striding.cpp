#include "common/mms/start_striding.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacStartStriding> LinkViewerToMacStartStriding::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacStartStriding start;
    start.openFileId = in.u32("openFileId");
    start.padding = in.u32("padding");
    start.position = in.f64("position");
    start.asfOffset = in.u32("asfOffset");
    start.locationId = in.u32("locationId");
    start.frameOffset = in.u32("frameOffset");
    start.playIncarnation = in.u32("playIncarnation");
    start.rate = in.f64("rate");
    return in.complete(std::move(start));
}

std::vector<std::byte> LinkViewerToMacStartStriding::serialise() const {
    MessageWriter out{MID};
    out.u32(openFileId);
    out.u32(padding);
    out.f64(position);
    out.u32(asfOffset);
    out.u32(locationId);
    out.u32(frameOffset);
    out.u32(playIncarnation);
    out.f64(rate);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportStartStriding> LinkMacToViewerReportStartStriding::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportStartStriding report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.spare = in.u32("spare");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportStartStriding::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(spare);
    return out.complete(extra);
}

}  // namespace wmlab::mms
