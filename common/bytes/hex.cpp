#include "common/bytes/hex.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>

namespace wmlab::bytes {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

void append_hex(std::string& out, std::byte byte) {
    out.push_back(digits[std::to_integer<std::size_t>(byte >> 4)]);
    out.push_back(digits[std::to_integer<std::size_t>(byte & std::byte{15})]);
}

}  // namespace

std::string hex(std::span<const std::byte> bytes) {
    std::string out;
    for (const auto byte : bytes) append_hex(out, byte);
    return out;
}

std::optional<std::vector<std::byte>> from_hex(std::string_view text) {
    std::vector<std::byte> out;
    std::optional<std::size_t> high;
    for (const char c : text) {
        if (std::isspace(static_cast<unsigned char>(c))) continue;
        const auto value = digits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
        if (value == std::string_view::npos) return std::nullopt;
        if (high) {
            out.push_back(static_cast<std::byte>(*high * 16 + value));
            high.reset();
        } else {
            high = value;
        }
    }
    if (high) return std::nullopt;
    return out;
}

std::string hex_dump(std::span<const std::byte> bytes, std::size_t bytes_max) {
    std::string out;
    const auto shown = bytes.first(std::min(bytes.size(), bytes_max));
    for (std::size_t line = 0; line < shown.size(); line += 16) {
        const auto part = shown.subspan(line, std::min<std::size_t>(16, shown.size() - line));
        for (int shift = 12; shift >= 0; shift -= 4) out.push_back(digits[line >> shift & 15]);
        out += "  ";
        for (const auto byte : part) append_hex(out, byte), out.push_back(' ');
        out.append((16 - part.size()) * 3 + 1, ' ');
        for (const auto byte : part) {
            const auto c = std::to_integer<unsigned char>(byte);
            out.push_back(c >= 0x20 && c < 0x7F ? static_cast<char>(c) : '.');
        }
        out.push_back('\n');
    }
    if (shown.size() < bytes.size()) out += "... " + std::to_string(bytes.size() - shown.size()) + " more bytes\n";
    return out;
}

}  // namespace wmlab::bytes
