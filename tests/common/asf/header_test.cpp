#include "common/asf/header.hpp"

#include "common/bytes/writer.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::asf;
using tests::read_file;
using tests::vector_file;

namespace {

std::vector<std::byte> reference_header() {
    auto file = read_file(vector_file("ref_mulaw_2s.asf"));
    file.resize(430);
    return file;
}

// Offsets in the reference header (File Properties at 30, Header Extension at 134, Stream Properties at 180).
constexpr std::size_t file_properties = 30, extension = 134, stream_properties = 180, data_object = 380;

}  // namespace

TEST_CASE("the reference header: every field, raw bytes kept", "[asf]") {
    const auto bytes = reference_header();
    const auto header = Header::parse(bytes).value();
    CHECK(header.raw == bytes);
    CHECK_FALSE(header.broadcast);
    CHECK(header.seekable);
    CHECK(header.packet_size == 900);
    CHECK(header.packets_count == 20);
    CHECK(header.play_duration == milliseconds{3000});
    CHECK(header.send_duration == milliseconds{2000});
    CHECK(header.preroll == milliseconds{1000});
    CHECK(header.maximum_bit_rate == 72000);
    CHECK(header.title == u"reference tone");
    REQUIRE(header.streams.size() == 1);
    CHECK(header.streams[0].number == 1);
    CHECK(header.streams[0].type == StreamType::audio);
    CHECK(header.streams[0].bitrate == 64000);
    CHECK(header.streams[0].type_specific.size() == 18);
    CHECK(header.stream(1) == &header.streams[0]);
    CHECK(header.stream(2) == nullptr);
    CHECK_FALSE(header.has_video());
}

TEST_CASE("a header with video, made by ffmpeg", "[asf]") {
    const auto header = Header::parse(read_file(vector_file("clip.wmv"))).value();
    CHECK(header.raw.size() == 809);
    CHECK(header.packets_count == 85);
    CHECK(header.packet_size == 1200);
    CHECK(header.has_video());
    REQUIRE(header.streams.size() == 2);
    CHECK(header.streams[0].type == StreamType::video);
    CHECK(header.streams[1].type == StreamType::audio);
    CHECK(header.streams[1].bitrate == 32000);  // of WAVEFORMATEX, there is no other
}

TEST_CASE("a header that comes in parts: how many bytes it needs", "[asf]") {
    const auto bytes = reference_header();
    for (std::size_t have = 0; have <= bytes.size(); ++have) {
        INFO("with " << have << " bytes");
        const auto needed = header_bytes_needed(Bytes{bytes}.first(have)).value();
        CHECK(needed == (have < 24 ? 24U : 430U));
        CHECK(Header::parse(Bytes{bytes}.first(have)).has_value() == (have == 430));
    }
    auto other = bytes;
    other[3] = std::byte{0};
    CHECK_FALSE(header_bytes_needed(Bytes{other}.first(3)).has_error());
    CHECK(header_bytes_needed(Bytes{other}.first(4)).error().field == "Object ID");
}

TEST_CASE("unknown objects between header and data", "[asf]") {
    auto bytes = reference_header();
    bytes::Writer unknown;
    unknown.guid(bytes::Guid::named("unknown"));
    unknown.u64(24 + 100);
    unknown.zeros(100);
    bytes.insert(bytes.begin() + data_object, unknown.bytes().begin(), unknown.bytes().end());
    const auto header = Header::parse(bytes).value();
    CHECK(header.data_object_offset == data_object + 124);
    CHECK(header_bytes_needed(Bytes{bytes}.first(data_object)).value() == data_object + 50);
    CHECK(header_bytes_needed(Bytes{bytes}.first(data_object + 24)).value() == data_object + 124 + 50);
    CHECK(live_header(header).raw.size() == bytes.size());
}

TEST_CASE("a stream found only inside Extended Stream Properties", "[asf]") {
    const auto bytes = reference_header();
    // Moves the Stream Properties Object into an Extended Stream Properties Object of the Header Extension.
    const auto stream = Bytes{bytes}.subspan(stream_properties, 96);
    bytes::Writer extended;
    extended.guid(*bytes::Guid::from_text("14E6A5CB-C672-4332-8399-A96952065B5A"));
    extended.u64(88 + 6 + 22 + stream.size());
    extended.zeros(16);
    extended.u32(48000);  // Data Bitrate
    extended.zeros(28);
    extended.u16(1);  // Stream Number
    extended.u16(0);  //
    extended.u64(0);  //
    extended.u16(1);  // Stream Name Count
    extended.u16(1);  // Payload Extension System Count
    extended.u16(0), extended.u16(2), extended.u16('x');
    extended.guid(bytes::Guid::named("extension")), extended.u16(4), extended.u32(0);
    extended.raw(stream);
    bytes::Writer whole;
    whole.raw(Bytes{bytes}.first(stream_properties));
    whole.raw(extended.bytes());
    whole.raw(Bytes{bytes}.subspan(stream_properties + stream.size()));
    whole.patch_u64(16, data_object + extended.size() - stream.size());
    whole.patch_u64(extension + 16, 46 + extended.size());
    whole.patch_u32(extension + 42, static_cast<std::uint32_t>(extended.size()));
    const auto header = Header::parse(whole.bytes()).value();
    REQUIRE(header.streams.size() == 1);
    CHECK(header.streams[0].number == 1);
    CHECK(header.streams[0].bitrate == 48000);
}

