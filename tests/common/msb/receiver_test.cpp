#include "common/msb/receiver.hpp"

#include <algorithm>

#include "common/asf/packet.hpp"
#include "common/asf/save.hpp"
#include "common/asf/synthesiser.hpp"
#include "common/bytes/hex.hpp"
#include "common/msb/sender_session.hpp"
#include "tests/common/asf/tools.hpp"
#include "tests/pcap.hpp"

using namespace wmlab;
using namespace wmlab::msb;

namespace {

std::filesystem::path vector_file(const std::string& name) {
    return std::filesystem::path{WMLAB_SOURCE_DIR} / "tests/vectors/msb" / name;
}

std::string text_of(const std::filesystem::path& path) {
    const auto bytes = tests::read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Station station(std::uint32_t default_ecc = 0) {
    Station s;
    s.ip_address = "239.1.2.3";
    s.ip_port = 8080;
    s.default_ecc = default_ecc;
    s.formats = {{1, asf::Synthesiser::make({}).value()->header(), ""}};
    return s;
}

const asf::Content& tone() {
    static const auto content = asf::Synthesiser::make({}).value();
    return *content;
}

Datagram datagram(std::uint32_t id, std::uint16_t wStreamID = 1) {
    return Packet{id, wStreamID, tone().packet(id % 1000)}.serialise();
}

// Numbers of the media a receiver gives for these dwPacketIDs; negative: -1 - dwPacketID of a restored one.
std::vector<std::int64_t> given(Receiver& receiver, const std::vector<std::uint32_t>& ids) {
    std::vector<std::int64_t> out;
    for (const auto id : ids)
        for (const auto& media : receiver.receive(datagram(id), "10.0.0.1").media) out.push_back(media.dwPacketID);
    return out;
}

}  // namespace

TEST_CASE("an MSB packet: the captured bytes decode and encode to themselves", "[msb]") {
    const auto capture = tests::read_pcap(vector_file("msb_multicast.pcap"));
    std::uint32_t id = 0;
    for (const auto& captured : capture.datagrams) {
        const auto packet = Packet::parse(captured.payload).value();
        CHECK(packet.dwPacketID == id++);
        CHECK(packet.wStreamID == 1);
        CHECK(packet.format_id() == 1);
        CHECK(packet.asf_packet.size() == 828);
        CHECK(packet.serialise() == captured.payload);
    }
    CHECK(id == 30);
}

TEST_CASE("the captured multicast and its station file make a file that ffmpeg decodes sample for sample", "[msb]") {
    const auto reading = read_nsc(text_of(vector_file("ref_station.nsc")));
    Receiver receiver{reading.station.value()};
    const tests::Folder folder;
    auto save = asf::Save::create(folder / "got.asf", receiver.station().formats[0].header).value();
    for (const auto& captured : tests::read_pcap(vector_file("msb_multicast.pcap")).datagrams)
        for (const auto& media : receiver.receive(captured.payload, "10.189.1.10").media)
            REQUIRE_FALSE(save.add(media.number, media.asf_packet));
    REQUIRE_FALSE(save.close());
    CHECK(receiver.counts().media == 30);
    CHECK(receiver.counts().lost == 0);
    const auto samples = tests::output_of("ffmpeg -v error -i '" + (folder / "got.asf").string() + "' -f s16le -");
    CHECK(samples.size() == 30 * 800 * 2);
}

TEST_CASE("a damaged MSB packet names field and offset", "[msb]") {
    const auto good = Packet{1, 1, tone().packet(0)}.serialise();
    struct Row {
        std::string name;
        std::size_t at;
        int put;
        std::string error;
    };
    const auto row = GENERATE(values<Row>({
        {"a bit that is always 0", 5, 0x08, "wStreamID at offset 4: has bits that are always 0"},
        {"wPacketSize of more", 6, 0x45, "wPacketSize at offset 6: is 837, the datagram has 836 bytes"},
        {"wPacketSize of less", 7, 0x02, "wPacketSize at offset 6: is 580, the datagram has 836 bytes"},
    }));
    auto damaged = good;
    damaged[row.at] = static_cast<std::byte>(row.put);
    CHECK(Packet::parse(damaged).error().text() == row.error);
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(Packet::parse(Bytes{good}.first(size)).has_error());
    CHECK(Packet::parse(bytes::from_hex("0000000001000800").value())->asf_packet.empty());
}

TEST_CASE("loss, reordering and duplicates by number", "[msb]") {
    struct Row {
        std::string name;
        std::vector<std::uint32_t> ids;
        std::vector<std::int64_t> media;
        std::vector<std::uint32_t> lost;
        std::uint64_t late, duplicates, starts;
    };
    constexpr std::uint32_t last = 0xFFFFFFFF;
    const auto row = GENERATE_COPY(values<Row>({
        {"in order", {7, 8, 9}, {7, 8, 9}, {}, 0, 0, 0},
        {"a gap", {7, 10}, {7, 10}, {8, 9}, 0, 0, 0},
        {"a gap filled later", {7, 10, 8}, {7, 10, 8}, {9}, 1, 0, 0},
        {"reordered", {8, 7, 10, 9}, {8, 7, 10, 9}, {}, 2, 0, 0},
        {"twice", {7, 7, 8, 7}, {7, 8}, {}, 0, 2, 0},
        {"across the largest number", {last - 1, 1, last, 0}, {last - 1, 1, last, 0}, {}, 2, 0, 0},
        {"a sender restarted with other numbers", {70000, 70001, 0, 1}, {70000, 70001, 0, 1}, {}, 0, 0, 1},
        {"a sender restarted after twelve packets",
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 8, 9},
         {},
         0,
         8,
         1},
        {"every packet twice is no restart",
         {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10},
         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
         {},
         0,
         11,
         0},
    }));
    DYNAMIC_SECTION(row.name) {
        Receiver receiver{station()};
        CHECK(given(receiver, row.ids) == row.media);
        CHECK(std::vector<std::uint32_t>{receiver.lost().begin(), receiver.lost().end()} == row.lost);
        const auto& counts = receiver.counts();
        CHECK(counts.media == row.media.size());
        CHECK(counts.media_bytes == row.media.size() * 828);
        CHECK(counts.lost == row.lost.size());
        CHECK(counts.late == row.late);
        CHECK(counts.duplicates == row.duplicates);
        CHECK(counts.starts == row.starts);
        CHECK(counts.datagrams == row.ids.size());
    }
}

