#include "common/mms/start_playing.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacStartPlaying> LinkViewerToMacStartPlaying::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacStartPlaying start;
    start.openFileId = in.u32("openFileId");
    start.padding = in.u32("padding");
    start.position = in.f64("position");
    start.asfOffset = in.u32("asfOffset");
    start.locationId = in.u32("locationId");
    start.frameOffset = in.u32("frameOffset");
    start.playIncarnation = in.u32("playIncarnation");
    if (in.left() >= 12) {
        start.acceleration.emplace();
        start.acceleration->dwAccelBandwidth = in.u32("dwAccelBandwidth");
        start.acceleration->dwAccelDuration = in.u32("dwAccelDuration");
        start.acceleration->dwLinkBandwidth = in.u32("dwLinkBandwidth");
    }
    return in.complete(std::move(start));
}

std::vector<std::byte> LinkViewerToMacStartPlaying::serialise() const {
    MessageWriter out{MID};
    out.u32(openFileId);
    out.u32(padding);
    out.f64(position);
    out.u32(asfOffset);
    out.u32(locationId);
    out.u32(frameOffset);
    out.u32(playIncarnation);
    if (acceleration) {
        out.u32(acceleration->dwAccelBandwidth);
        out.u32(acceleration->dwAccelDuration);
        out.u32(acceleration->dwLinkBandwidth);
    }
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportStartedPlaying> LinkMacToViewerReportStartedPlaying::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportStartedPlaying report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.tigerFileId = in.u32("tigerFileId");
    report.unused1 = in.u32("unused1");
    if (in.left() >= report.unused2.size()) in.fill(report.unused2, "unused2");  // players do without
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportStartedPlaying::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(tigerFileId);
    out.u32(unused1);
    out.raw(unused2);
    return out.complete(extra);
}

bytes::Parsed<LinkViewerToMacStopPlaying> LinkViewerToMacStopPlaying::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacStopPlaying stop;
    stop.openFileId = in.u32("openFileId");
    stop.playIncarnation = in.u32("playIncarnation");
    return in.complete(std::move(stop));
}

std::vector<std::byte> LinkViewerToMacStopPlaying::serialise() const {
    MessageWriter out{MID};
    out.u32(openFileId);
    out.u32(playIncarnation);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportEndOfStream> LinkMacToViewerReportEndOfStream::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportEndOfStream report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportEndOfStream::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    return out.complete(extra);
}

}  // namespace wmlab::mms
