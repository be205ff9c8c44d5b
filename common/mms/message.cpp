#include "common/mms/message.hpp"

#include <algorithm>
#include <type_traits>

#include "common/bytes/utf16.hpp"
#include "common/mms/message_io.hpp"

namespace wmlab::mms {
namespace {

template <std::size_t Index = 0>
bytes::Parsed<Message> parse_as(std::uint32_t MID, bytes::Bytes message) {
    using Type = std::variant_alternative_t<Index, Message>;
    if constexpr (std::is_same_v<Type, UnknownMessage>) {
        MessageReader in{message, MID};
        const auto body = in.rest();
        return in.finish(Message{UnknownMessage{MID, {body.begin(), body.end()}}});
    } else {
        if (MID != Type::MID) return parse_as<Index + 1>(MID, message);
        auto parsed = Type::parse(message);
        if (parsed.has_error()) return bytes::Parsed<Message>{boost::system::in_place_error, parsed.error()};
        return Message{std::move(*parsed)};
    }
}

template <class Type>
concept HasResult = requires(const Type& message) {
    message.hr;
};
template <class Type>
concept HasIncarnation = requires(const Type& message) {
    message.playIncarnation;
};
template <class Type>
concept HasOpenFileId = requires(const Type& message) {
    message.openFileId;
};
template <class Type>
concept HasFileName = requires(const Type& message) {
    { message.fileName } -> std::convertible_to<std::u16string>;
};
template <class Type>
concept HasPosition = requires(const Type& message) {
    message.position, message.asfOffset, message.locationId;
};

template <class Type>
void type_fields(const Type& message, std::vector<Field>& out) {
    const auto number = [&out](std::string_view key, std::uint64_t value) { out.emplace_back(key, value); };
    const auto text = [&out](std::string_view key, std::u16string_view value) {
        out.emplace_back(key, bytes::to_utf8(value.substr(0, 512)));
    };
    if constexpr (std::is_same_v<Type, LinkViewerToMacConnect>) {
        text("subscriberName", message.subscriberName);
    } else if constexpr (std::is_same_v<Type, LinkMacToViewerReportConnectedEX>) {
        text("ServerVersionInfo", message.ServerVersionInfo);
    } else if constexpr (std::is_same_v<Type, LinkViewerToMacConnectFunnel>) {
        text("funnelName", message.funnelName);
    } else if constexpr (std::is_same_v<Type, LinkMacToViewerReportFunnelInfo>) {
        number("nCubs", message.nCubs);
    } else if constexpr (std::is_same_v<Type, LinkMacToViewerReportOpenFile>) {
        number("fileAttributes", message.fileAttributes);
        out.emplace_back("fileDuration", message.fileDuration);
        number("filePacketSize", message.filePacketSize);
        number("filePacketCount", message.filePacketCount);
        number("fileBitRate", message.fileBitRate);
        number("fileHeaderSize", message.fileHeaderSize);
    } else if constexpr (std::is_same_v<Type, LinkViewerToMacStreamSwitch>) {
        number("cStreamEntries", message.aStreamEntries.size());
    } else if constexpr (std::is_same_v<Type, LinkViewerToMacLogging>) {
        number("dwPacketsReceived", message.log.info.dwPacketsReceived);
        number("qwBytesReceived", message.log.info.qwBytesReceived);
        number("dwPacketsLostClient", message.log.info.dwPacketsLostClient);
        number("dwResendRequests", message.log.dwResendRequests);
        number("dwPacketsRecoveredResent", message.log.dwPacketsRecoveredResent);
        out.emplace_back("szTransport", message.log.szTransport);
    } else if constexpr (std::is_same_v<Type, LinkMacToViewerReportStreamChange>) {
        number("cbPacketSize", message.cbPacketSize);
        number("cbHeaderSize", message.cbHeaderSize);
        number("dwBitRate", message.dwBitRate);
    } else if constexpr (std::is_same_v<Type, LinkMacToViewerReportRedirect>) {
        number("RedirectType", message.RedirectType);
        text("wszLocation", message.wszLocation);
    } else if constexpr (std::is_same_v<Type, UnknownMessage>) {
        number("MID", message.MID);
    }
    if constexpr (std::is_same_v<Type, LinkViewerToMacStartStriding>) out.emplace_back("rate", message.rate);
}

}  // namespace

std::vector<std::byte> UnknownMessage::serialise() const {
    MessageWriter out{MID};
    return out.complete(body);
}

bytes::Parsed<Message> parse_message(bytes::Bytes message) {
    bytes::Reader in{message};
    in.u32("chunkLen");
    const auto MID = in.u32("MID");
    if (in.failed()) return bytes::Parsed<Message>{boost::system::in_place_error, *in.error()};
    return parse_as(MID, message);
}

std::vector<std::byte> serialise(const Message& message) {
    return std::visit([](const auto& which) { return which.serialise(); }, message);
}

std::string_view name(const Message& message) {
    return std::visit([](const auto& which) { return std::decay_t<decltype(which)>::name; }, message);
}

std::uint32_t mid(const Message& message) {
    return std::visit([](const auto& which) { return which.MID; }, message);
}

bool from_player(const Message& message) { return mid(message) >> 16 == 3; }

std::optional<std::uint32_t> result(const Message& message) {
    return std::visit(
        [](const auto& which) -> std::optional<std::uint32_t> {
            if constexpr (HasResult<std::decay_t<decltype(which)>>) return which.hr;
            return std::nullopt;
        },
        message);
}

std::vector<Field> telling_fields(const Message& message) {
    std::vector<Field> out;
    std::visit(
        [&out](const auto& which) {
            using Type = std::decay_t<decltype(which)>;
            if constexpr (HasIncarnation<Type>)
                out.emplace_back("playIncarnation", std::uint64_t{which.playIncarnation});
            if constexpr (HasOpenFileId<Type>) out.emplace_back("openFileId", std::uint64_t{which.openFileId});
            if constexpr (HasFileName<Type>)
                out.emplace_back("fileName", bytes::to_utf8(std::u16string_view{which.fileName}.substr(0, 512)));
            if constexpr (HasPosition<Type>) {
                if (which.position != position_unused) out.emplace_back("position", which.position);
                if (which.asfOffset != offset_unused) out.emplace_back("asfOffset", std::uint64_t{which.asfOffset});
                if (which.locationId != offset_unused) out.emplace_back("locationId", std::uint64_t{which.locationId});
            }
            type_fields(which, out);
        },
        message);
    return out;
}

std::vector<std::byte> head_of(bytes::Bytes message) {
    constexpr std::size_t head_max = 64;
    const auto head = message.first(std::min(message.size(), head_max));
    return {head.begin(), head.end()};
}

}  // namespace wmlab::mms
