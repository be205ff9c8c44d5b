#include "common/msbd/message.hpp"

#include <algorithm>
#include <cassert>
#include <type_traits>

#include "common/bytes/hresult.hpp"
#include "common/bytes/utf16.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::msbd {
namespace {

// Positioned after the header, which the caller has read.
bytes::Reader body_of(bytes::Bytes message) {
    bytes::Reader in{message};
    in.skip(MSBMSGBASE::size, "MSBMSGBASE");
    return in;
}

std::string text(bytes::Reader& in, std::size_t size, std::string_view field) {
    const auto octets = in.raw(size, field);
    std::string value;
    for (const auto octet : octets) value.push_back(static_cast<char>(octet));
    return value;
}

StreamInfo read_stream(bytes::Reader& in, std::size_t message_size) {
    StreamInfo stream;
    stream.wStreamId = in.u16("wStreamId");
    in.check((stream.wStreamId & 0x7FFF) <= 0x7FF, "is outside 0 to 7FF and 8000 to 87FF");
    stream.cbPacketSize = in.u16("cbPacketSize");
    stream.cTotalPackets = in.u32("cTotalPackets");
    stream.dwBitRate = in.u32("dwBitRate");
    stream.msDuration = in.u32("msDuration");
    const std::uint64_t cbTitle = in.u32("cbTitle");
    const std::uint64_t cbDescription = in.u32("cbDescription");
    const std::uint64_t cbLink = in.u32("cbLink");
    const std::uint64_t cbHeader = in.u32("cbHeader");
    // In 64 bits: four lengths of 32 bits can add up to the right sum of 32.
    in.check(48 + cbTitle + cbDescription + cbLink + cbHeader == message_size,
             "with cbTitle, cbDescription and cbLink does not make the message's length");
    if (in.failed()) return stream;
    stream.title = text(in, static_cast<std::size_t>(cbTitle), "title");
    stream.description = text(in, static_cast<std::size_t>(cbDescription), "description");
    stream.link = text(in, static_cast<std::size_t>(cbLink), "link");
    const auto header = in.raw(static_cast<std::size_t>(cbHeader), "header");
    stream.header.assign(header.begin(), header.end());
    return stream;
}

void write_stream(bytes::Writer& out, const StreamInfo& stream) {
    out.u16(stream.wStreamId);
    out.u16(stream.cbPacketSize);
    out.u32(stream.cTotalPackets);
    out.u32(stream.dwBitRate);
    out.u32(stream.msDuration);
    out.u32(static_cast<std::uint32_t>(stream.title.size()));
    out.u32(static_cast<std::uint32_t>(stream.description.size()));
    out.u32(static_cast<std::uint32_t>(stream.link.size()));
    out.u32(static_cast<std::uint32_t>(stream.header.size()));
    out.raw(stream.title);
    out.raw(stream.description);
    out.raw(stream.link);
    out.raw(stream.header);
}

template <class Info>
Message read_stream_info(bytes::Reader& in, const MSBMSGBASE& base) {
    Info info;
    info.hr = base.hr;
    // Real servers leave the empty one's body to chance: hr alone counts. It may even be left out.
    if (!bytes::is_failure(base.hr)) info.stream = read_stream(in, base.cbMessage);
    return info;
}

Message read_connect(bytes::Reader& in, const MSBMSGBASE& base) {
    MSB_MSG_REQ_CONNECT connect;
    connect.hr = base.hr;
    connect.dwFlags = in.u32("dwFlags");
    in.check(connect.dwFlags == MSB_MSG_REQ_CONNECT::unicast || connect.dwFlags == MSB_MSG_REQ_CONNECT::multicast,
             "is neither 1 (unicast) nor 2 (multicast)");
    const auto size = in.left();
    connect.szChannel = in.utf16(size / 2, "szChannel");
    in.check(size % 2 == 0, "has an odd number of octets");
    while (!connect.szChannel.empty() && connect.szChannel.back() == 0) connect.szChannel.pop_back();
    return connect;
}

Message read_connected(bytes::Reader& in, const MSBMSGBASE& base) {
    MSB_MSG_RES_CONNECT connected;
    connected.hr = base.hr;
    connected.dwFlags = in.u32("dwFlags");
    connected.sin_family = in.u16("sin_family");
    connected.sin_port = in.u16be("sin_port");
    connected.sin_addr = in.u32be("sin_addr");
    in.skip(8, "sin_zero");
    return connected;
}

Message read_packet(bytes::Reader& in, const MSBMSGBASE& base) {
    MSB_MSG_IND_PACKET packet;
    packet.hr = base.hr;
    packet.dwPacketId = in.u32("dwPacketId");
    packet.wStreamId = in.u16("wStreamId");
    const auto wPacketSize = in.u16("wPacketSize");
    in.check(wPacketSize == base.cbMessage - MSBMSGBASE::size, "is not cbMessage - 16");
    const auto payload = in.rest();
    packet.bPayload.assign(payload.begin(), payload.end());
    return packet;
}

Message read_body(bytes::Reader& in, const MSBMSGBASE& base) {
    switch (base.wMessageId) {
        case MSB_MSG_REQ_PING::wMessageId:
            return MSB_MSG_REQ_PING{base.hr};
        case MSB_MSG_RES_PING::wMessageId:
            return MSB_MSG_RES_PING{base.hr};
        case MSB_MSG_REQ_STREAMINFO::wMessageId:
            return MSB_MSG_REQ_STREAMINFO{base.hr};
        case MSB_MSG_RES_STREAMINFO::wMessageId:
            return read_stream_info<MSB_MSG_RES_STREAMINFO>(in, base);
        case MSB_MSG_IND_STREAMINFO::wMessageId:
            return read_stream_info<MSB_MSG_IND_STREAMINFO>(in, base);
        case MSB_MSG_REQ_CONNECT::wMessageId:
            return read_connect(in, base);
        case MSB_MSG_RES_CONNECT::wMessageId:
            return read_connected(in, base);
        case MSB_MSG_IND_EOS::wMessageId:
            return MSB_MSG_IND_EOS{base.hr};
        case MSB_MSG_IND_PACKET::wMessageId:
            return read_packet(in, base);
        default:
            break;
    }
    const auto body = in.rest();
    return UnknownMessage{base.wMessageId, base.hr, {body.begin(), body.end()}};
}

void write_head(bytes::Writer& out, std::uint16_t wMessageId, std::uint32_t hr) {
    out.u32(MSBMSGBASE::signature);
    out.u16(MSBMSGBASE::version);
    out.u16(wMessageId);
    out.u32(0);  // cbMessage
    out.u32(hr);
}

template <class Type>
void write_body(bytes::Writer& out, const Type& message) {
    if constexpr (std::is_same_v<Type, MSB_MSG_RES_STREAMINFO> || std::is_same_v<Type, MSB_MSG_IND_STREAMINFO>) {
        if (bytes::is_failure(message.hr)) {
            out.zeros(32);
        } else {
            assert(!problem(message.stream));
            write_stream(out, message.stream);
        }
    } else if constexpr (std::is_same_v<Type, MSB_MSG_REQ_CONNECT>) {
        out.u32(message.dwFlags);
        out.utf16(std::u16string_view{message.szChannel}.substr(0, 32757));
    } else if constexpr (std::is_same_v<Type, MSB_MSG_RES_CONNECT>) {
        out.u32(message.dwFlags);
        out.u16(message.sin_family);
        out.u16be(message.sin_port);
        out.u32be(message.sin_addr);
        out.zeros(8);
    } else if constexpr (std::is_same_v<Type, MSB_MSG_IND_PACKET>) {
        assert(message.bPayload.size() <= MSB_MSG_IND_PACKET::payload_max);
        out.u32(message.dwPacketId);
        out.u16(message.wStreamId);
        out.u16(static_cast<std::uint16_t>(message.bPayload.size() + 8));
        out.raw(message.bPayload);
    } else if constexpr (std::is_same_v<Type, UnknownMessage>) {
        out.raw(message.body);
    }
}

std::vector<std::byte> complete(bytes::Writer& out) {
    assert(out.size() <= MSBMSGBASE::message_size_max);
    out.patch_u32(8, static_cast<std::uint32_t>(out.size()));
    return out.take();
}

// As much of the header as is there; every field is judged as soon as it can be.
MSBMSGBASE read_head(bytes::Reader& in) {
    MSBMSGBASE base;
    base.dwSignature = in.u32("dwSignature");
    in.check(base.dwSignature == MSBMSGBASE::signature, "is not \"MSB \"");
    base.wVersion = in.u16("wVersion");
    in.check(base.wVersion >> 8 == MSBMSGBASE::version >> 8, "is not 1.x");
    base.wMessageId = in.u16("wMessageId");
    base.cbMessage = in.u32("cbMessage");
    in.check(base.cbMessage >= MSBMSGBASE::size && base.cbMessage <= MSBMSGBASE::message_size_max,
             "is outside 16 to 65535");
    base.hr = in.u32("hr");
    return base;
}

// Whether the header's field at fault has merely not arrived yet.
bool is_missing(const bytes::ParseError& error, std::size_t received) {
    const std::size_t width = error.offset == 4 || error.offset == 6 ? 2 : 4;
    return error.offset + width > received;
}

}  // namespace

