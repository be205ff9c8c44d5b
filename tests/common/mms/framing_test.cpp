// TcpMessageHeader, the splitter of streams, Data packets, resend requests, the counter.
#include "common/mms/framing.hpp"

#include "common/bytes/hex.hpp"
#include "common/mms/message.hpp"
#include "common/mms/sequence.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::mms;

namespace {

std::vector<std::byte> hex(std::string_view text) { return bytes::from_hex(text).value(); }
std::vector<std::byte> operator+(std::vector<std::byte> left, const std::vector<std::byte>& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
}
const auto pong = serialise(LinkViewerToMacPong{});
const auto close_file = serialise(LinkViewerToMacCloseFile{});

}  // namespace

TEST_CASE("a packet may hold several messages", "[mms]") {
    Framer framer;
    const auto packet = framer.frame(pong + close_file + pong);
    StreamSplitter splitter{StreamDirection::to_server};
    const auto cut = splitter.feed(packet);
    REQUIRE(cut.items.size() == 1);
    CHECK(std::get<MessagePacket>(cut.items[0]).messages == std::vector{pong, close_file, pong});
}

TEST_CASE("messages and Data packets come out in order, however the stream is cut", "[mms]") {
    Framer framer;
    const auto data = data_packet(7, 2, 0x0C, hex("0102030405"));
    std::vector<std::byte> stream;
    for (int i = 0; i < 3; ++i) {
        stream = stream + framer.frame(pong);
        stream = stream + data + data;
        stream = stream + framer.frame(close_file);
    }
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        StreamSplitter splitter{StreamDirection::to_player};
        std::vector<StreamItem> items;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            auto cut = splitter.feed(bytes::Bytes{stream}.subspan(at, std::min(step, stream.size() - at)));
            REQUIRE_FALSE(cut.error);
            for (auto& item : cut.items) items.push_back(std::move(item));
        }
        REQUIRE(items.size() == 12);
        for (std::size_t i = 0; i < 12; ++i)
            CHECK(std::holds_alternative<Data>(items[i]) == (i % 4 == 1 || i % 4 == 2));
        CHECK(std::get<MessagePacket>(items[11]).header.seq == 5);
        CHECK(splitter.buffered() == 0);
    }
}

TEST_CASE("seq counts per direction and wraps", "[mms]") {
    Framer framer;
    for (int i = 0; i < 65536; ++i) framer.frame(pong);
    CHECK(bytes::hex(bytes::Bytes{framer.frame(pong)}.subspan(20, 4)) == "00000000");
}

TEST_CASE("either chunkCount is accepted", "[mms]") {
    Framer framer;
    auto packet = framer.frame(pong);
    CHECK(packet[16] == std::byte{4});  // what real programs send: without the first 16 bytes
    packet[16] = std::byte{6};          // what the specification says
    StreamSplitter splitter{StreamDirection::to_server};
    CHECK(splitter.feed(packet).items.size() == 1);
}

TEST_CASE("a damaged stream is refused with field and offset", "[mms]") {
    struct Row {
        std::string name;
        StreamDirection direction;
        std::size_t at;
        std::string put, field;
        std::size_t offset;
    };
    const auto to_server = StreamDirection::to_server, to_player = StreamDirection::to_player;
    const auto row = GENERATE_COPY(values<Row>({
        {"another sessionId to the server", to_server, 4, "00", "sessionId", 4},
        {"another sessionId to the player is a Data packet's, of size 0", to_player, 4, "0000000000000000",
         "PacketSize", 6},
        {"another seal", to_server, 12, "00", "seal", 12},
        {"a length below any message's", to_server, 8, "10", "messageLength", 8},
        {"a length that is no multiple of 8", to_server, 8, "21", "messageLength", 8},
        {"a length of gigabytes", to_server, 8, "f0ffff7f", "messageLength", 8},
        {"a length at the top of its range", to_server, 8, "f8ffffff", "messageLength", 8},
        {"a chunkLen of 0", to_server, 32, "00", "chunkLen", 32},
        {"a chunkLen beyond the packet", to_server, 32, "03", "chunkLen", 32},
        {"a chunkLen that would wrap", to_server, 32, "00000020", "chunkLen", 32},
    }));
    DYNAMIC_SECTION(row.name) {
        Framer framer;
        const auto good = framer.frame(pong);
        auto bad = framer.frame(pong);
        const auto put = hex(row.put);
        std::copy(put.begin(), put.end(), bad.begin() + static_cast<std::ptrdiff_t>(row.at));
        const auto step = GENERATE(std::size_t{1000}, std::size_t{1});
        StreamSplitter splitter{row.direction};
        const auto stream = good + bad + good;
        std::size_t items = 0;
        std::optional<bytes::ParseError> error;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            const auto cut = splitter.feed(bytes::Bytes{stream}.subspan(at, std::min(step, stream.size() - at)));
            items += cut.items.size();
            if (cut.error) error = cut.error;
        }
        CHECK(items == 1);  // what came before is not lost, what comes after is not believed
        REQUIRE(error);
        CHECK(error->field == row.field);
        CHECK(error->offset == row.offset);
        CHECK(splitter.failed());
        CHECK(splitter.unfinished().size() > 0);
    }
}

