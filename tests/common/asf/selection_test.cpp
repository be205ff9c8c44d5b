// Which payloads of a packet a receiver gets: MS-MMSP 3.2.5.10, 3.2.5.11.1, MS-WMSP 2.2.1.4.27.
#include "common/asf/selection.hpp"

#include "common/bytes/writer.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::asf;

namespace {

struct One {
    std::uint8_t stream = 1;
    bool key = false;
    std::uint8_t object = 0;
    std::uint32_t offset = 0;
    std::size_t size = 20;
    bool operator==(const One&) const = default;
};

constexpr std::size_t packet_size = 400;

// Several payloads; `padding` is the type of Padding Length: 0 none, 1 byte, 2 WORD, 3 DWORD.
std::vector<std::byte> packet_of(const std::vector<One>& ones, unsigned padding, milliseconds at = milliseconds{0},
                                 bool error_correction = true) {
    bytes::Writer body;
    for (const auto& one : ones) {
        body.u8(static_cast<std::uint8_t>(one.stream | (one.key ? 0x80 : 0)));
        body.u8(one.object);
        body.u32(one.offset);
        body.u8(8);
        body.u32(1000), body.u32(3000);
        body.u16(static_cast<std::uint16_t>(one.size));
        for (std::size_t i = 0; i < one.size; ++i) body.u8(static_cast<std::uint8_t>(one.stream * 16 + i));
    }
    bytes::Writer out;
    if (error_correction) out.u8(0x82), out.u16(0);
    out.u8(static_cast<std::uint8_t>(1 | padding << 3));
    out.u8(0x5D);
    const std::size_t head = out.size() + (padding == 3 ? 4 : padding) + 6 + 1;
    const auto left = static_cast<std::uint32_t>(packet_size - head - body.size());
    if (padding == 1) out.u8(static_cast<std::uint8_t>(std::min(left, 255u)));
    if (padding == 2) out.u16(static_cast<std::uint16_t>(left));
    if (padding == 3) out.u32(left);
    out.u32(static_cast<std::uint32_t>(at.count()));
    out.u16(100);
    out.u8(static_cast<std::uint8_t>(0x80 | ones.size()));
    out.raw(body.bytes());
    out.zeros(packet_size - out.size());
    return out.take();
}

std::vector<One> ones_of(Bytes packet) {
    std::vector<One> ones;
    const auto parsed = parse_packet(packet, packet_size);
    REQUIRE(parsed.has_value());
    for (const auto& payload : parsed->payloads) {
        ones.push_back({payload.stream, payload.key_frame, static_cast<std::uint8_t>(payload.object_number),
                        payload.offset, payload.data.size()});
        for (std::size_t i = 0; i < payload.data.size(); ++i)
            REQUIRE(std::to_integer<unsigned>(payload.data[i]) == ((payload.stream * 16 + i) & 0xFF));
    }
    return ones;
}

Header header_of(const std::vector<std::pair<std::uint8_t, StreamType>>& streams) {
    Header header;
    for (const auto& [number, type] : streams) {
        Stream stream;
        stream.number = number;
        stream.type = type;
        header.streams.push_back(stream);
    }
    return header;
}

// Video 1 and 3, audio 2; all on, at the content's beginning.
Selection whole() {
    Selection selection{header_of({{1, StreamType::video}, {2, StreamType::audio}, {3, StreamType::video}})};
    selection.select_all();
    selection.start(true);
    return selection;
}

constexpr std::uint16_t none = Selection::no_stream;

}  // namespace

TEST_CASE("payloads of streams that are off are taken out of shared packets", "[asf]") {
    const auto padding = GENERATE(0u, 1u, 2u, 3u);
    const auto error_correction = GENERATE(true, false);
    const std::vector<One> ones = {{1, true, 7, 0, 30}, {2, true, 9, 0, 11}, {1, false, 8, 0, 25}, {3, true, 1, 0, 40},
                                   {2, true, 10, 0, 12}};
    const auto packet = packet_of(ones, padding, milliseconds{1234}, error_correction);
    for (unsigned off = 0; off < 8; ++off) {
        auto selection = whole();
        std::vector<One> wanted;
        for (std::uint16_t stream = 1; stream <= 3; ++stream)
            if ((off & (1u << (stream - 1))) != 0) selection.apply(none, stream, 2);
        for (const auto& one : ones)
            if ((off & (1u << (one.stream - 1))) == 0) wanted.push_back(one);
        const auto part = selection.filter(packet, packet_size);
        INFO("streams off (bits): " << off << ", padding type " << padding);
        if (off == 0) {
            CHECK_FALSE(part);
            continue;
        }
        REQUIRE(part);
        if (wanted.empty()) {
            CHECK(part->empty());
            continue;
        }
        CHECK(part->size() == packet_size);
        CHECK(ones_of(*part) == wanted);
        CHECK(send_time(*part).value() == milliseconds{1234});
        // What is left ends where the padding says, so that nobody takes it for media.
        const auto parsed = parse_packet(*part, packet_size).value();
        CHECK(parsed.padding + parsed.places.back().end == packet_size);
    }
}

