#include "common/mms/open_file.hpp"

#include "common/bytes/hresult.hpp"
#include "common/mms/message_io.hpp"

namespace wmlab::mms {

// tokenData stands right behind fileName wherever we write it; a peer may leave a gap, which the canonical form closes.
bytes::Parsed<LinkViewerToMacOpenFile> LinkViewerToMacOpenFile::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacOpenFile open;
    open.playIncarnation = in.u32("playIncarnation");
    open.spare = in.u32("spare");
    const std::size_t token = in.u32("token");
    const std::size_t cbtoken = in.u32("cbtoken");
    const auto fileName_offset = in.offset();
    open.fileName = in.utf16z("fileName");
    if (cbtoken != 0) {
        in.seek(fileName_offset + token, "token");
        open.tokenData = in.bytes_of(cbtoken, "tokenData");
    }
    return in.complete(std::move(open));
}

std::vector<std::byte> LinkViewerToMacOpenFile::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(spare);
    out.u32(tokenData.empty() ? 0 : static_cast<std::uint32_t>((fileName.size() + 1) * 2));
    out.u32(static_cast<std::uint32_t>(tokenData.size()));
    out.utf16z(fileName);
    out.raw(tokenData);
    return out.complete(extra);
}

bytes::Parsed<LinkMacToViewerReportOpenFile> LinkMacToViewerReportOpenFile::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkMacToViewerReportOpenFile report;
    report.hr = in.u32("hr");
    report.playIncarnation = in.u32("playIncarnation");
    report.openFileId = in.u32("openFileId");
    if (bytes::is_failure(report.hr) && in.left() < 100)
        return in.complete(std::move(report));  // a refusal may be short
    report.padding = in.u32("padding");
    report.fileName = in.u32("fileName");
    report.fileAttributes = in.u32("fileAttributes");
    report.fileDuration = in.f64("fileDuration");
    report.fileBlocks = in.u32("fileBlocks");
    in.fill(report.unused1, "unused1");
    report.filePacketSize = in.u32("filePacketSize");
    report.filePacketCount = in.u64("filePacketCount");
    report.fileBitRate = in.u32("fileBitRate");
    report.fileHeaderSize = in.u32("fileHeaderSize");
    if (in.left() >= report.unused2.size()) in.fill(report.unused2, "unused2");  // players do without
    return in.complete(std::move(report));
}

std::vector<std::byte> LinkMacToViewerReportOpenFile::serialise() const {
    MessageWriter out{MID};
    out.u32(hr);
    out.u32(playIncarnation);
    out.u32(openFileId);
    out.u32(padding);
    out.u32(fileName);
    out.u32(fileAttributes);
    out.f64(fileDuration);
    out.u32(fileBlocks);
    out.raw(unused1);
    out.u32(filePacketSize);
    out.u64(filePacketCount);
    out.u32(fileBitRate);
    out.u32(fileHeaderSize);
    out.raw(unused2);
    return out.complete(extra);
}

bytes::Parsed<LinkViewerToMacCloseFile> LinkViewerToMacCloseFile::parse(bytes::Bytes message) {
    MessageReader in{message, MID};
    LinkViewerToMacCloseFile close;
    close.playIncarnation = in.u32("playIncarnation");
    close.openFileId = in.u32("openFileId");
    return in.complete(std::move(close));
}

std::vector<std::byte> LinkViewerToMacCloseFile::serialise() const {
    MessageWriter out{MID};
    out.u32(playIncarnation);
    out.u32(openFileId);
    return out.complete(extra);
}

}  // namespace wmlab::mms