TEST_CASE("a long loss is counted whole, its list is bounded", "[msb]") {
    Receiver receiver{station()};
    given(receiver, {0, 4000, 8000});
    CHECK(receiver.counts().lost == 7998);
    CHECK(receiver.lost().size() == Receiver::lost_max);
    CHECK(receiver.counts().starts == 0);
}

TEST_CASE("numbers for a file always go on", "[msb]") {
    Receiver receiver{station()};
    std::vector<std::uint64_t> numbers;
    for (const std::uint32_t id : {0xFFFFFFFEU, 0xFFFFFFFFU, 0U, 1U, 90000U, 90001U, 5U, 6U})
        for (const auto& media : receiver.receive(datagram(id), "10.0.0.1").media) numbers.push_back(media.number);
    REQUIRE(numbers.size() == 8);
    CHECK(std::ranges::is_sorted(numbers));
    CHECK(std::ranges::adjacent_find(numbers) == numbers.end());
    CHECK(numbers[3] == numbers[0] + 3);
}

TEST_CASE("what is not media of the station is told apart and disturbs nothing", "[msb]") {
    Receiver receiver{station()};
    CHECK(receiver.receive(beacon_packet, "10.0.0.9").kind == Kind::beacon);
    CHECK(receiver.receive(bytes::from_hex("4d5342").value(), "10.0.0.9").kind == Kind::foreign);
    CHECK(receiver.receive(std::vector<std::byte>(1400, std::byte{0x47}), "10.0.0.9").kind == Kind::foreign);
    CHECK(receiver.receive({}, "10.0.0.9").kind == Kind::foreign);
    CHECK(receiver.receive(datagram(5, 2), "10.0.0.9").kind == Kind::unknown_format);
    CHECK(receiver.receive(datagram(5), "10.0.0.1").kind == Kind::media);
    CHECK(receiver.receive(datagram(500), "10.0.0.9").kind == Kind::other_source);
    CHECK(receiver.receive(Packet{6, 1, std::vector<std::byte>(829)}.serialise(), "10.0.0.1").kind == Kind::damaged);
    CHECK(receiver.receive(Packet{6, 1, {}}.serialise(), "10.0.0.1").kind == Kind::damaged);
    CHECK(receiver.receive(datagram(6), "10.0.0.1").kind == Kind::media);
    const auto& counts = receiver.counts();
    CHECK(counts.beacons == 1);
    CHECK(counts.foreign == 3);
    CHECK(counts.unknown_format == 1);
    CHECK(counts.other_source == 1);
    CHECK(counts.damaged == 2);
    CHECK(counts.media == 2);
    CHECK(counts.lost == 0);
    CHECK(counts.datagrams == 10);
}

