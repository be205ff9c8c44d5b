#include "common/bytes/reader.hpp"

#include <bit>
#include <stdexcept>

namespace wmlab::bytes {

std::string ParseError::text() const { return field + " at offset " + std::to_string(offset) + ": " + problem; }

void throw_exception_from_error(const ParseError& error, const boost::source_location&) {
    throw std::runtime_error(error.text());
}

Bytes Reader::raw(std::size_t size, std::string_view field) {
    if (error_) return {};
    field_ = field;
    field_offset_ = offset_;
    if (size > message_.size() - offset_) {
        fail(offset_, field,
             std::to_string(size) + " bytes needed, " + std::to_string(message_.size() - offset_) + " left");
        return {};
    }
    const auto bytes = message_.subspan(offset_, size);
    offset_ += size;
    return bytes;
}

double Reader::f64(std::string_view field) { return std::bit_cast<double>(u64(field)); }

Guid Reader::guid(std::string_view field) {
    const auto bytes = raw(16, field);
    return bytes.empty() ? Guid{} : Guid::from_wire(bytes.first<16>());
}

std::u16string Reader::utf16z(std::string_view field) {
    std::u16string text;
    if (error_) return text;
    field_ = field;
    field_offset_ = offset_;
    while (message_.size() - offset_ >= 2) {
        const auto unit = static_cast<char16_t>(std::to_integer<unsigned>(message_[offset_]) |
                                                std::to_integer<unsigned>(message_[offset_ + 1]) << 8);
        offset_ += 2;
        if (unit == 0) break;
        text.push_back(unit);
    }
    return text;
}

std::u16string Reader::utf16(std::size_t characters, std::string_view field) {
    std::u16string text;
    if (characters > message_.size()) {  // also keeps the product below from wrapping
        if (!error_)
            fail(offset_, field,
                 std::to_string(characters) + " characters needed, " + std::to_string(left()) + " bytes left");
        return text;
    }
    const auto bytes = raw(characters * 2, field);
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        text.push_back(
            static_cast<char16_t>(std::to_integer<unsigned>(bytes[i]) | std::to_integer<unsigned>(bytes[i + 1]) << 8));
    }
    return text;
}

void Reader::seek(std::size_t offset, std::string_view field) {
    if (error_) return;
    field_ = field;
    field_offset_ = offset_;
    if (offset > message_.size()) {
        fail(offset_, field,
             "points to offset " + std::to_string(offset) + ", the message has " + std::to_string(message_.size()) +
                 " bytes");
        return;
    }
    offset_ = offset;
}

void Reader::check(bool holds, std::string_view problem) {
    if (!holds && !error_) fail(field_offset_, field_, std::string{problem});
}

void Reader::fail(std::size_t offset, std::string_view field, std::string problem) {
    error_ = ParseError{offset, std::string{field}, std::move(problem)};
    offset_ = message_.size();
}

}  // namespace wmlab::bytes