TEST_CASE("departure 5.1: a header for relaying live has the broadcast flag and no totals but what players want", "[asf]") {
    const auto stored = Header::parse(reference_header()).value();
    const auto live = live_header(stored);
    CHECK(live == Header::parse(live.raw).value());
    CHECK(live.broadcast);
    CHECK_FALSE(live.seekable);
    CHECK(live.packets_count == 0);
    CHECK(live.play_duration == milliseconds{0});
    CHECK(live.raw.size() == stored.raw.size());
    CHECK(live.file_id == stored.file_id);
    CHECK(live.preroll == stored.preroll);
    SECTION("a broadcast's Data Object gets the size that a player wants, nothing else changes") {
        auto raw = raw_of_broadcast(live, 0x7FFF0000);
        CHECK(raw != live.raw);
        CHECK(raw_of_broadcast(Header::parse(raw).value(), 0) == live.raw);
        std::fill_n(raw.begin() + static_cast<std::ptrdiff_t>(live.data_object_offset) + 16, 8, std::byte{});
        CHECK(raw == live.raw);
        CHECK(raw_of_broadcast(stored, 0) == stored.raw);
    }
    SECTION("and back") { CHECK(stored_header(live, 20, milliseconds{2000}).raw == stored.raw); }
    SECTION("VLC writes all ones as the count of a broadcast") {
        auto bytes = live.raw;
        for (std::size_t i = 0; i < 4; ++i) bytes[file_properties + 56 + i] = std::byte{0xFF};
        CHECK(Header::parse(bytes).value().packets_count == 0);
    }
}

TEST_CASE("a damaged header names field and offset", "[asf]") {
    struct Row {
        std::string name;
        std::size_t at;
        std::vector<int> put;
        std::string field;
        std::size_t offset;
    };
    const auto row = GENERATE(values<Row>({
        {"another GUID", 0, {0}, "Object ID", 0},
        {"header size below its head", 16, {29, 0}, "Object Size", 16},
        {"header size of 2 GiB", 16, {0, 0, 0, 0x80}, "Object Size", 16},
        {"header size with a high byte", 23, {1}, "Object Size", 16},
        {"header ends in the middle of an object", 16, {0x7B}, "Data Object", 430},
        {"an object of size 0", file_properties + 16, {0}, "Object Size", file_properties + 16},
        {"an object past the header's end", file_properties + 17, {1}, "Object Size", file_properties + 16},
        {"packet size 0", file_properties + 92, {0, 0, 0, 0}, "Minimum Data Packet Size", file_properties + 92},
        {"packet size over 65536", file_properties + 94, {2}, "Minimum Data Packet Size", file_properties + 92},
        {"packet size not constant", file_properties + 96, {1}, "Maximum Data Packet Size", file_properties + 96},
        {"preroll of centuries", file_properties + 84, {1}, "Preroll", file_properties + 80},
        {"no File Properties", file_properties, {0}, "File Properties Object", 30},
        {"no Stream Properties", stream_properties, {0}, "Stream Properties Object", 30},
        {"stream number 0", stream_properties + 72, {0}, "Flags", stream_properties + 72},
        {"type-specific data past its object",
         stream_properties + 64,
         {200},
         "Type-Specific Data",
         stream_properties + 78},
        {"extension larger than its object", extension + 42, {1}, "Header Extension Data Size", extension + 42},
        {"something else where data should be", data_object, {0}, "Object Size", data_object + 16},
    }));
    DYNAMIC_SECTION(row.name) {
        auto bytes = reference_header();
        // Behind a lost Data Object stands what cannot be an object.
        if (row.at == data_object) bytes[data_object + 20] = std::byte{1};
        for (std::size_t i = 0; i < row.put.size(); ++i) bytes[row.at + i] = static_cast<std::byte>(row.put[i]);
        const auto parsed = Header::parse(bytes);
        REQUIRE(parsed.has_error());
        INFO(parsed.error().text());
        CHECK(parsed.error().field == row.field);
        CHECK(parsed.error().offset == row.offset);
    }
}

TEST_CASE("every byte of a header changed: an error or a header that keeps its bytes", "[asf]") {
    const auto bytes = reference_header();
    std::size_t refused = 0;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
            auto damaged = bytes;
            damaged[at] ^= static_cast<std::byte>(change);
            const auto parsed = Header::parse(damaged);
            if (parsed.has_error())
                ++refused;
            else
                CHECK(parsed->raw == damaged);
        }
    }
    CHECK(refused > 100);
}

TEST_CASE("objects nested without end are refused", "[asf]") {
    bytes::Writer out;
    const std::size_t depth = 1000;
    const auto extension_id = *bytes::Guid::from_text("5FBF03B5-A92E-11CF-8EE3-00C00C205365");
    out.raw(Bytes{reference_header()}.first(30));
    for (std::size_t i = 0; i < depth; ++i) {
        out.guid(extension_id);
        out.u64((depth - i) * 46);
        out.guid(extension_id), out.u16(6);
        out.u32(static_cast<std::uint32_t>((depth - i - 1) * 46));
    }
    out.patch_u64(16, out.size());
    out.raw(Bytes{reference_header()}.last(50));
    CHECK(Header::parse(out.bytes()).error().problem == "objects are nested too deep");
}
