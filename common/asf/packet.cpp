#include "common/asf/packet.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace wmlab::asf {
namespace {

using bytes::ParseError;
using bytes::Reader;

// A field whose size is given by two bits elsewhere: absent, byte, WORD, DWORD.
std::uint32_t sized(Reader& in, unsigned type, std::string_view field) {
    switch (type & 3) {
        case 1:
            return in.u8(field);
        case 2:
            return in.u16(field);
        case 3:
            return in.u32(field);
        default:
            return 0;
    }
}

struct Head {
    std::uint8_t length_type_flags = 0, property_flags = 0;
    std::uint32_t packet_length = 0, padding_length = 0;
    std::size_t property_flags_offset = 0, packet_length_offset = 0, padding_length_offset = 0, send_time_offset = 0;
    milliseconds send_time{0}, duration{0};
    bool several() const { return (length_type_flags & 1) != 0; }
};

// Error correction data and payload parsing information.
Head parse_head(Reader& in) {
    Head head;
    auto flags = in.u8("Error Correction Flags");
    if ((flags & 0x80) != 0) {
        in.check((flags & 0x60) == 0, "has a reserved Error Correction Length Type");
        in.skip(flags & 0x0F, "Error Correction Data");
        flags = in.u8("Length Type Flags");
        in.check((flags & 0x80) == 0, "claims error correction data a second time");
    }
    head.length_type_flags = flags;
    head.property_flags_offset = in.offset();
    head.property_flags = in.u8("Property Flags");
    head.packet_length_offset = in.offset();
    head.packet_length = sized(in, flags >> 5, "Packet Length");
    sized(in, flags >> 1, "Sequence");
    head.padding_length_offset = in.offset();
    head.padding_length = sized(in, flags >> 3, "Padding Length");
    head.send_time_offset = in.offset();
    head.send_time = milliseconds{in.u32("Send Time")};
    head.duration = milliseconds{in.u16("Duration")};
    return head;
}

class PayloadParser {
public:
    PayloadParser(Reader& in, const Head& head, Bytes packet, PacketInfo& info)
        : in_{in}, head_{head}, packet_{packet}, info_{info} {}

    void parse_one(unsigned length_type, std::size_t end) {
        PayloadPlace place;
        place.begin = in_.offset();
        parse(place, length_type, end);
        place.end = in_.offset();
        if (!in_.failed()) info_.places.push_back(place);
    }

private:
    void parse(PayloadPlace& place, unsigned length_type, std::size_t end) {
        Payload payload;
        const auto stream = in_.u8("Stream Number");
        payload.stream = stream & 0x7F;
        payload.key_frame = (stream & 0x80) != 0;
        payload.object_number = sized(in_, head_.property_flags >> 4, "Media Object Number");
        const auto offset_at = in_.offset();
        const auto offset = sized(in_, head_.property_flags >> 2, "Offset Into Media Object");
        const auto replicated = sized(in_, head_.property_flags, "Replicated Data Length");
        place.stream = payload.stream;
        place.key_frame = payload.key_frame;
        place.object_number = payload.object_number;
        place.starts_object = replicated == 1 || offset == 0;
        if (replicated == 1) {
            payload.presentation_time = milliseconds{offset};
            if ((head_.property_flags >> 2 & 3) == 3) info_.presentation_time_offsets.push_back(offset_at);
            const milliseconds step{in_.u8("Presentation Time Delta")};
            split(payload, step, data(length_type, end));
            return;
        }
        payload.offset = offset;
        in_.check(replicated == 0 || replicated >= 8,
                  "is 2 to 7: neither absent, compressed nor long enough for its fields");
        if (replicated >= 8) {
            payload.object_size = in_.u32("Media Object Size");
            info_.presentation_time_offsets.push_back(in_.offset());
            payload.presentation_time = milliseconds{in_.u32("Presentation Time")};
            in_.skip(replicated - 8, "Replicated Data");
        }
        payload.data = data(length_type, end);
        in_.check(
            payload.object_size == 0 || std::uint64_t{payload.offset} + payload.data.size() <= payload.object_size,
            "goes past the end of its media object");
        if (!in_.failed()) info_.payloads.push_back(payload);
    }

