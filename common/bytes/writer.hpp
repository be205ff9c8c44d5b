// Appends fields to a message under construction. Little-endian unless the name says be.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/bytes/guid.hpp"

namespace wmlab::bytes {

class Writer {
public:
    void u8(std::uint8_t value) { number(value, false); }
    void u16(std::uint16_t value) { number(value, false); }
    void u32(std::uint32_t value) { number(value, false); }
    void u64(std::uint64_t value) { number(value, false); }
    void u16be(std::uint16_t value) { number(value, true); }
    void u32be(std::uint32_t value) { number(value, true); }
    void f64(double value);
    void guid(const Guid& value);
    void raw(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
    void raw(std::string_view text);  // one byte a character, no terminator
    void zeros(std::size_t count) { out_.resize(out_.size() + count); }
    void utf16(std::u16string_view text);  // no terminator
    void utf16z(std::u16string_view text) { utf16(text), u16(0); }
    void align(std::size_t multiple);  // zero bytes up to a multiple, counted from the start

    void patch_u16(std::size_t offset, std::uint16_t value);  // overwrite earlier bytes, for lengths known late
    void patch_u32(std::size_t offset, std::uint32_t value);
    void patch_u64(std::size_t offset, std::uint64_t value);

    std::size_t size() const { return out_.size(); }
    const std::vector<std::byte>& bytes() const { return out_; }
    std::vector<std::byte> take() { return std::move(out_); }

private:
    template <std::unsigned_integral Number>
    void number(Number value, bool big_endian) {
        for (std::size_t i = 0; i < sizeof(Number); ++i) {
            const auto shift = 8 * (big_endian ? sizeof(Number) - 1 - i : i);
            out_.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(value) >> shift & 0xFF));
        }
    }
    void patch(std::size_t offset, std::uint64_t value, std::size_t size);

    std::vector<std::byte> out_;
};

}  // namespace wmlab::bytes
