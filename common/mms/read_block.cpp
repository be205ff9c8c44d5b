#include "common/mms/read_block.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkViewerToMacReadBlock> LinkViewerToMacReadBlock::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacReadBlock read;
    read.openFileId = in.u32("openFileId");
    read.fileBlockId = in.u32("fileBlockId");
    read.offset = in.u32("offset");
    read.length = in.u32("length");
    read.flags = in.u32("flags");
    read.padding = in.u32("padding");
    read.tEarliest = in.f64("tEarliest");
    read.tDeadline = in.f64("tDeadline");
    read.playIncarnation = in.u32("playIncarnation");
    read.playSequence = in.u32("playSequence");
    return in.complete(std::move(read));
}

std::vector<std::byte> LinkViewerToMacReadBlock::serialise() const {
    MessageWriter out{MID};
    out.u32(openFileId);
    out.u32(fileBlockId);
    out.u32(offset);
    out.u32(length);
    out.u32(flags);
    out.u32(padding);
    out.f64(tEarliest);
    out.f64(tDeadline);
    out.u32(playIncarnation);
    out.u32(playSequence);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportReadBlock> LinkMacToViewerReportReadBlock::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportReadBlock report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.playSequence = in.u32("playSequence");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportReadBlock::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(playSequence);
    return out.complete(extra);
}

bytes::Parsed<LinkViewerToMacCancelReadBlock> LinkViewerToMacCancelReadBlock::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacCancelReadBlock cancel;
    cancel.playIncarnation = in.u32("playIncarnation");
    return in.complete(std::move(cancel));
}

std::vector<std::byte> LinkViewerToMacCancelReadBlock::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    return out.complete(extra);
}

}  // namespace wmlab::mms