    Bytes data(unsigned length_type, std::size_t end) {
        if (length_type != 0) {
            const auto length = sized(in_, length_type, "Payload Length");
            in_.check(in_.offset() + std::size_t{length} <= end, "goes past the end of the packet's payloads");
            return in_.raw(length, "Payload Data");
        }
        if (in_.failed()) return {};
        if (in_.offset() > end) {
            in_.raw(packet_.size() + 1, "Payload Data");  // the padding begins inside the payload's own head
            return {};
        }
        return in_.raw(end - in_.offset(), "Payload Data");
    }

    // Compressed payload data: media objects of at most 255 bytes, each with its length before it.
    void split(Payload payload, milliseconds step, Bytes data) {
        if (in_.failed()) return;
        const auto start = static_cast<std::size_t>(data.data() - packet_.data());
        Reader sub{packet_.first(start + data.size())};
        sub.seek(start, "Sub-Payload Data Length");
        while (sub.left() > 0) {
            payload.data = sub.raw(sub.u8("Sub-Payload Data Length"), "Sub-Payload Data");
            if (sub.failed()) {
                in_.check(false, "has a sub-payload that goes past its end");
                return;
            }
            payload.object_size = static_cast<std::uint32_t>(payload.data.size());
            info_.payloads.push_back(payload);
            *payload.presentation_time += step;
            ++payload.object_number;
        }
    }

    Reader& in_;
    const Head& head_;
    Bytes packet_;
    PacketInfo& info_;
};

}  // namespace

Parsed<milliseconds> send_time(Bytes packet) {
    Reader in{packet};
    const auto head = parse_head(in);
    return in.finish(milliseconds{head.send_time});
}

Parsed<PacketInfo> parse_packet(Bytes packet, std::size_t packet_size) {
    if (packet.size() > packet_size)
        return ParseError{packet_size, "Packet Length",
                          "the packet has " + std::to_string(packet.size()) + " bytes, more than the header's " +
                              std::to_string(packet_size)};
    Reader in{packet};
    PacketInfo info;
    const auto head = parse_head(in);
    info.send_time = head.send_time;
    info.duration = head.duration;
    info.send_time_offset = head.send_time_offset;
    if (in.failed()) return *in.error();

    // Packet Length may say that the packet is shorter than all others: what follows is padding too.
    const std::size_t length = head.packet_length == 0 ? packet_size : head.packet_length;
    if (length > packet_size)
        return ParseError{head.packet_length_offset, "Packet Length",
                          "is " + std::to_string(length) + ", more than the header's " + std::to_string(packet_size)};
    if (head.padding_length >= length)
        return ParseError{head.padding_length_offset, "Padding Length",
                          "is " + std::to_string(head.padding_length) + ", the whole packet or more"};
    const auto payload_end = std::min(length - head.padding_length, packet.size());
    info.padding = packet.size() - payload_end;

    PayloadParser parser{in, head, packet, info};
    if (!head.several()) {
        parser.parse_one(0, payload_end);
    } else {
        const auto payload_flags = in.u8("Payload Flags");
        const unsigned count = payload_flags & 0x3F, length_type = payload_flags >> 6;
        in.check(count != 0, "counts no payloads");
        in.check(length_type != 0, "gives several payloads no length");
        for (unsigned i = 0; i < count && !in.failed(); ++i) parser.parse_one(length_type, payload_end);
    }
    return in.finish(std::move(info));
}

bool starts_key_frame(const PacketInfo& packet, const Header& header) {
    return std::any_of(packet.payloads.begin(), packet.payloads.end(), [&](const Payload& payload) {
        const auto* stream = header.stream(payload.stream);
        return payload.key_frame && payload.offset == 0 && stream && stream->type == StreamType::video;
    });
}

