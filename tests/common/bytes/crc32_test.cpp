#include "common/bytes/crc32.hpp"

#include <string_view>

#include "tests/catch.hpp"

using wmlab::bytes::crc32;

TEST_CASE("CRC-32 has the check value of its specification, and continues over parts", "[bytes]") {
    const auto text = std::as_bytes(std::span{std::string_view{"123456789"}});
    CHECK(crc32(text) == 0xCBF43926);
    CHECK(crc32({}) == 0);
    CHECK(crc32(text.subspan(4), crc32(text.first(4))) == 0xCBF43926);
}