MSB_MSG_IND_STREAMINFO MSB_MSG_IND_STREAMINFO::empty() {
    MSB_MSG_IND_STREAMINFO info;
    info.hr = bytes::NS_E_NO_STREAM;
    return info;
}

bytes::Parsed<MSBMSGBASE> MSBMSGBASE::parse(bytes::Bytes message) {
    bytes::Reader in{message};
    const auto base = read_head(in);
    return in.finish(base);
}

bytes::Parsed<Message> parse_message(bytes::Bytes message) {
    bytes::Reader head{message};
    const auto base = read_head(head);
    // A length that lies is cbMessage's fault, not that of the field it makes us miss.
    if (!head.failed() && base.cbMessage != message.size()) {
        const bytes::ParseError error{8, "cbMessage", "is not the message's length"};
        return bytes::Parsed<Message>{boost::system::in_place_error, error};
    }
    if (head.failed()) return bytes::Parsed<Message>{boost::system::in_place_error, *head.error()};
    auto in = body_of(message);
    auto read = read_body(in, base);
    return in.finish(std::move(read));
}

std::vector<std::byte> serialise(const Message& message) {
    bytes::Writer out;
    std::visit(
        [&out](const auto& which) {
            write_head(out, which.wMessageId, which.hr);
            write_body(out, which);
        },
        message);
    return complete(out);
}

