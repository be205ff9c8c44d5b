#include "common/bytes/reader.hpp"

#include "common/bytes/hex.hpp"
#include "common/bytes/utf16.hpp"
#include "common/bytes/writer.hpp"
#include "tests/catch.hpp"

using namespace wmlab::bytes;

TEST_CASE("what the writer writes the reader reads", "[bytes]") {
    Writer out;
    out.u8(1), out.u16(0x0203), out.u32(0x04050607), out.u64(0x08090a0b0c0d0e0f), out.f64(1.5);
    out.u16be(0x1112), out.u32be(0x13141516), out.utf16z(u"ab"), out.guid(Guid::named("x"));
    Reader in{out.bytes()};
    CHECK(in.u8("a") == 1);
    CHECK(in.u16("b") == 0x0203);
    CHECK(in.u32("c") == 0x04050607);
    CHECK(in.u64("d") == 0x08090a0b0c0d0e0f);
    CHECK(in.f64("e") == 1.5);
    CHECK(in.u16be("f") == 0x1112);
    CHECK(in.u32be("g") == 0x13141516);
    CHECK(in.utf16z("h") == u"ab");
    CHECK(in.guid("i") == Guid::named("x"));
    CHECK(in.left() == 0);
    CHECK_FALSE(in.failed());
}

TEST_CASE("the first problem is kept, and every field after it reads as zero", "[bytes]") {
    const auto message = from_hex("0102").value();
    Reader in{message};
    CHECK(in.u8("first") == 1);
    CHECK(in.u32("second") == 0);
    CHECK(in.u8("third") == 0);
    in.check(false, "never said: a problem is there already");
    const auto parsed = in.finish(0);
    REQUIRE(parsed.has_error());
    CHECK(parsed.error() == ParseError{1, "second", "4 bytes needed, 1 left"});
    CHECK(parsed.error().text() == "second at offset 1: 4 bytes needed, 1 left");
}

TEST_CASE("a check names the field just read", "[bytes]") {
    const auto message = from_hex("0102").value();
    Reader in{message};
    in.u8("major"), in.u8("minor");
    in.check(false, "is too small");
    CHECK(in.error()->field == "minor");
    CHECK(in.error()->offset == 1);
}

TEST_CASE("seeking past the end is a problem", "[bytes]") {
    const auto message = from_hex("0102").value();
    Reader in{message};
    in.seek(3, "token");
    CHECK(in.error()->field == "token");
}

TEST_CASE("a count of characters larger than the message allocates nothing", "[bytes]") {
    const auto message = from_hex("61006200").value();
    Reader in{message};
    CHECK(in.utf16(std::size_t{1} << 63, "text").empty());
    CHECK(in.failed());
}

TEST_CASE("GUIDs: wire form and text form", "[bytes]") {
    const auto wire = from_hex("3026b2758e66cf11a6d900aa0062ce6c").value();
    Reader in{wire};
    const auto guid = in.guid("id");
    CHECK(guid.text() == "75B22630-668E-11CF-A6D9-00AA0062CE6C");
    CHECK(Guid::from_text("{75b22630-668e-11cf-a6d9-00aa0062ce6c}") == guid);
    CHECK_FALSE(Guid::from_text("75b22630-668e-11cf-a6d9-00aa0062ce6").has_value());
    CHECK_FALSE(Guid::from_text("75b22630+668e-11cf-a6d9-00aa0062ce6c").has_value());
    CHECK(Guid::named("a") != Guid::named("b"));
}

TEST_CASE("UTF-16 and UTF-8", "[bytes]") {
    const std::string text = "z\xC3\xBC\xE2\x82\xAC\xF0\x9F\x8E\xB5";
    CHECK(to_utf8(to_utf16(text)) == text);
    CHECK(to_utf16(text).size() == 5);
    CHECK(to_utf16("\xFF") == u"\uFFFD");
    CHECK(to_utf16("\xC3") == u"\uFFFD");
    CHECK(to_utf8(std::u16string_view{u"\xD800x", 2}) == "\xEF\xBF\xBDx");
}

TEST_CASE("hex and hex dump", "[bytes]") {
    const auto message = from_hex("4d 53 42 20\n06 01").value();
    CHECK(hex(message) == "4d5342200601");
    CHECK(hex_dump(message) == "0000  4d 53 42 20 06 01                                MSB ..\n");
    CHECK(hex_dump(message, 4).find("... 2 more bytes") != std::string::npos);
    CHECK_FALSE(from_hex("4d5").has_value());
    CHECK_FALSE(from_hex("zz").has_value());
}
