#include "common/msb/encoded_block.hpp"

#include <algorithm>
#include <optional>

#include "common/bytes/hex.hpp"
#include "common/bytes/writer.hpp"

namespace wmlab::msb {
namespace {

using bytes::ParseError;

constexpr std::string_view alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz{}";
constexpr std::size_t head_size = 9;  // CRC, Key, Length

std::byte exclusive_or(bytes::Bytes message) {
    std::byte crc{};
    for (const auto byte : message) crc ^= byte;
    return crc;
}

bytes::Parsed<std::vector<std::byte>> from_groups(std::string_view text) {
    std::vector<std::byte> out;
    unsigned bits = 0, count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto value = alphabet.find(text[i]);
        if (value == std::string_view::npos)
            return ParseError{i + 2, "encoded-block", "has a character outside 0-9, A-Z, a-z, { and }"};
        bits = (bits << 6 | static_cast<unsigned>(value)) & 0xFFFF;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out.push_back(static_cast<std::byte>(bits >> count & 0xFF));
    }
    return out;
}

}  // namespace

bool looks_encoded(std::string_view value) {
    return (value.starts_with("02") || value.starts_with("01")) && value.size() >= 14 &&
           value.find_first_not_of(alphabet) == std::string_view::npos;
}

bytes::Parsed<EncodedBlock> EncodedBlock::decode(std::string_view text) {
    if (!text.starts_with("02") && !text.starts_with("01"))
        return ParseError{0, "encoded-block", "does not start with 02"};
    // Also keeps the work bounded before a byte is decoded.
    if (text.size() > 2 * (encoded_length_max + head_size) + 2)
        return ParseError{0, "encoded-block", "is longer than a block of 1 MiB can be"};
    auto decoded = bytes::Parsed<std::vector<std::byte>>{std::vector<std::byte>{}};
    if (text.starts_with("02")) {
        decoded = from_groups(text.substr(2));
        if (decoded.has_error()) return decoded.error();
    } else {
        auto from_hex = bytes::from_hex(text.substr(2));
        if (!from_hex) return ParseError{2, "encoded-block", "of type 01 is not made of hex digits"};
        decoded = *std::move(from_hex);
    }
    bytes::Reader in{*decoded};
    EncodedBlock block;
    const auto crc = static_cast<std::byte>(in.u8("CRC"));
    block.Key = in.u32be("Key");
    const auto length = in.u32be("Length");
    in.check(length <= encoded_length_max, "is more than 1 MiB");
    in.check(length <= in.left(),
             "is " + std::to_string(length) + " bytes, the text holds " + std::to_string(in.left()));
    const auto data = in.raw(in.failed() ? 0 : length, "data");
    block.data.assign(data.begin(), data.end());
    if (!in.failed())
        block.crc_matches = crc == exclusive_or(bytes::Bytes{*decoded}.subspan(1, head_size - 1 + length));
    return in.finish(std::move(block));
}

std::string EncodedBlock::encode() const {
    bytes::Writer body;
    body.u32be(Key);
    body.u32be(static_cast<std::uint32_t>(data.size()));
    body.raw(data);
    bytes::Writer block;
    block.u8(std::to_integer<std::uint8_t>(exclusive_or(body.bytes())));
    block.raw(body.bytes());
    std::string text = "02";
    unsigned bits = 0, count = 0;
    for (const auto byte : block.bytes()) {
        bits = (bits << 8 | std::to_integer<unsigned>(byte)) & 0xFFFF;
        for (count += 8; count >= 6; count -= 6) text.push_back(alphabet[bits >> (count - 6) & 0x3F]);
    }
    if (count != 0) text.push_back(alphabet[bits << (6 - count) & 0x3F]);
    return text;
}

}  // namespace wmlab::msb
