#include "common/mms/stream_change.hpp"

#include "common/mms/message_io.hpp"

namespace wmlab::mms {

bytes::Parsed<LinkMacToViewerReportStreamChange> LinkMacToViewerReportStreamChange::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportStreamChange report;
    report.hr = in.u32("hr");
    report.dwTcpHdrIncarnation = in.u32("dwTcpHdrIncarnation");
    report.cbPacketSize = in.u32("cbPacketSize");
    report.cbHeaderSize = in.u32("cbHeaderSize");
    report.dwBitRate = in.u32("dwBitRate");
    report.dwStreamId = in.u32("dwStreamId");
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportStreamChange::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(dwTcpHdrIncarnation);
    out.u32(cbPacketSize);
    out.u32(cbHeaderSize);
    out.u32(dwBitRate);
    out.u32(dwStreamId);
    return out.complete(extra);
}

}  // namespace wmlab::mms
