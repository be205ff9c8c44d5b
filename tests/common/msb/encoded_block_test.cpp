#include "common/msb/encoded_block.hpp"

#include "common/bytes/hex.hpp"
#include "common/bytes/utf16.hpp"
#include "common/bytes/writer.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::msb;

namespace {

std::vector<std::byte> utf16(std::string_view text) {
    bytes::Writer out;
    out.utf16z(bytes::to_utf16(text));
    return out.take();
}

}  // namespace

TEST_CASE("texts encode to the characters of the specification and of Windows, and back", "[msb]") {
    struct Row {
        std::string text, encoded;
    };
    const auto row = GENERATE(values<Row>({
        {"", "020W0000000002000"},
        {"3.0", "029G0000000008Cm0k0300000"},  // MS-MSB 4.3
        {"239.192.48.179", "020G000000000UCW0p03a0BW0n03a0CW0k03G0E00k0340Dm0v0000"},
        {"157.55.149.102", "0230000000000UCG0r03S0BW0r03K0BW0n03G0EG0k0340C00o0000"},
        {"Windows Media", "029m000000000SLm1f06u0P01l07S0Sm0W04q0PG1a06a0OG0000"},
    }));
    DYNAMIC_SECTION(row.text) {
        const EncodedBlock block{0, utf16(row.text)};
        CHECK(block.encode() == row.encoded);
        CHECK(looks_encoded(row.encoded));
        const auto decoded = EncodedBlock::decode(row.encoded);
        CHECK(decoded.value() == block);
    }
}

TEST_CASE("the Name of the specification's example has the checksum of another text", "[msb]") {
    const auto block = EncodedBlock::decode("029W000000000YJG1P05y0Gm1F04q0K01L05G0HG1I02m0801Y0700S00000").value();
    CHECK(block.data == utf16("MY_COMPUTER, bpp"));
    CHECK_FALSE(block.crc_matches);
}

TEST_CASE("plain hex digits are read too", "[msb]") {
    const auto block = EncodedBlock::decode(
                           "0125"
                           "00000000"
                           "00000008"
                           "33002E0030000000")
                           .value();
    CHECK(block.crc_matches);
    CHECK(bytes::hex(block.data) == "33002e0030000000");
    CHECK(EncodedBlock::decode("01250").error().text() ==
          "encoded-block at offset 2: of type 01 is not made of hex digits");
}

TEST_CASE("every length of data, with any Key", "[msb]") {
    for (std::size_t size = 0; size < 200; ++size) {
        EncodedBlock block{0x07FF, {}};
        for (std::size_t i = 0; i < size; ++i) block.data.push_back(static_cast<std::byte>(i * 37 + size));
        const auto text = block.encode();
        CHECK(text.size() == 2 + ((9 + size) * 8 + 5) / 6);
        CHECK(EncodedBlock::decode(text).value() == block);
    }
}

TEST_CASE("a damaged block: what is wrong and where", "[msb]") {
    struct Row {
        std::string name, text, error;
    };
    const std::string three = "029G0000000008Cm0k0300000";
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing", "", "encoded-block at offset 0: does not start with 02"},
        {"another type", "039G0000000008Cm0k0300000", "encoded-block at offset 0: does not start with 02"},
        {"a character that is none", "029G00000000.8Cm0k0300000",
         "encoded-block at offset 12: has a character outside 0-9, A-Z, a-z, { and }"},
        {"no room for its own head", "029G00000", "Length at offset 5: 4 bytes needed, 0 left"},
        {"Length larger than the text", three.substr(0, 20), "Length at offset 5: is 8 bytes, the text holds 4"},
        {"Length of 4 GiB", "029G00003}}}}}8Cm0k0300000", "Length at offset 5: is more than 1 MiB"},
    }));
    DYNAMIC_SECTION(row.name) { CHECK(EncodedBlock::decode(row.text).error().text() == row.error); }
}

TEST_CASE("a block longer than 1 MiB is refused unread", "[msb]") {
    CHECK(EncodedBlock::decode("02" + std::string(3 << 20, '0')).error().problem ==
          "is longer than a block of 1 MiB can be");
    const EncodedBlock largest{1, std::vector<std::byte>(encoded_length_max)};
    CHECK(EncodedBlock::decode(largest.encode()).value() == largest);
}

TEST_CASE("every changed character is noticed by an error or the checksum", "[msb]") {
    const EncodedBlock block{1, utf16("wmlab, lecture")};
    const auto text = block.encode();
    for (std::size_t at = 2; at + 1 < text.size(); ++at) {  // the last one holds padding bits
        auto changed = text;
        changed[at] = changed[at] == '0' ? '1' : '0';
        const auto decoded = EncodedBlock::decode(changed);
        CHECK((decoded.has_error() || !decoded->crc_matches));
    }
    for (std::size_t size = 0; size < text.size(); ++size)
        CHECK(EncodedBlock::decode(text.substr(0, size)).has_error());
}
