#include "common/rpc/ndr.hpp"

#include <algorithm>
#include <array>

namespace wmlab::rpc {

void NdrReader::align(std::size_t multiple) {
    const auto over = in_.offset() % multiple;
    if (over != 0 && !in_.failed()) in_.skip(std::min(multiple - over, in_.left()), "alignment");
}

std::uint16_t NdrReader::u16(std::string_view field) {
    align(2);
    return order_ == ByteOrder::little ? in_.u16(field) : in_.u16be(field);
}

std::uint32_t NdrReader::u32(std::string_view field) {
    align(4);
    return order_ == ByteOrder::little ? in_.u32(field) : in_.u32be(field);
}

std::uint64_t NdrReader::u64(std::string_view field) {
    align(8);
    if (order_ == ByteOrder::little) return in_.u64(field);
    const std::uint64_t high = in_.u32be(field);
    return high << 32 | in_.u32be(field);
}

Guid NdrReader::guid(std::string_view field) {
    align(4);
    if (order_ == ByteOrder::little) return in_.guid(field);
    Guid value;  // big-endian fields are in the text form's order
    const auto octets = in_.raw(16, field);
    std::copy(octets.begin(), octets.end(), value.octets.begin());
    return value;
}

SyntaxId NdrReader::syntax(std::string_view field) {
    SyntaxId value;
    value.uuid = guid(field);
    const auto version = u32(field);
    value.major = static_cast<std::uint16_t>(version & 0xFFFF);
    value.minor = static_cast<std::uint16_t>(version >> 16);
    return value;
}

std::size_t NdrReader::conformance(std::size_t element_size, std::string_view field) {
    const std::size_t count = u32(field);
    in_.check(count <= in_.left() / element_size, "claims more elements than the message holds");
    return in_.failed() ? 0 : count;
}

std::u16string NdrReader::wide_string(std::string_view field) {
    u32(field);  // max_count bounds only the receiver's memory
    check(u32(field) == 0, "is a string that does not start at its beginning");
    const auto characters = conformance(2, field);
    std::u16string text;
    for (std::size_t i = 0; i < characters; ++i) text.push_back(static_cast<char16_t>(u16(field)));
    check(!text.empty() && text.back() == 0, "is a string without its null character");
    if (failed()) return {};
    text.resize(std::min(text.find(u'\0'), text.size()));
    return text;
}

Guid NdrReader::context_handle(std::string_view field) {
    u32(field);
    return guid(field);
}

void NdrWriter::u16(std::uint16_t value) {
    align(2);
    order_ == ByteOrder::little ? out_.u16(value) : out_.u16be(value);
}

void NdrWriter::u32(std::uint32_t value) {
    align(4);
    order_ == ByteOrder::little ? out_.u32(value) : out_.u32be(value);
}

void NdrWriter::u64(std::uint64_t value) {
    align(8);
    if (order_ == ByteOrder::little) return out_.u64(value);
    out_.u32be(static_cast<std::uint32_t>(value >> 32));
    out_.u32be(static_cast<std::uint32_t>(value & 0xFFFFFFFF));
}

void NdrWriter::guid(const Guid& value) {
    align(4);
    order_ == ByteOrder::little ? out_.guid(value) : out_.raw(value.octets);
}

void NdrWriter::syntax(const SyntaxId& value) {
    guid(value.uuid);
    u32(std::uint32_t{value.minor} << 16 | value.major);
}

void NdrWriter::referent() {
    u32(next_referent_);
    next_referent_ += 4;
}

void NdrWriter::wide_string(std::u16string_view text) {
    count(text.size() + 1);
    u32(0);
    count(text.size() + 1);
    for (const auto character : text) u16(character);
    u16(0);
}

void NdrWriter::context_handle(const Guid& uuid) {
    u32(0);
    guid(uuid);
}

void NdrWriter::patch_u16(std::size_t offset, std::uint16_t value) {
    const auto swapped = static_cast<std::uint16_t>(value >> 8 | value << 8);
    out_.patch_u16(offset, order_ == ByteOrder::little ? value : swapped);
}

}  // namespace wmlab::rpc
