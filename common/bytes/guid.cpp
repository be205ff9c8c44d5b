#include "common/bytes/guid.hpp"

#include <cstdint>
#include <utility>

namespace wmlab::bytes {
namespace {

// The wire order of an octet index of the text form.
constexpr std::array<std::size_t, 16> wire_index = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Guid Guid::from_wire(std::span<const std::byte, 16> wire) {
    Guid guid;
    for (std::size_t i = 0; i < 16; ++i) guid.octets[i] = wire[wire_index[i]];
    return guid;
}

std::array<std::byte, 16> Guid::to_wire() const {
    std::array<std::byte, 16> wire{};
    for (std::size_t i = 0; i < 16; ++i) wire[wire_index[i]] = octets[i];
    return wire;
}

std::optional<Guid> Guid::from_text(std::string_view text) {
    if (text.size() == 38 && text.front() == '{' && text.back() == '}') text = text.substr(1, 36);
    if (text.size() != 36) return std::nullopt;
    Guid guid;
    std::size_t octet = 0;
    for (std::size_t i = 0; i < text.size();) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') return std::nullopt;
            continue;
        }
        const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        guid.octets[octet++] = static_cast<std::byte>(high * 16 + low);
        i += 2;
    }
    return guid;
}

std::string Guid::text() const {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (std::size_t i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) text.push_back('-');
        const auto octet = std::to_integer<unsigned>(octets[i]);
        text.push_back(digits[octet >> 4]);
        text.push_back(digits[octet & 15]);
    }
    return text;
}

Guid Guid::named(std::string_view name) {
    // FNV-1a over the name with two different starts: unique enough for the handful of names of a scenario.
    Guid guid;
    std::array<std::uint64_t, 2> hash = {0xcbf29ce484222325, 0x84222325cbf29ce4};
    for (const char c : name)
        for (auto& h : hash) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash[1] ^= hash[0] >> 29;
    for (std::size_t i = 0; i < 16; ++i) guid.octets[i] = static_cast<std::byte>(hash[i / 8] >> (8 * (i % 8)) & 0xFF);
    guid.octets[6] = (guid.octets[6] & std::byte{0x0F}) | std::byte{0x80};
    guid.octets[8] = (guid.octets[8] & std::byte{0x3F}) | std::byte{0x80};
    return guid;
}

}  // namespace wmlab::bytes
