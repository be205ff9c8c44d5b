// The encoding of binary data and of text in .nsc files (MS-MSB 2.2.1.3): "02" and groups of 6 bits as characters.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::msb {

inline constexpr std::size_t encoded_length_max = 1 << 20;  // bytes of data; more is refused

struct EncodedBlock {
    std::uint32_t Key = 0;  // Format ID of an ASF header, else 0
    std::vector<std::byte> data;
    bool crc_matches = true;  // of a block read: its CRC is that of its bytes
    bool operator==(const EncodedBlock&) const = default;

    // Offsets of errors count characters. "01", plain hex digits, is read too: VLC knows it, the specification does
    // not.
    static bytes::Parsed<EncodedBlock> decode(std::string_view text);
    std::string encode() const;
};

// Whether a value is meant as an encoded block: "01" or "02" and nothing but the characters of the encoding.
bool looks_encoded(std::string_view value);

}  // namespace wmlab::msb