std::vector<std::byte> with_payloads(Bytes packet, std::size_t packet_size, const PacketInfo& parsed,
                                     const std::vector<bool>& keep) {
    std::vector<std::byte> part;
    part.reserve(packet_size);
    const auto add = [&](std::size_t from, std::size_t to) {
        const auto bytes = packet.subspan(from, to - from);
        part.insert(part.end(), bytes.begin(), bytes.end());
    };
    Reader in{packet};
    const auto head = parse_head(in);
    const auto payload_flags_at = in.offset();
    const auto payload_flags = in.u8("Payload Flags");
    if (in.failed() || !head.several() || keep.size() != parsed.places.size())
        return padded(packet, packet_size);  // one payload is kept or not: there is nothing to take out
    // Padding Length becomes a WORD, which holds any padding; a payload that is taken out leaves more room than that.
    constexpr std::size_t padding_field = 2;
    add(0, head.padding_length_offset);
    part[head.property_flags_offset - 1] = (part[head.property_flags_offset - 1] & ~std::byte{0x18}) | std::byte{0x10};
    const auto padding_at = part.size();
    part.resize(part.size() + padding_field);
    add(head.send_time_offset, payload_flags_at);
    const auto kept = static_cast<unsigned>(std::count(keep.begin(), keep.end(), true));
    part.push_back(static_cast<std::byte>((payload_flags & 0xC0) | kept));
    for (std::size_t i = 0; i < keep.size(); ++i)
        if (keep[i]) add(parsed.places[i].begin, parsed.places[i].end);
    const std::size_t length = head.packet_length == 0 ? packet_size : head.packet_length;
    const auto padding = std::min<std::size_t>(length - std::min(length, part.size()), 0xFFFF);
    part[padding_at] = static_cast<std::byte>(padding & 0xFF);
    part[padding_at + 1] = static_cast<std::byte>(padding >> 8);
    part.resize(packet_size);
    return part;
}

void shift_times(std::span<std::byte> packet, std::size_t packet_size, milliseconds shift) {
    const auto parsed = parse_packet(packet, packet_size);
    if (parsed.has_error()) return;
    const auto add = [&](std::size_t at) {
        std::uint32_t value = 0;
        for (std::size_t i = 4; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(packet[at + i]);
        value += static_cast<std::uint32_t>(shift.count());  // wraps after 49 days, as the field does
        for (std::size_t i = 0; i < 4; ++i) packet[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
    };
    add(parsed->send_time_offset);
    for (const auto at : parsed->presentation_time_offsets) add(at);
}

std::vector<std::byte> padded(Bytes packet, std::size_t packet_size) {
    std::vector<std::byte> whole{packet.begin(), packet.end()};
    Reader in{packet};
    const auto head = parse_head(in);
    if (!in.failed() && packet.size() < packet_size && head.packet_length == 0) {
        const auto cut = packet_size - packet.size();
        const unsigned type = head.length_type_flags >> 3 & 3;
        const std::size_t field_size = type == 3 ? 4 : type;
        if (field_size != 0 && head.padding_length < cut) {
            const auto value = field_size == 1 ? std::min<std::size_t>(cut, 0xFF) : cut;
            for (std::size_t i = 0; i < field_size; ++i)
                whole[head.padding_length_offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
        } else if (field_size == 0 && !head.several()) {
            // There is no field: one is put in, which takes a byte or two of what was cut. Several payloads have
            // lengths of their own and need none.
            const std::size_t added = cut == 1 ? 1 : 2;
            const auto value = cut - added;
            whole[head.property_flags_offset - 1] |= added == 1 ? std::byte{0x08} : std::byte{0x10};
            const std::array field = {static_cast<std::byte>(value & 0xFF), static_cast<std::byte>(value >> 8 & 0xFF)};
            const auto at = whole.begin() + static_cast<std::ptrdiff_t>(head.padding_length_offset);
            whole.insert(at, field.begin(), field.begin() + static_cast<std::ptrdiff_t>(added));
        }
    }
    whole.resize(std::max(packet_size, packet.size()));
    return whole;
}

Pacing::Pacing(const Header& header) {
    const std::uint64_t bits = std::uint64_t{header.packet_size} * 8 * 1000;
    const auto rate = std::max<std::uint64_t>(header.maximum_bit_rate, 1000);
    mean_interval_ = milliseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(bits / rate, 1000))};
}

milliseconds Pacing::next(Bytes packet) {
    constexpr milliseconds backward_max{1000}, forward_max{60'000};
    const auto parsed = send_time(packet);
    if (parsed.has_error()) {
        if (!first_) last_ += mean_interval_, last_raw_ += mean_interval_;
        return last_;
    }
    const auto raw = *parsed;
    const auto step = raw - last_raw_;
    if (first_ || step > forward_max || step < -backward_max) {
        last_raw_ = raw;  // a new time line: this packet at once, the next ones by their distance to it
    } else if (step > milliseconds{0}) {
        last_ += step;
        last_raw_ = raw;
    }  // a little backward: at once, and the time line stays
    first_ = false;
    return last_;
}

}  // namespace wmlab::asf
