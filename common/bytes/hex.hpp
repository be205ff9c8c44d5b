// Bytes as text for logs and tests, and back.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::bytes {

std::string hex(std::span<const std::byte> bytes);                      // "01ab", lower case
std::optional<std::vector<std::byte>> from_hex(std::string_view text);  // blanks and line ends are skipped
std::string hex_dump(std::span<const std::byte> bytes, std::size_t bytes_max = 256);  // offset, 16 bytes, ASCII a line

}  // namespace wmlab::bytes