TEST_CASE("nothing is selected until it is, and what is unnamed stays as it was", "[asf]") {
    Selection selection{header_of({{1, StreamType::audio}, {2, StreamType::audio}})};
    selection.start(true);
    const auto packet = packet_of({{1, true}, {2, true}}, 2);
    CHECK(selection.filter(packet, packet_size)->empty());
    selection.apply(none, 2, 0);
    CHECK(ones_of(*selection.filter(packet, packet_size)) == std::vector<One>{{2, true}});
    selection.apply(none, 1, 0);
    CHECK_FALSE(selection.filter(packet, packet_size));
    selection.apply(2, none, 0);  // 2.2.4.28.1: no destination, the source ends
    CHECK(ones_of(*selection.filter(packet, packet_size)) == std::vector<One>{{1, true}});
}

TEST_CASE("thinning level 1 leaves key frames, whole ones", "[asf]") {
    auto selection = whole();
    selection.apply(1, 1, 1);
    CHECK(ones_of(*selection.filter(packet_of({{1, true, 5, 0}, {2, true}, {1, false, 6, 0}}, 2), packet_size)) ==
          std::vector<One>{{1, true, 5, 0}, {2, true}});
    CHECK(ones_of(*selection.filter(packet_of({{1, true, 7, 0}, {1, false, 6, 20}}, 2), packet_size)) ==
          std::vector<One>{{1, true, 7, 0}});
    // A fragment belongs to its key frame, whatever its own bit says.
    CHECK_FALSE(selection.filter(packet_of({{1, false, 7, 20}, {2, true}}, 2), packet_size));
    CHECK(selection.filter(packet_of({{1, false, 8, 0}, {1, false, 8, 20}}, 2), packet_size)->empty());
}

TEST_CASE("a stream that is switched on begins with a key frame", "[asf]") {
    auto selection = whole();
    selection.apply(none, 1, 2);
    selection.filter(packet_of({{1, true}, {2, true}}, 2), packet_size);
    selection.apply(none, 1, 0);
    // The rest of an object that was under way, and pictures that need an earlier one.
    CHECK(ones_of(*selection.filter(packet_of({{1, false, 4, 20}, {2, true}, {1, false, 5, 0}}, 2), packet_size)) ==
          std::vector<One>{{2, true}});
    CHECK_FALSE(selection.filter(packet_of({{1, true, 6, 0}, {2, true}}, 2), packet_size));
    CHECK_FALSE(selection.filter(packet_of({{1, false, 6, 20}, {1, false, 7, 0}}, 2), packet_size));
}

TEST_CASE("a stream that is replaced goes on until the other one's key frame", "[asf]") {
    auto selection = whole();
    selection.apply(none, 3, 2);
    selection.apply(1, 3, 0);
    CHECK(ones_of(*selection.filter(packet_of({{1, false, 4, 0}, {3, false, 8, 0}}, 2), packet_size)) ==
          std::vector<One>{{1, false, 4, 0}});
    CHECK(ones_of(*selection.filter(packet_of({{3, true, 9, 0}, {1, false, 5, 0}}, 2), packet_size)) ==
          std::vector<One>{{3, true, 9, 0}});
    CHECK(selection.streams().test(3));
    CHECK_FALSE(selection.streams().test(1));
}

TEST_CASE("departure 5.2.3: a start in the middle waits for the video's key frame, not for one that never comes", "[asf]") {
    auto selection = whole();
    selection.start(false);
    CHECK(ones_of(*selection.filter(packet_of({{1, false, 4, 20}, {2, false}}, 2), packet_size)) ==
          std::vector<One>{{2, false}});
    CHECK(selection.filter(packet_of({{1, false, 5, 0}}, 2, milliseconds{1000}), packet_size)->empty());
    SECTION("it comes") {
        CHECK(ones_of(*selection.filter(packet_of({{1, false, 6, 0}, {1, true, 7, 0}}, 2), packet_size)) ==
              std::vector<One>{{1, true, 7, 0}});
    }
    SECTION("no picture is marked as one") {
        CHECK_FALSE(selection.filter(packet_of({{1, false, 9, 0}, {3, true}}, 2, milliseconds{20'000}), packet_size));
    }
}

TEST_CASE("a packet that cannot be taken apart goes as it is, a single payload whole or not at all", "[asf]") {
    auto selection = whole();
    selection.apply(none, 1, 2);
    const std::vector<std::byte> noise(packet_size, std::byte{0x7F});
    CHECK_FALSE(selection.filter(noise, packet_size));
    bytes::Writer single;
    single.u8(0x82), single.u16(0), single.u8(0x10), single.u8(0x5D), single.u16(300), single.u32(0), single.u16(1);
    single.u8(0x81), single.u8(0), single.u32(0), single.u8(8), single.u32(1000), single.u32(0);
    single.zeros(packet_size - single.size());
    CHECK(selection.filter(single.bytes(), packet_size)->empty());
    selection.apply(none, 1, 0);
    CHECK_FALSE(selection.filter(single.bytes(), packet_size));
}