TEST_CASE("nothing is kept beyond the limit", "[mms]") {
    Framer framer;
    std::vector<std::byte> large = serialise(UnknownMessage{0x00030030, std::vector<std::byte>(8000)});
    StreamSplitter splitter{StreamDirection::to_server, 4096};
    const auto packet = framer.frame(large);
    const auto cut = splitter.feed(packet);
    REQUIRE(cut.error);
    CHECK(cut.error->field == "messageLength");
    StreamSplitter data{StreamDirection::to_player, 4096};
    CHECK(data.feed(data_packet(0, 1, 0, std::vector<std::byte>(5000))).error->field == "PacketSize");
    // A peer that never finishes its packet: no more than the packet is held.
    StreamSplitter slow{StreamDirection::to_server, 16384};
    std::size_t held = 0;
    for (std::size_t at = 0; at + 1 < packet.size(); ++at) {
        slow.feed(bytes::Bytes{packet}.subspan(at, 1));
        held = std::max(held, slow.buffered());
    }
    CHECK(held == packet.size() - 1);
}

TEST_CASE("Data packets", "[mms]") {
    const auto wire = hex("01000000 09 01 0c00 aabbccdd");
    const auto data = Data::parse(wire);
    REQUIRE(data.has_value());
    CHECK(data->LocationId == 1);
    CHECK(data->playIncarnation == 9);
    CHECK(data->AFFlags == 1);
    CHECK(data->Payload == hex("aabbccdd"));
    CHECK(data->serialise() == wire);
    for (std::size_t size = 0; size < wire.size(); ++size)
        CHECK(Data::parse(bytes::Bytes{wire}.first(size)).has_error());
    CHECK(Data::parse(hex("01000000 09 01 0b00 aabbccdd")).error().field == "PacketSize");
    CHECK(data_packet(0, 1, 0, std::vector<std::byte>(Data::payload_max)).size() == 65535);
}

TEST_CASE("RequestPacketListResend", "[mms]") {
    const auto wire = hex("0df0efbe 6d9ff61e 0100 0100 06000000");
    const auto request = RequestPacketListResend::parse(wire);
    REQUIRE(request.has_value());
    CHECK(request->dwClientId == 0x1EF69F6D);
    CHECK(request->wSourceId == 1);
    CHECK(request->dwBeginPacketList == std::vector<std::uint32_t>{6});
    CHECK(request->serialise() == wire);
    for (std::size_t size = 0; size < wire.size(); ++size)
        CHECK(RequestPacketListResend::parse(bytes::Bytes{wire}.first(size)).has_error());
    CHECK(RequestPacketListResend::parse(hex("0df0efbe 6d9ff61e 0100 0000")).error().field == "wPacketCount");
    CHECK(RequestPacketListResend::parse(hex("0df0efbe 6d9ff61e 0100 2100")).error().field == "wPacketCount");
    CHECK(RequestPacketListResend::parse(hex("0ef0efbe 6d9ff61e 0100 0100 06000000")).error().field == "magic");
}

TEST_CASE("the counter is rebuilt over many turns of AFFlags", "[mms]") {
    SequenceTracker tracker;
    for (std::uint32_t i = 0; i < 2000; ++i) {
        const auto arrival = tracker.arrived(static_cast<std::uint8_t>(i), i + 5);
        CHECK(arrival.sequence == i);
        CHECK_FALSE(arrival.duplicate);
        CHECK(arrival.missing.empty());
    }
    CHECK(tracker.arrived(static_cast<std::uint8_t>(1999), 2004).duplicate);
    CHECK(tracker.arrived(static_cast<std::uint8_t>(1000), 1005).sequence == 1000);  // a resend from long ago
    const auto gap = tracker.arrived(static_cast<std::uint8_t>(2700), 2705);
    CHECK(gap.sequence == 2700);
    CHECK(gap.missing.size() == 700);
    CHECK(gap.skipped == 700);
    const auto late = tracker.arrived(static_cast<std::uint8_t>(2100), 2105);
    CHECK(late.sequence == 2100);
    CHECK_FALSE(late.duplicate);
    CHECK(tracker.arrived(static_cast<std::uint8_t>(2100), 2105).duplicate);
}

TEST_CASE("a LocationId out of all reason does not make a gap of millions", "[mms]") {
    SequenceTracker tracker;
    tracker.arrived(0, 0);
    for (std::uint32_t i = 1; i < 1000; ++i) {
        const auto arrival = tracker.arrived(static_cast<std::uint8_t>(i * 37), i * 0x9E3779B1U);
        CHECK(arrival.missing.size() <= SequenceTracker::window);
    }
    // Each hostile packet advances by half a turn of AFFlags at most.
    CHECK(tracker.next() < 1000 * 4096);
}