TEST_CASE("of two stations on one group the one named in the station file is heard", "[msb]") {
    auto s = station();
    s.multicast_adapter = "10.0.0.2";
    Receiver receiver{s};
    CHECK(receiver.receive(datagram(1), "10.0.0.1").kind == Kind::media);  // its address may be another behind NAT
    CHECK(receiver.receive(datagram(70), "10.0.0.3").kind == Kind::other_source);
    const auto receipt = receiver.receive(datagram(100), "10.0.0.2");
    CHECK(receipt.kind == Kind::media);
    CHECK(receipt.started_again);
    CHECK(receiver.receive(datagram(2), "10.0.0.1").kind == Kind::other_source);
    CHECK(receiver.counts().lost == 0);
    CHECK(receiver.source() == "10.0.0.2");
}

TEST_CASE("a change of streams: numbers may go on or start anew, stragglers of the old stream are late", "[msb]") {
    Receiver receiver{station()};
    const auto receive = [&](std::uint32_t id, bool entry) {
        return receiver.receive(datagram(id, entry ? 0x8001 : 0x0001), "10.0.0.1");
    };
    CHECK(receive(10, false).stream_changed);
    CHECK_FALSE(receive(11, false).stream_changed);
    const auto changed = receive(13, true);
    CHECK(changed.stream_changed);
    CHECK_FALSE(changed.started_again);
    CHECK(receiver.counts().lost == 1);
    const auto straggler = receive(12, false);
    CHECK_FALSE(straggler.stream_changed);
    REQUIRE(straggler.media.size() == 1);
    CHECK(straggler.media[0].late);
    CHECK(receiver.counts().lost == 0);
    CHECK_FALSE(receive(14, true).stream_changed);
    CHECK(receive(15, false).stream_changed);
    const auto anew = receive(0, true);
    CHECK(anew.stream_changed);
    CHECK(anew.started_again);
    CHECK(anew.media.size() == 1);
    CHECK(receiver.counts().streams == 4);
    CHECK(receiver.counts().lost == 0);
}

TEST_CASE("parity packets restore any one packet of their span, byte for byte", "[msb]") {
    const unsigned span = GENERATE(1U, 2U, 10U, 15U);
    SenderOptions options;
    options.span = span;
    options.first_dwPacketID = 0xFFFFFFFA;  // across the largest number too
    for (unsigned dropped = 0; dropped < 3 * span; ++dropped) {
        INFO("span " << span << ", packet " << dropped << " dropped");
        SenderSession sender{options};
        sender.start_stream(1, {});
        Receiver receiver{station(span)};
        std::vector<std::vector<std::byte>> sent, got(3 * span);
        for (unsigned n = 0; n < 3 * span; ++n) {
            const auto datagrams = sender.packet(tone().packet(n));
            REQUIRE(datagrams.size() == ((n + 1) % span == 0 ? 2 : 1));
            const auto first = Packet::parse(datagrams[0]).value().asf_packet;
            sent.emplace_back(first.begin(), first.end());
            // What precedes the media is all that was touched.
            CHECK(std::ranges::equal(first.subspan(3), Bytes{tone().packet(n)}.subspan(3)));
            for (std::size_t i = 0; i < datagrams.size(); ++i) {
                if (i == 0 && n == dropped) continue;
                for (auto& media : receiver.receive(datagrams[i], "10.0.0.1").media) {
                    CHECK(media.restored == (media.dwPacketID - options.first_dwPacketID == dropped));
                    got.at(media.dwPacketID - options.first_dwPacketID) = std::move(media.asf_packet);
                }
            }
        }
        // A span of one that loses its packet first of all was never seen to start.
        const bool unseen = span == 1 && dropped == 0;
        if (unseen) got[0] = sent[0];
        // The very first packet is restored although nothing told that it was lost.
        for (unsigned n = 0; n < 3 * span; ++n) CHECK((got[n] == sent[n]));
        CHECK(receiver.counts().restored == (unseen ? 0 : 1));
        CHECK(receiver.counts().lost == 0);
        CHECK(receiver.counts().parity == 3);
    }
}

