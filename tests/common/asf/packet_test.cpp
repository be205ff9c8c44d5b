#include "common/asf/packet.hpp"

#include <algorithm>

#include "common/bytes/hex.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::asf;

namespace {

std::vector<std::byte> from_hex(const std::string& text) { return bytes::from_hex(text).value(); }

// The reference's packet in small: 40 bytes of media, 4 of padding; 72 bytes.
std::vector<std::byte> single() {
    auto packet = from_hex("82 0000 10 5D 0400 D0070000 6400 81 07 00000000 08 28000000 B80B0000");
    for (unsigned i = 0; i < 40; ++i) packet.push_back(static_cast<std::byte>(i));
    packet.resize(72);
    return packet;
}

}  // namespace

TEST_CASE("a packet with one payload", "[asf]") {
    const auto packet = single();
    const auto info = parse_packet(packet, 72).value();
    CHECK(info.send_time == milliseconds{2000});
    CHECK(send_time(packet).value() == milliseconds{2000});
    CHECK(info.duration == milliseconds{100});
    CHECK(info.padding == 4);
    REQUIRE(info.payloads.size() == 1);
    const auto& payload = info.payloads[0];
    CHECK(payload.stream == 1);
    CHECK(payload.key_frame);
    CHECK(payload.object_number == 7);
    CHECK(payload.offset == 0);
    CHECK(payload.object_size == 40);
    CHECK(payload.presentation_time == milliseconds{3000});
    CHECK(std::ranges::equal(payload.data, Bytes{packet}.subspan(28, 40)));
}

TEST_CASE("padding that was not sent: the payload stays whole", "[asf]") {
    struct Row {
        std::string name;
        std::size_t received;
        int padding_length;
        std::size_t padding;
    };
    const auto row = GENERATE(values<Row>({
        {"all sent", 72, 4, 4},
        {"half of it sent", 70, 4, 2},
        {"none sent, Padding Length as it was", 68, 4, 0},
        {"none sent, Padding Length zeroed", 68, 0, 0},
    }));
    DYNAMIC_SECTION(row.name) {
        auto packet = single();
        packet[5] = static_cast<std::byte>(row.padding_length);
        packet.resize(row.received);
        const auto info = parse_packet(packet, 72).value();
        CHECK(info.payloads.at(0).data.size() == 40);
        CHECK(info.padding == row.padding);
    }
}

TEST_CASE("padding put back leaves the payload as it was", "[asf]") {
    const auto whole = single();
    const auto cut = [&](int padding_length, std::size_t size) {
        auto packet = whole;
        packet[5] = static_cast<std::byte>(padding_length);
        packet.resize(size);
        return packet;
    };
    CHECK(padded(whole, 72) == whole);
    CHECK(padded(cut(4, 68), 72) == whole);
    CHECK(padded(cut(0, 68), 72) == whole);
    CHECK(padded(cut(0, 70), 72).size() == 72);
    SECTION("a packet whose Padding Length was taken out") {
        auto without = cut(0, 68);
        without[3] = std::byte{0};
        without.erase(without.begin() + 5, without.begin() + 7);
        CHECK(padded(without, 72) == whole);
    }
    SECTION("what cannot be parsed gets zeros") {
        const auto broken = from_hex("FF0102");
        CHECK(bytes::hex(padded(broken, 5)) == "ff01020000");
    }
}

