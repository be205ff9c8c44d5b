#include "common/mms/framing.hpp"

#include <algorithm>
#include <cassert>
#include <string>

namespace wmlab::mms {

bytes::Parsed<TcpMessageHeader> TcpMessageHeader::parse(bytes::Bytes packet) {
    bytes::Reader in{packet};
    TcpMessageHeader header;
    header.rep = in.u8("rep");
    header.version = in.u8("version");
    header.versionMinor = in.u8("versionMinor");
    header.padding = in.u8("padding");
    header.sessionId = in.u32("sessionId");
    in.check(header.sessionId == sessionId_value, "is not 0xB00BFACE");
    header.messageLength = in.u32("messageLength");
    in.check(header.messageLength >= 24, "is below 24, the least with a message");
    in.check(header.messageLength % 8 == 0, "is not a multiple of 8");
    header.seal = in.u32("seal");
    in.check(header.seal == seal_value, "is not \"MMS \"");
    header.chunkCount = in.u32("chunkCount");
    header.seq = in.u16("seq");
    header.MBZ = in.u16("MBZ");
    header.timeSent = in.u64("timeSent");
    return in.finish(header);
}

void TcpMessageHeader::write(bytes::Writer& out) const {
    out.u8(rep), out.u8(version), out.u8(versionMinor), out.u8(padding);
    out.u32(sessionId);
    out.u32(messageLength);
    out.u32(seal);
    out.u32(chunkCount);
    out.u16(seq);
    out.u16(MBZ);
    out.u64(timeSent);
}

std::vector<std::byte> Framer::frame(bytes::Bytes messages, std::uint64_t timeSent) {
    assert(messages.size() % 8 == 0);
    TcpMessageHeader header;
    header.messageLength = static_cast<std::uint32_t>(messages.size() + 16);
    header.chunkCount = header.messageLength / 8;
    header.seq = seq_++;
    header.timeSent = timeSent;
    bytes::Writer out;
    header.write(out);
    out.raw(messages);
    return out.take();
}

std::vector<std::byte> MessagePacket::serialise() const {
    bytes::Writer out;
    header.write(out);
    for (const auto& message : messages) out.raw(message);
    return out.take();
}

namespace {

bytes::Parsed<std::vector<std::vector<std::byte>>> split_messages(bytes::Bytes packet) {
    bytes::Reader in{packet};
    in.seek(TcpMessageHeader::size, "MMS message");
    std::vector<std::vector<std::byte>> messages;
    while (in.left() > 0) {
        const auto start = in.offset();
        const std::size_t chunkLen = in.u32("chunkLen");
        in.check(chunkLen >= 1, "is zero");
        in.check(chunkLen * 8 <= packet.size() - start, "goes on beyond the packet's end");
        if (in.failed()) break;
        const auto message = packet.subspan(start, chunkLen * 8);
        messages.emplace_back(message.begin(), message.end());
        in.seek(start + chunkLen * 8, "chunkLen");
    }
    return in.finish(std::move(messages));
}

bytes::ParseError too_large(std::size_t offset, std::string field, std::size_t size, std::size_t size_max) {
    return {offset, std::move(field),
            "makes a packet of " + std::to_string(size) + " bytes; the limit is " + std::to_string(size_max)};
}

}  // namespace

// Nothing: more bytes are needed.
bytes::Parsed<std::optional<StreamItem>> StreamSplitter::next(bytes::Bytes left, std::size_t& used) const {
    using boost::system::in_place_error;
    using Next = bytes::Parsed<std::optional<StreamItem>>;
    used = 0;
    if (left.size() < Data::header_size) return std::optional<StreamItem>{};
    bytes::Reader peek{left};
    peek.skip(4, "rep");
    const bool is_message = peek.u32("sessionId") == TcpMessageHeader::sessionId_value;
    if (!is_message && direction_ == StreamDirection::to_player) {
        bytes::Reader in{left};
        in.skip(6, "LocationId");
        const std::size_t size = in.u16("PacketSize");
        in.check(size >= Data::header_size, "is below 8");
        if (in.failed()) return Next{in_place_error, *in.error()};
        if (size > packet_size_max_) return Next{in_place_error, too_large(6, "PacketSize", size, packet_size_max_)};
        if (left.size() < size) return std::optional<StreamItem>{};
        auto data = Data::parse(left.first(size));
        if (data.has_error()) return Next{in_place_error, data.error()};
        used = size;
        return std::optional<StreamItem>{std::move(*data)};
    }
    if (is_message && left.size() < TcpMessageHeader::size) return std::optional<StreamItem>{};
    auto header = TcpMessageHeader::parse(left);
    if (header.has_error()) return Next{in_place_error, header.error()};
    const auto size = std::size_t{header->messageLength} + 16;
    if (size > packet_size_max_) return Next{in_place_error, too_large(8, "messageLength", size, packet_size_max_)};
    if (left.size() < size) return std::optional<StreamItem>{};
    auto messages = split_messages(left.first(size));
    if (messages.has_error()) return Next{in_place_error, messages.error()};
    used = size;
    return std::optional<StreamItem>{MessagePacket{*header, std::move(*messages)}};
}

StreamSplitter::Result StreamSplitter::feed(bytes::Bytes received) {
    Result result;
    // Whole packets are cut from what was received; only an unfinished one is copied into the buffer. Bytes are moved
    // there in steps of at most one packet, so that a peer that sends much at once does not make the buffer grow.
    while (!failed_ && (!received.empty() || !buffer_.empty())) {
        const bool buffering = !buffer_.empty();
        if (buffering) {
            const auto step = std::min(received.size(), packet_size_max_ + TcpMessageHeader::size);
            buffer_.insert(buffer_.end(), received.begin(), received.begin() + static_cast<std::ptrdiff_t>(step));
            const auto before = buffer_.size() - step;
            std::size_t used = 0;
            auto item = next(buffer_, used);
            if (item.has_error()) {
                result.error = item.error();
                failed_ = true;
                break;
            }
            if (!*item) {
                if (step == 0) break;
                received = received.subspan(step);
                if (received.empty()) break;
                continue;
            }
            result.items.push_back(std::move(**item));
            assert(used > before);  // before these bytes came the packet was unfinished
            received = received.subspan(used - before);
            buffer_.clear();
            continue;
        }
        std::size_t used = 0;
        auto item = next(received, used);
        if (item.has_error()) {
            result.error = item.error();
            buffer_.assign(received.begin(),
                           received.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(received.size(), 64)));
            failed_ = true;
            break;
        }
        if (!*item) {
            buffer_.assign(received.begin(), received.end());
            break;
        }
        result.items.push_back(std::move(**item));
        received = received.subspan(used);
    }
    return result;
}

}  // namespace wmlab::mms
