// CRC-32 as in zlib, Ethernet and PNG (polynomial 04C11DB7 reflected, start and end inverted): "123456789" gives
// CBF43926.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace wmlab::bytes {

// Continues from the CRC of the bytes before: crc32(b, crc32(a)) is the CRC of a followed by b.
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0);

}  // namespace wmlab::bytes