TEST_CASE("several payloads, fragments, no error correction data, Packet Length and Sequence present", "[asf]") {
    const auto packet = from_hex(
        "AB"  // wrong on purpose: replaced below
        "5D 2F00 05 02 10270000 0A00"
        "82"                                                 // 2 payloads, lengths are WORDs
        "02 01 64000000 08 C8000000 AA0F0000 0400 01020304"  // stream 2, offset 100 of 200
        "83 09 00000000 00 0200 0506"                        // stream 3, no replicated data
        "0000");
    auto good = packet;
    good[0] = std::byte{0x4B};  // multiple, Sequence byte, Padding Length byte, Packet Length WORD
    REQUIRE(good.size() == 47);
    const auto info = parse_packet(good, 60).value();
    CHECK(info.send_time == milliseconds{10000});
    REQUIRE(info.payloads.size() == 2);
    CHECK(info.payloads[0].stream == 2);
    CHECK_FALSE(info.payloads[0].key_frame);
    CHECK(info.payloads[0].offset == 100);
    CHECK(info.payloads[0].object_size == 200);
    CHECK(info.payloads[0].presentation_time == milliseconds{4010});
    CHECK(bytes::hex(info.payloads[0].data) == "01020304");
    CHECK(info.payloads[1].stream == 3);
    CHECK(info.payloads[1].key_frame);
    CHECK_FALSE(info.payloads[1].presentation_time.has_value());
    CHECK(bytes::hex(info.payloads[1].data) == "0506");
    CHECK(parse_packet(packet, 60).error().field == "Error Correction Flags");
}

TEST_CASE("a compressed payload is several media objects", "[asf]") {
    const auto packet = from_hex("82 0000 00 5D 00000000 0000 01 FF E8030000 01 0A 03 616263 01 64");
    const auto info = parse_packet(packet, packet.size()).value();
    REQUIRE(info.payloads.size() == 2);
    CHECK(info.payloads[0].presentation_time == milliseconds{1000});
    CHECK(bytes::hex(info.payloads[0].data) == "616263");
    CHECK(info.payloads[0].object_size == 3);
    CHECK(info.payloads[1].presentation_time == milliseconds{1010});
    CHECK(info.payloads[1].object_number == 256);
    auto damaged = packet;
    damaged.back() = std::byte{};
    damaged[damaged.size() - 2] = std::byte{2};
    CHECK(parse_packet(damaged, damaged.size()).has_error());
}

TEST_CASE("a damaged packet names field and offset", "[asf]") {
    struct Row {
        std::string name;
        std::size_t at;
        std::vector<int> put;
        std::string field;
        std::size_t offset;
    };
    const auto row = GENERATE(values<Row>({
        {"reserved error correction length type", 0, {0xA2}, "Error Correction Flags", 0},
        {"error correction data twice", 3, {0x90}, "Length Type Flags", 3},
        {"padding as large as the packet", 5, {72}, "Padding Length", 5},
        {"padding reaches into the payload's head", 5, {50}, "Payload Data", 28},
        {"Packet Length larger than the packets of the stream", 3, {0x20, 0x5D, 73}, "Packet Length", 5},
        {"Replicated Data Length 2", 19, {2}, "Replicated Data Length", 19},
        {"Replicated Data Length 7", 19, {7}, "Replicated Data Length", 19},
        {"Replicated Data Length past the end", 19, {200}, "Replicated Data", 28},
        {"payload past the end of its media object", 15, {1}, "Payload Data", 28},
        {"media object smaller than its payload", 20, {39}, "Payload Data", 28},
        {"no payloads counted", 3, {0x11, 0x5D, 4, 0, 0, 0, 0, 0, 0, 0, 0x80}, "Payload Flags", 13},
        {"several payloads without lengths", 3, {0x11, 0x5D, 4, 0, 0, 0, 0, 0, 0, 0, 0x02}, "Payload Flags", 13},
    }));
    DYNAMIC_SECTION(row.name) {
        auto packet = single();
        for (std::size_t i = 0; i < row.put.size(); ++i) packet[row.at + i] = static_cast<std::byte>(row.put[i]);
        const auto parsed = parse_packet(packet, 72);
        REQUIRE(parsed.has_error());
        INFO(parsed.error().text());
        CHECK(parsed.error().field == row.field);
        CHECK(parsed.error().offset == row.offset);
    }
    CHECK(parse_packet(single(), 71).error().problem == "the packet has 72 bytes, more than the header's 71");
}

