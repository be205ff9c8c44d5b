#include "common/bytes/writer.hpp"

#include <bit>
#include <cassert>

namespace wmlab::bytes {

void Writer::f64(double value) { u64(std::bit_cast<std::uint64_t>(value)); }

void Writer::guid(const Guid& value) {
    const auto wire = value.to_wire();
    raw(wire);
}

void Writer::raw(std::string_view text) { raw(std::as_bytes(std::span{text})); }

void Writer::utf16(std::u16string_view text) {
    for (const auto unit : text) u16(unit);
}

void Writer::align(std::size_t multiple) {
    if (const auto over = out_.size() % multiple; over != 0) zeros(multiple - over);
}

void Writer::patch_u16(std::size_t offset, std::uint16_t value) { patch(offset, value, 2); }
void Writer::patch_u32(std::size_t offset, std::uint32_t value) { patch(offset, value, 4); }
void Writer::patch_u64(std::size_t offset, std::uint64_t value) { patch(offset, value, 8); }

void Writer::patch(std::size_t offset, std::uint64_t value, std::size_t size) {
    assert(offset + size <= out_.size());
    for (std::size_t i = 0; i < size; ++i) out_[offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xFF);
}

}  // namespace wmlab::bytes
