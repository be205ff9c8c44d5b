#include "common/wmsp/frame.hpp"

#include "common/bytes/hex.hpp"
#include "tests/common/wmsp/tools.hpp"

using namespace wmlab::wmsp;
using wmlab::bytes::from_hex;
using wmlab::bytes::hex;

namespace {

std::vector<Frame> frames_of(Bytes bytes, std::size_t piece = 1 << 20) {
    std::vector<Frame> frames;
    FrameReader reader;
    while (!bytes.empty()) {
        reader.put(bytes.first(std::min(piece, bytes.size())));
        bytes = bytes.subspan(std::min(piece, bytes.size()));
        while (auto frame = reader.next()) frames.push_back(std::move(*frame));
    }
    INFO((reader.problem() ? reader.problem()->text() : ""));
    CHECK_FALSE(reader.problem());
    CHECK(reader.between_frames());
    return frames;
}

}  // namespace

TEST_CASE("frames, byte for byte", "[wmsp]") {
    const std::vector<std::byte> payload = from_hex("0102").value();
    CHECK(hex(data_frame(0x105, payload)) ==
          "24440a00050100000005"
          "0a00"
          "0102");
    CHECK(hex(end_frame(0)) == "2445040000000000");
    CHECK(hex(end_frame(0x80070005)) == "2445040005000780");
    CHECK(hex(stream_change_frame(0x400D14BE)) == "24430400be140d40");
    CHECK(hex(header_frames(payload).front().serialise()) == "24480a0000000000000c0a000102");
}

TEST_CASE("a large ASF header is cut into parts and put together", "[wmsp]") {
    const auto header = tone()->header().raw;
    auto large = header;
    // A padding object inside the header would be the natural way; only the size field matters to the assembler.
    large.insert(large.begin() + 30, 140000, std::byte{0});
    const auto size = header.size() - 50 + 140000;
    for (std::size_t i = 0; i < 8; ++i) large[16 + i] = static_cast<std::byte>(size >> (8 * i) & 0xFF);
    const auto frames = header_frames(large);
    REQUIRE(frames.size() == 3);
    CHECK(frames[0].AFFlags == 0x04);
    CHECK(frames[1].AFFlags == 0x00);
    CHECK(frames[2].AFFlags == 0x08);
    CHECK(frames[2].LocationId == 2);
    HeaderAssembler assembler;
    for (const auto& frame : frames) {
        CHECK_FALSE(assembler.complete());
        CHECK_FALSE(assembler.add(frame));
    }
    CHECK(assembler.complete());
    CHECK(assembler.header() == large);
    HeaderAssembler small{100000};
    CHECK_FALSE(small.add(frames[0]));
    CHECK(small.add(frames[1])->problem == "an ASF header of more than 100000 bytes");
}

TEST_CASE("a stream is cut into the same frames in any pieces", "[wmsp]") {
    std::vector<std::byte> stream;
    const auto add = [&](const std::vector<std::byte>& bytes) {
        stream.insert(stream.end(), bytes.begin(), bytes.end());
    };
    const auto media = tone();
    for (const auto& frame : header_frames(media->header().raw)) add(frame.serialise());
    for (std::uint32_t i = 0; i < 3; ++i) add(data_frame(i, media->packet(i)));
    add(from_hex("a4440900000000000000090011").value());  // the B bit
    add(from_hex("24510300aabbcc").value());              // an unknown letter
    add(from_hex("24540000").value());
    add(stream_change_frame(0));
    add(from_hex("244508000a00000000000000").value());  // VLC's $E
    const auto whole = frames_of(stream);
    REQUIRE(whole.size() == 9);
    CHECK(whole[0].name() == "$H");
    CHECK(whole[3].LocationId == 2);
    CHECK(whole[3].payload == media->packet(2));
    CHECK(whole[4].B);
    CHECK(whole[5].name() == "$Q");
    CHECK(whole[5].payload.size() == 3);
    CHECK(whole[6].packet_id == PacketID::TestDataNotification);
    CHECK(whole[7].Reason == 0U);
    CHECK(whole[8].Reason == 10U);
    CHECK(whole[8].payload.size() == 4);
    for (const std::size_t piece : {1, 2, 5, 11, 1000}) CHECK(frames_of(stream, piece) == whole);
}

TEST_CASE("packet pairs are as long as the specification says, not as they say", "[wmsp]") {
    std::vector<std::byte> stream;
    const auto pair = [&](std::uint16_t announced, std::size_t follows) {
        Frame frame;
        frame.packet_id = PacketID::PacketPair;
        frame.PacketLength = announced;
        frame.Reason = 200;
        frame.payload.resize(follows, std::byte{0x24});
        const auto bytes = frame.serialise();
        stream.insert(stream.end(), bytes.begin(), bytes.end());
    };
    pair(504, 304), pair(504, 504), pair(1048, 1248);
    const auto end = end_frame(0);
    stream.insert(stream.end(), end.begin(), end.end());
    for (const std::size_t piece : {1000000, 1}) {
        const auto frames = frames_of(stream, piece);
        REQUIRE(frames.size() == 4);
        CHECK(frames[2].payload.size() == 1248);
        CHECK(frames[3].name() == "$E");
    }
}

TEST_CASE("a damaged frame names its field and its place in the stream", "[wmsp]") {
    struct Row {
        std::string name, hex, field;
        std::size_t offset;
    };
    const auto row = GENERATE(values<Row>({
        {"no frame begins here",
         "2445040000000000"
         "3c68746d6c",
         "Frame", 8},
        {"the two lengths differ",
         "24440a00000000000000"
         "0900"
         "0102",
         "PacketSize", 10},
        {"a packet without room for its header", "2444040000000000", "Incarnation", 8},
        {"an end without a reason", "24450000", "Reason", 4},
        {"an end with half a reason", "244502000000", "Reason", 4},
    }));
    DYNAMIC_SECTION(row.name) {
        FrameReader reader;
        reader.put(from_hex(row.hex).value());
        while (reader.next()) {
        }
        REQUIRE(reader.problem());
        CHECK(reader.problem()->field == row.field);
        CHECK(reader.problem()->offset == row.offset);
    }
}

TEST_CASE("an announced frame is awaited, not made", "[wmsp]") {
    FrameReader reader;
    reader.put(from_hex("2444ffff00000000").value());
    CHECK_FALSE(reader.next());
    CHECK_FALSE(reader.problem());
    CHECK(reader.unfinished() == 8);
}

TEST_CASE("every prefix and every changed byte of each kind of frame is a value", "[wmsp]") {
    std::vector<std::vector<std::byte>> messages = {end_frame(1), stream_change_frame(0),
                                                    data_frame(3, tone()->packet(3)),
                                                    header_frames(tone()->header().raw).front().serialise()};
    for (const auto& message : messages) {
        for (std::size_t size = 0; size < message.size(); ++size)
            CHECK(Frame::parse(Bytes{message}.first(size)).has_error());
        for (std::size_t at = 0; at < message.size(); ++at)
            for (const unsigned change : {1U, 0x80U, 0xFFU}) {
                auto damaged = message;
                damaged[at] ^= static_cast<std::byte>(change);
                const auto parsed = Frame::parse(damaged);
                if (parsed.has_value()) CHECK(parsed->payload.size() <= damaged.size());
                FrameReader reader;
                reader.put(damaged);
                while (reader.next()) {
                }
            }
    }
}