TEST_CASE("every shorter packet and every byte changed: payloads stay inside the packet", "[asf]") {
    const auto packet = single();
    for (std::size_t size = 0; size < packet.size(); ++size)
        CHECK(parse_packet(Bytes{packet}.first(size), 72).has_value() == (size >= 28));
    for (std::size_t at = 0; at < packet.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
            auto damaged = packet;
            damaged[at] = static_cast<std::byte>(value);
            const auto parsed = parse_packet(damaged, 72);
            if (parsed.has_error()) continue;
            for (const auto& payload : parsed->payloads) {
                const bool inside = payload.data.empty() ||
                                    (payload.data.data() >= damaged.data() &&
                                     payload.data.data() + payload.data.size() <= damaged.data() + damaged.size());
                CHECK(inside);
            }
        }
    }
}

TEST_CASE("shifting the times of a packet changes nothing else", "[asf]") {
    const auto packet = single();
    auto shifted = packet;
    shift_times(shifted, 72, milliseconds{0x01000000});
    const auto info = parse_packet(shifted, 72).value();
    CHECK(info.send_time == milliseconds{2000 + 0x01000000});
    CHECK(info.payloads[0].presentation_time == milliseconds{3000 + 0x01000000});
    shift_times(shifted, 72, milliseconds{-0x01000000});
    CHECK(shifted == packet);
    auto unreadable = from_hex("FFFF");
    shift_times(unreadable, 72, milliseconds{1});
    CHECK(bytes::hex(unreadable) == "ffff");
}

TEST_CASE("pacing: never backward, no leaps, and a mean rate where a time cannot be read", "[asf]") {
    struct Row {
        std::string name;
        std::vector<std::int64_t> raw;  // -1: a packet that cannot be read
        std::vector<std::int64_t> paced;
    };
    const auto row = GENERATE(values<Row>({
        {"times in order stay", {0, 100, 250, 250, 400}, {0, 100, 250, 250, 400}},
        {"the first packet goes at once", {5000, 5100}, {0, 100}},
        {"a little backward goes at once and loses no time", {0, 1000, 990, 1010}, {0, 1000, 1000, 1010}},
        {"a joined file goes on", {0, 5000, 0, 100}, {0, 5000, 5000, 5100}},
        {"a leap over a minute is none", {0, 100, 3600000, 3600100}, {0, 100, 100, 200}},
        {"a pause below a minute is kept", {0, 59000}, {0, 59000}},
        {"unreadable packets: 900 bytes at 72 kbit/s are 100 ms", {0, 100, -1, -1, 400}, {0, 100, 200, 300, 400}},
        {"unreadable from the start", {-1, 100, 200}, {0, 0, 100}},
        {"the clock wraps", {0xFFFFFF00, 0x00000010, 0x00000020}, {0, 0, 16}},
    }));
    DYNAMIC_SECTION(row.name) {
        Header header;
        header.packet_size = 900;
        header.maximum_bit_rate = 72000;
        Pacing pacing{header};
        std::vector<std::int64_t> paced;
        for (const auto time : row.raw) {
            auto packet = single();
            for (std::size_t i = 0; i < 4; ++i) packet[7 + i] = static_cast<std::byte>(time >> (8 * i) & 0xFF);
            if (time < 0) packet.clear();
            paced.push_back(pacing.next(packet).count());
        }
        CHECK(paced == row.paced);
    }
}

TEST_CASE("a key frame starts where a video object begins with the key bit", "[asf]") {
    const auto header = Header::parse(tests::read_file(tests::vector_file("clip.wmv"))).value();
    const auto packet_with = [](std::uint8_t stream, std::uint32_t offset) {
        Payload payload;
        payload.stream = stream;
        payload.key_frame = true;
        payload.offset = offset;
        PacketInfo info;
        info.payloads = {payload};
        return info;
    };
    CHECK(starts_key_frame(packet_with(1, 0), header));
    CHECK_FALSE(starts_key_frame(packet_with(1, 10), header));
    CHECK_FALSE(starts_key_frame(packet_with(2, 0), header));
}
