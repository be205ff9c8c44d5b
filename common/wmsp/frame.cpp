#include "common/wmsp/frame.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "common/asf/header.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::wmsp {
namespace {

bool has_reason(PacketID id) {
    return id == PacketID::EndOfStream || id == PacketID::StreamChange || id == PacketID::PacketPair;
}

constexpr std::uint8_t framed = 0x24;  // '$'
constexpr std::uint8_t bit_b = 0x80;
constexpr std::uint8_t first_part = 0x04, last_part = 0x08;

std::uint16_t u16_at(const std::vector<std::byte>& bytes, std::size_t at) {
    return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) | std::to_integer<unsigned>(bytes[at + 1])
                                                                                 << 8);
}

}  // namespace

std::string Frame::name() const {
    const auto letter = static_cast<char>(packet_id);
    return std::isprint(static_cast<unsigned char>(letter)) ? std::string{'$', letter}
                                                            : "$" + std::to_string(static_cast<unsigned>(packet_id));
}

bytes::Parsed<Frame> Frame::parse(Bytes bytes) {
    bytes::Reader in{bytes};
    Frame frame;
    const auto start = in.u8("Frame");
    in.check((start & ~bit_b) == framed, "is neither 24 nor A4: the stream lost its framing");
    frame.B = (start & bit_b) != 0;
    frame.packet_id = static_cast<PacketID>(in.u8("PacketID"));
    frame.PacketLength = in.u16("PacketLength");
    if (frame.packet_id != PacketID::PacketPair)
        in.check(in.failed() || in.left() == frame.PacketLength, "is not the length of what follows");
    if (has_reason(frame.packet_id)) frame.Reason = in.u32("Reason");
    if (frame.carries_mms_packet()) {
        frame.LocationId = in.u32("LocationId");
        frame.Incarnation = in.u8("Incarnation");
        frame.AFFlags = in.u8("AFFlags");
        frame.PacketSize = in.u16("PacketSize");
        in.check(frame.PacketSize == frame.PacketLength, "differs from PacketLength");
    }
    const auto rest = in.rest();
    frame.payload.assign(rest.begin(), rest.end());
    return in.finish(std::move(frame));
}

std::vector<std::byte> Frame::serialise() const {
    bytes::Writer out;
    const auto length = static_cast<std::uint16_t>(payload.size() + (Reason ? 4 : 0) +
                                                   (carries_mms_packet() ? mms_packet_header_size : 0));
    out.u8(static_cast<std::uint8_t>(framed | (B ? bit_b : 0)));
    out.u8(static_cast<std::uint8_t>(packet_id));
    out.u16(packet_id == PacketID::PacketPair ? PacketLength : length);
    if (Reason) out.u32(*Reason);
    if (carries_mms_packet()) out.u32(LocationId), out.u8(Incarnation), out.u8(AFFlags), out.u16(length);
    out.raw(payload);
    return out.take();
}

std::vector<Frame> header_frames(Bytes asf_header) {
    std::vector<Frame> frames;
    do {
        const auto part = asf_header.first(std::min(asf_header.size(), frame_payload_max));
        asf_header = asf_header.subspan(part.size());
        Frame frame;
        frame.packet_id = PacketID::Header;
        frame.LocationId = static_cast<std::uint32_t>(frames.size());
        if (frames.empty()) frame.AFFlags |= first_part;
        if (asf_header.empty()) frame.AFFlags |= last_part;
        frame.payload.assign(part.begin(), part.end());
        frames.push_back(std::move(frame));
    } while (!asf_header.empty());
    return frames;
}

std::vector<std::byte> data_frame(std::uint32_t location_id, Bytes packet) {
    const auto length = static_cast<std::uint16_t>(packet.size() + mms_packet_header_size);
    bytes::Writer out;
    out.u8(framed), out.u8(static_cast<std::uint8_t>(PacketID::Data)), out.u16(length);
    out.u32(location_id), out.u8(0), out.u8(static_cast<std::uint8_t>(location_id & 0xFF)), out.u16(length);
    out.raw(packet);
    return out.take();
}

std::vector<std::byte> end_frame(std::uint32_t reason) {
    Frame frame;
    frame.packet_id = PacketID::EndOfStream;
    frame.Reason = reason;
    return frame.serialise();
}

std::vector<std::byte> stream_change_frame(std::uint32_t reason) {
    Frame frame;
    frame.packet_id = PacketID::StreamChange;
    frame.Reason = reason;
    return frame.serialise();
}

void FrameReader::put(Bytes bytes) {
    if (problem_) return;
    if (used_ != 0) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_));
        before_ += used_;
        used_ = 0;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<Frame> FrameReader::next() {
    if (problem_) return std::nullopt;
    const auto left = buffer_.size() - used_;
    if (left == 0) return std::nullopt;
    const auto fail = [&](bytes::ParseError error) {
        error.offset += before_ + used_;
        problem_ = std::move(error);
        buffer_.clear();
        used_ = 0;
        return std::nullopt;
    };
    const auto start = std::to_integer<unsigned>(buffer_[used_]);
    if ((start & ~unsigned{bit_b}) != framed)
        return fail({0, "Frame", "is neither 24 nor A4: the stream lost its framing"});
    if (left < framing_header_size) return std::nullopt;
    const auto id = static_cast<PacketID>(buffer_[used_ + 1]);
    std::size_t size = framing_header_size + u16_at(buffer_, used_ + 2);
    if (id == PacketID::PacketPair && packet_pairs_ < 3) {
        // Three packets of 504, 504 and 1048 announced bytes; what really follows depends on the HTTP head's size.
        if (left < framing_header_size + 4) return std::nullopt;
        constexpr std::array<std::size_t, 3> announced = {504, 504, 1048};
        const std::size_t head = std::min(504U, unsigned{u16_at(buffer_, used_ + 4)});
        const std::array<std::size_t, 3> follows = {504 - head, 504, 1048 + head};
        if (size - framing_header_size == announced[packet_pairs_])
            size = framing_header_size + 4 + follows[packet_pairs_];
    }
    if (left < size) return std::nullopt;
    auto frame = Frame::parse(Bytes{buffer_}.subspan(used_, size));
    if (frame.has_error()) return fail(frame.error());
    if (id == PacketID::PacketPair) ++packet_pairs_;
    used_ += size;
    return std::move(frame.value());
}

std::optional<bytes::ParseError> HeaderAssembler::add(const Frame& frame) {
    // LocationId counts the parts. AFFlags would say the same but is 0 from some servers.
    if (frame.LocationId == 0 || complete_) clear();
    if (header_.size() + frame.payload.size() > size_max_)
        return bytes::ParseError{0, "$H", "an ASF header of more than " + std::to_string(size_max_) + " bytes"};
    header_.insert(header_.end(), frame.payload.begin(), frame.payload.end());
    const auto needed = asf::header_bytes_needed(header_);
    if (needed.has_error()) return needed.error();
    complete_ = header_.size() >= needed.value();
    return std::nullopt;
}

}  // namespace wmlab::wmsp