std::vector<std::byte> packet_message(std::uint32_t dwPacketId, std::uint16_t wStreamId, bytes::Bytes payload) {
    assert(payload.size() <= MSB_MSG_IND_PACKET::payload_max);
    bytes::Writer out;
    write_head(out, MSB_MSG_IND_PACKET::wMessageId, 0);
    out.u32(dwPacketId);
    out.u16(wStreamId);
    out.u16(static_cast<std::uint16_t>(payload.size() + 8));
    out.raw(payload);
    return complete(out);
}

std::string_view name(const Message& message) {
    return std::visit([](const auto& which) { return std::decay_t<decltype(which)>::name; }, message);
}

std::uint32_t result(const Message& message) {
    return std::visit([](const auto& which) { return which.hr; }, message);
}

std::vector<Field> telling_fields(const Message& message) {
    std::vector<Field> out;
    const auto number = [&out](std::string_view field, std::uint64_t value) { out.emplace_back(field, value); };
    const auto stream = [&](const StreamInfo& info) {
        number("wStreamId", info.wStreamId);
        number("cbPacketSize", info.cbPacketSize);
        number("cTotalPackets", info.cTotalPackets);
        number("dwBitRate", info.dwBitRate);
        number("msDuration", info.msDuration);
        number("cbHeader", info.header.size());
    };
    if (const auto* connect = std::get_if<MSB_MSG_REQ_CONNECT>(&message)) {
        number("dwFlags", connect->dwFlags);
        out.emplace_back("szChannel", bytes::to_utf8(std::u16string_view{connect->szChannel}.substr(0, 256)));
    } else if (const auto* connected = std::get_if<MSB_MSG_RES_CONNECT>(&message)) {
        number("dwFlags", connected->dwFlags);
        number("sin_family", connected->sin_family);
        number("sin_port", connected->sin_port);
        number("sin_addr", connected->sin_addr);
    } else if (const auto* res = std::get_if<MSB_MSG_RES_STREAMINFO>(&message)) {
        stream(res->stream);
    } else if (const auto* ind = std::get_if<MSB_MSG_IND_STREAMINFO>(&message)) {
        stream(ind->stream);
    } else if (const auto* packet = std::get_if<MSB_MSG_IND_PACKET>(&message)) {
        number("dwPacketId", packet->dwPacketId);
        number("wStreamId", packet->wStreamId);
        number("wPacketSize", packet->bPayload.size() + 8);
    } else if (const auto* unknown = std::get_if<UnknownMessage>(&message)) {
        number("wMessageId", unknown->wMessageId);
    }
    return out;
}

