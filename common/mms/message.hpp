// Any MMS message, either way (MS-MMSP 2.2.4): reading by MID, writing, and what a journal wants to know of one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/bytes/reader.hpp"
#include "common/mms/connect.hpp"
#include "common/mms/connect_funnel.hpp"
#include "common/mms/funnel_info.hpp"
#include "common/mms/logging.hpp"
#include "common/mms/open_file.hpp"
#include "common/mms/ping.hpp"
#include "common/mms/read_block.hpp"
#include "common/mms/redirect.hpp"
#include "common/mms/security.hpp"
#include "common/mms/start_playing.hpp"
#include "common/mms/start_striding.hpp"
#include "common/mms/stream_change.hpp"
#include "common/mms/stream_switch.hpp"

namespace wmlab::mms {

// A well-framed message of a MID that MS-MMSP does not have. Real programs are seen with a few; they are read over.
struct UnknownMessage {
    static constexpr std::string_view name = "unknown";
    std::uint32_t MID = 0;
    std::vector<std::byte> body;  // after the MID
    std::vector<std::byte> serialise() const;
    bool operator==(const UnknownMessage&) const = default;
};

using Message =
    std::variant<LinkViewerToMacConnect, LinkViewerToMacConnectFunnel, LinkViewerToMacOpenFile,
                 LinkViewerToMacStartPlaying, LinkViewerToMacStopPlaying, LinkViewerToMacCloseFile,
                 LinkViewerToMacReadBlock, LinkViewerToMacFunnelInfo, LinkViewerToMacSecurityResponse,
                 LinkViewerToMacPong, LinkViewerToMacCancelReadBlock, LinkViewerToMacStartStriding,
                 LinkViewerToMacLogging, LinkViewerToMacStreamSwitch, LinkMacToViewerReportConnectedEX,
                 LinkMacToViewerReportConnectedFunnel, LinkMacToViewerReportDisconnectedFunnel,
                 LinkMacToViewerReportStartedPlaying, LinkMacToViewerReportOpenFile, LinkMacToViewerReportStartStriding,
                 LinkMacToViewerReportReadBlock, LinkMacToViewerReportFunnelInfo, LinkMacToViewerSecurityChallenge,
                 LinkMacToViewerPing, LinkMacToViewerReportEndOfStream, LinkMacToViewerReportStreamChange,
                 LinkMacToViewerReportStreamSwitch, LinkMacToViewerReportRedirect, UnknownMessage>;

// `message`: from chunkLen to the end of its padding.
bytes::Parsed<Message> parse_message(bytes::Bytes message);
std::vector<std::byte> serialise(const Message& message);

std::string_view name(const Message& message);  // "LinkViewerToMacConnect"
std::uint32_t mid(const Message& message);
bool from_player(const Message& message);                     // MID 0x0003xxxx
std::optional<std::uint32_t> result(const Message& message);  // hr, where the message has one

std::vector<std::byte> head_of(bytes::Bytes message);  // its first 64 bytes at most, for the journal

// The fields worth a place in a journal, by their spec names: fileName, funnelName, openFileId, playIncarnation, ...
using Field = std::pair<std::string_view, std::variant<std::uint64_t, double, std::string>>;
std::vector<Field> telling_fields(const Message& message);

}  // namespace wmlab::mms
