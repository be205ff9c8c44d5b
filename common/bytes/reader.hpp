// Reads fields from bytes already received. After the first problem every field reads as zero, so that a parse function
// reads like the specification's table and asks once, at the end, with finish().
#pragma once
#include <boost/system/result.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "common/bytes/guid.hpp"

namespace wmlab::bytes {

using Bytes = std::span<const std::byte>;

struct ParseError {
    std::size_t offset = 0;    // of the field, from the start of the message
    std::string field;         // spelled as in the specification
    std::string problem;       // "4 bytes needed, 2 left"
    std::string text() const;  // "cbtoken at offset 20: 4 bytes needed, 2 left"
    bool operator==(const ParseError&) const = default;
};
[[noreturn]] void throw_exception_from_error(const ParseError& error, const boost::source_location&);

template <class Message>
using Parsed = boost::system::result<Message, ParseError>;

class Reader {
public:
    explicit Reader(Bytes message) : message_{message} {}

    std::uint8_t u8(std::string_view field) { return number<std::uint8_t>(field, false); }
    std::uint16_t u16(std::string_view field) { return number<std::uint16_t>(field, false); }
    std::uint32_t u32(std::string_view field) { return number<std::uint32_t>(field, false); }
    std::uint64_t u64(std::string_view field) { return number<std::uint64_t>(field, false); }
    std::uint16_t u16be(std::string_view field) { return number<std::uint16_t>(field, true); }
    std::uint32_t u32be(std::string_view field) { return number<std::uint32_t>(field, true); }
    double f64(std::string_view field);
    Guid guid(std::string_view field);
    Bytes raw(std::size_t size, std::string_view field);
    Bytes rest() const { return error_ ? Bytes{} : message_.subspan(offset_); }
    void skip(std::size_t size, std::string_view field) { raw(size, field); }
    std::u16string utf16z(std::string_view field);  // ends at a null character or with the message
    std::u16string utf16(std::size_t characters, std::string_view field);  // exactly so many, nulls kept

    void seek(std::size_t offset, std::string_view field);
    void check(bool holds, std::string_view problem);  // about the field just read
    std::size_t offset() const { return offset_; }
    std::size_t left() const { return error_ ? 0 : message_.size() - offset_; }
    bool failed() const { return error_.has_value(); }
    const std::optional<ParseError>& error() const { return error_; }

    template <class Message>
    Parsed<Message> finish(Message message) const {
        if (error_) return Parsed<Message>{boost::system::in_place_error, *error_};
        return Parsed<Message>{boost::system::in_place_value, std::move(message)};
    }

private:
    template <std::unsigned_integral Number>
    Number number(std::string_view field, bool big_endian) {
        const auto bytes = raw(sizeof(Number), field);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const auto at = big_endian ? i : bytes.size() - 1 - i;
            value = value << 8 | std::to_integer<std::uint64_t>(bytes[at]);
        }
        return static_cast<Number>(value);
    }
    void fail(std::size_t offset, std::string_view field, std::string problem);

    Bytes message_;
    std::size_t offset_ = 0, field_offset_ = 0;
    std::string field_;
    std::optional<ParseError> error_;
};

}  // namespace wmlab::bytes