std::optional<std::string> problem(const StreamInfo& stream) {
    if ((stream.wStreamId & 0x7FFF) > 0x7FF) return "wStreamId is outside 0 to 7FF and 8000 to 87FF";
    if (stream.cbPacketSize > MSB_MSG_IND_PACKET::payload_max) return "cbPacketSize is above 65511";
    const auto binary = stream.title.size() + stream.description.size() + stream.link.size() + stream.header.size();
    if (binary > StreamInfo::binary_size_max) {
        return "title, description, link and header have " + std::to_string(binary) + " octets; 65487 fit";
    }
    return std::nullopt;
}

MessageSplitter::Result MessageSplitter::feed(bytes::Bytes received) {
    Result result;
    while (!failed_) {
        // First as much as the header needs, then as much as the message needs: never more than one message is kept.
        const auto need = [this] {
            if (buffer_.size() < MSBMSGBASE::size) return MSBMSGBASE::size;
            return static_cast<std::size_t>(MSBMSGBASE::parse(buffer_)->cbMessage);
        };
        if (buffer_.size() < MSBMSGBASE::size && !received.empty()) {
            const auto step = std::min(MSBMSGBASE::size - buffer_.size(), received.size());
            buffer_.insert(buffer_.end(), received.begin(), received.begin() + static_cast<std::ptrdiff_t>(step));
            received = received.subspan(step);
            bytes::Reader head{buffer_};
            read_head(head);
            if (head.failed() && !is_missing(*head.error(), buffer_.size())) {
                result.error = head.error();
                failed_ = true;
                break;
            }
        }
        if (buffer_.size() < MSBMSGBASE::size) break;
        const auto step = std::min(need() - buffer_.size(), received.size());
        buffer_.insert(buffer_.end(), received.begin(), received.begin() + static_cast<std::ptrdiff_t>(step));
        received = received.subspan(step);
        if (buffer_.size() < need()) break;
        result.messages.push_back(std::move(buffer_));
        buffer_.clear();
    }
    return result;
}

std::vector<std::byte> head_of(bytes::Bytes message) {
    const auto head = message.first(std::min(message.size(), MSBMSGBASE::size));
    return {head.begin(), head.end()};
}

bool other_version(bytes::Bytes message) {
    const auto base = MSBMSGBASE::parse(message);
    return base.has_value() && base->wVersion != MSBMSGBASE::version;
}

}  // namespace wmlab::msbd