TEST_CASE("two lost packets of a span stay lost, and parity is never taken for media", "[msb]") {
    SenderOptions options;
    options.span = 5;
    SenderSession sender{options};
    sender.start_stream(1, {});
    Receiver receiver{station()};
    for (unsigned n = 0; n < 10; ++n) {
        const auto datagrams = sender.packet(tone().packet(n));
        for (std::size_t i = 0; i < datagrams.size(); ++i) {
            if (i == 0 && (n == 2 || n == 3)) continue;
            const auto receipt = receiver.receive(datagrams[i], "10.0.0.1");
            CHECK(receipt.kind == (i == 0 ? Kind::media : Kind::parity));
            CHECK(receipt.media.size() == (i == 0 ? 1U : 0U));
        }
    }
    CHECK(receiver.counts().media == 8);
    CHECK(receiver.counts().lost == 2);
    CHECK(receiver.counts().restored == 0);
}

TEST_CASE("error correction data as the specification describes it", "[msb]") {
    SenderOptions options;
    options.span = 2;
    SenderSession sender{options};
    sender.start_stream(1, {});
    std::vector<std::string> heads;
    for (unsigned n = 0; n < 4; ++n)
        for (const auto& sent : sender.packet(tone().packet(n))) heads.push_back(bytes::hex(Bytes{sent}.first(11)));
    CHECK(heads == std::vector<std::string>{"0000000001004403821100", "0100000001004403822100",
                                            "0100000001004403923200", "0200000001004403821101",
                                            "0300000001004403822101", "0300000001004403923201"});
    // The other order of the halves.
    CHECK(error_correction(bytes::from_hex("922305").value()) == ErrorCorrection{2, 3, 5, 3});
    CHECK_FALSE(error_correction(bytes::from_hex("8100").value()).has_value());
    CHECK_FALSE(error_correction({}).has_value());
}

TEST_CASE("packets with their padding cut off, as the specification wants them, play too", "[msb]") {
    asf::SyntheticOptions options;
    options.bitrates = {64000, 16000};
    const auto content = asf::Synthesiser::make(options).value();
    auto s = station();
    s.formats[0].header = content->header();
    Receiver receiver{s};
    const tests::Folder folder;
    auto save = asf::Save::create(folder / "got.asf", content->header()).value();
    for (std::uint32_t n = 0; n < 20; ++n) {
        auto packet = content->packet(n);
        const auto padding = asf::parse_packet(packet, packet.size()).value().padding;
        packet[5] = packet[6] = std::byte{0};
        packet.resize(packet.size() - padding);
        for (const auto& media : receiver.receive(Packet{n, 1, packet}.serialise(), "10.0.0.1").media)
            REQUIRE_FALSE(save.add(media.number, media.asf_packet));
    }
    REQUIRE_FALSE(save.close());
    const auto path = (folder / "got.asf").string();
    CHECK(tests::output_of("ffmpeg -v error -i '" + path + "' -map 0:0 -f s16le -").size() == 16000);
    CHECK(tests::output_of("ffmpeg -v error -i '" + path + "' -map 0:1 -f s16le -").size() == 4000);
}
