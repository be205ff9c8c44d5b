#include "common/asf/synthesiser.hpp"

#include <algorithm>

#include "common/asf/packet.hpp"
#include "common/asf/save.hpp"
#include "common/bytes/hex.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::asf;
using tests::Folder;
using tests::output_of;

namespace {

std::filesystem::path written(const Folder& folder, const Content& content, std::uint64_t packets) {
    const auto path = folder / "synthetic.asf";
    auto save = Save::create(path, content.header()).value();
    for (std::uint64_t n = 0; n < packets; ++n) REQUIRE_FALSE(save.add(n, content.packet(n)));
    REQUIRE_FALSE(save.close());
    return path;
}

std::string payload_bytes(const Content& content, std::uint64_t packets, std::uint8_t stream) {
    std::string all;
    for (std::uint64_t n = 0; n < packets; ++n) {
        const auto packet = content.packet(n);
        for (const auto& payload : parse_packet(packet, packet.size()).value().payloads)
            if (payload.stream == stream)
                all.append(reinterpret_cast<const char*>(payload.data.data()), payload.data.size());
    }
    return all;
}

}  // namespace

TEST_CASE("ffmpeg decodes every byte of a synthetic stream", "[asf]") {
    struct Row {
        std::string name;
        std::vector<std::uint32_t> bitrates;
        bool live;
        std::uint64_t bytes_max;  // in a packet
        std::vector<std::string> codecs;
        std::vector<std::size_t> media_bytes;  // 2 seconds, up to the end of the last packet
    };
    const auto row = GENERATE(values<Row>({
        {"the slowest", {8000}, false, 128, {"pcm_mulaw"}, {2000}},
        {"16 kbit/s live", {16000}, true, 228, {"pcm_mulaw"}, {4000}},
        {"64 kbit/s stored", {64000}, false, 828, {"pcm_mulaw"}, {16000}},
        {"64 kbit/s live", {64000}, true, 828, {"pcm_mulaw"}, {16000}},
        {"a bitrate that is no round number of samples", {44100}, false, 580, {"pcm_mulaw"}, {11024}},
        {"300 kbit/s", {300000}, true, 1400, {"pcm_mulaw"}, {75600}},
        {"1 Mbit/s", {1000000}, true, 1400, {"pcm_s16le"}, {250000}},
        {"4 Mbit/s", {4000000}, true, 1400, {"pcm_s16le"}, {1000188}},
        {"10 Mbit/s", {10000000}, true, 1400, {"pcm_s16le"}, {2501040}},
        {"two streams", {64000, 16000}, false, 1400, {"pcm_mulaw", "pcm_mulaw"}, {16000, 4000}},
        {"three streams of both kinds",
         {32000, 64000, 500000},
         true,
         1400,
         {"pcm_mulaw", "pcm_mulaw", "pcm_s16le"},
         {8064, 16128, 126000}},
    }));
    DYNAMIC_SECTION(row.name) {
        const Folder folder;
        SyntheticOptions options;
        options.bitrates = row.bitrates;
        options.live = row.live;
        options.duration = milliseconds{2000};
        options.seed = 0xC0FFEE;
        const auto content = Synthesiser::make(options).value();
        const auto count = content->packet_count().value();
        CHECK(content->live() == row.live);
        CHECK(content->header().packet_size <= row.bytes_max);
        CHECK(content->header().packets_count == (row.live ? 0 : count));
        CHECK(content->packet(count).empty());
        const auto path = written(folder, *content, count);
        for (std::size_t i = 0; i < row.codecs.size(); ++i) {
            const auto map = " -map 0:" + std::to_string(i) + " ";
            const auto stream = static_cast<std::uint8_t>(i + 1);
            const auto bytes = output_of("ffmpeg -v error -i '" + path.string() + "'" + map + "-c copy -f data - 2>'" +
                                         path.string() + ".err'");
            CHECK(bytes.size() == row.media_bytes.at(i));
            CHECK(bytes == payload_bytes(*content, count, stream));
            const auto samples = output_of("ffmpeg -v error -i '" + path.string() + "'" + map + "-f s16le -");
            CHECK(samples.size() == bytes.size() * (row.codecs[i] == "pcm_mulaw" ? 2 : 1));
            CHECK(tests::read_file(path.string() + ".err").empty());
        }
        const auto codecs =
            output_of("ffprobe -v error -show_entries stream=codec_name -of csv=p=0 '" + path.string() + "'");
        std::string expected;
        for (const auto& codec : row.codecs) expected += codec + "\n";
        CHECK(codecs == expected);
    }
}

TEST_CASE("the tone is a tone: 440 Hz at a tenth of a second's marks", "[asf]") {
    const Folder folder;
    SyntheticOptions options;
    options.duration = milliseconds{1000};
    const auto content = Synthesiser::make(options).value();
    const auto path = written(folder, *content, *content->packet_count());
    const auto pcm = output_of("ffmpeg -v error -i '" + path.string() + "' -f s16le -");
    REQUIRE(pcm.size() == 16000);
    const auto sample = [&](std::size_t i) {
        return static_cast<std::int16_t>(static_cast<unsigned char>(pcm[2 * i]) |
                                         static_cast<unsigned char>(pcm[2 * i + 1]) << 8);
    };
    int rises = 0, loudest = 0;
    for (std::size_t i = 24; i < 800; ++i) {  // of the first packet, after the mark
        if (sample(i) >= 0 && sample(i - 1) < 0 && i > 24) ++rises;
        loudest = std::max(loudest, std::abs(int{sample(i)}));
    }
    CHECK((rises == 42 || rises == 43));  // 440 a second, for 776 of 8000 samples
    CHECK((loudest > 7500 && loudest < 8500));
}

TEST_CASE("the same options always give the same bytes, other seeds others", "[asf]") {
    const auto a = Synthesiser::make({}).value(), b = Synthesiser::make({}).value();
    CHECK(a->header() == b->header());
    CHECK(a->packet(12345) == b->packet(12345));
    SyntheticOptions other;
    other.seed = 7;
    const auto c = Synthesiser::make(other).value();
    CHECK(c->packet(12345) != a->packet(12345));
    CHECK(c->header().file_id != a->header().file_id);
    CHECK(synthetic_seed(c->header()) == 7U);
}

TEST_CASE("times of a synthetic stream", "[asf]") {
    SyntheticOptions options;
    options.bitrates = {300000, 32000};
    const auto content = Synthesiser::make(options).value();
    milliseconds before{0};
    for (std::uint64_t n = 0; n < 1000; ++n) {
        const auto packet = content->packet(n);
        CHECK(content->send_time(n) == send_time(packet).value());
        CHECK(content->send_time(n) >= before);
        before = content->send_time(n);
    }
    for (const int time : {0, 1, 35, 36, 37, 999, 1000, 123456}) {
        const auto next = content->packets_before(milliseconds{time});
        CHECK(next % 2 == 0);
        CHECK(content->send_time(next) >= milliseconds{time});
        if (next > 0) CHECK(content->send_time(next - 1) < milliseconds{time});
        const auto at = content->packet_at_time(milliseconds{time});
        CHECK(at % 2 == 0);
        CHECK(content->send_time(at) <= milliseconds{time});
        CHECK(content->send_time(at + 2) > milliseconds{time});
    }
    // A year later: 64 kbit/s is still 10 packets and 8000 bytes a second.
    const auto tone = Synthesiser::make({}).value();
    const std::uint64_t year = std::uint64_t{365} * 24 * 3600 * 10;
    CHECK(tone->send_time(year) == milliseconds{std::int64_t{365} * 24 * 3600 * 1000});
    CHECK(verify_synthetic(tone->packet(year), tone->header()).outcome == SyntheticCheck::Outcome::good);
}

TEST_CASE("a synthetic packet proves itself, and every changed byte of its media is noticed", "[asf]") {
    using Outcome = SyntheticCheck::Outcome;
    SyntheticOptions options;
    options.bitrates = {64000, 16000};
    options.seed = 0x12345678;
    const auto content = Synthesiser::make(options).value();
    const auto& header = content->header();
    const auto packet = content->packet(77);  // of the second stream, so with much padding
    const auto check = verify_synthetic(packet, header);
    CHECK(check.outcome == Outcome::good);
    CHECK(check.number == 77);
    CHECK(check.seed == 0x12345678);
    const auto mark = parse_packet(packet, packet.size()).value().payloads.at(0).data.first(20);
    CHECK(bytes::hex(mark) == "574d4c42785634124d00000000000000c8000000");

    SECTION("with its padding cut off") {
        const auto short_packet = Bytes{packet}.first(28 + 200);
        CHECK(verify_synthetic(short_packet, header).outcome == Outcome::good);
        CHECK(verify_synthetic(short_packet.first(227), header).outcome == Outcome::damaged);
    }
    SECTION("in the live header of a relay") {
        CHECK(verify_synthetic(packet, live_header(header)).outcome == Outcome::good);
    }
    SECTION("changed") {
        for (std::size_t at = 28; at < 28 + 200; ++at) {
            auto damaged = packet;
            damaged[at] ^= std::byte{0x10};
            const auto found = verify_synthetic(damaged, header);
            CHECK(found.outcome == Outcome::damaged);
            CHECK_FALSE(found.problem.empty());
        }
    }
    SECTION("given to another stream") {
        auto moved = packet;
        moved[13] = std::byte{0x81};
        CHECK(verify_synthetic(moved, header).problem == "CRC-32 at offset 20: is of a packet of another stream");
    }
    SECTION("of another content") {
        options.seed = 1;
        CHECK(verify_synthetic(Synthesiser::make(options).value()->packet(77), header).outcome == Outcome::damaged);
    }
    SECTION("other streams prove nothing") {
        const auto clip = tests::read_file(tests::vector_file("clip.wmv"));
        const auto clip_header = Header::parse(clip).value();
        CHECK(verify_synthetic(Bytes{clip}.subspan(809, 1200), clip_header).outcome == Outcome::not_synthetic);
        CHECK_FALSE(synthetic_seed(clip_header).has_value());
    }
}

TEST_CASE("options that make no stream are refused with what to use", "[asf]") {
    struct Row {
        SyntheticOptions options;
        std::string text;
    };
    const auto row = GENERATE(values<Row>({
        {{.bitrates = {}}, "synthetic: 0 streams; use 1 to 16"},
        {{.bitrates = {7999}}, "synthetic: a bitrate of 7999 bit/s; use 8000 to 20000000"},
        {{.bitrates = {20000001}}, "synthetic: a bitrate of 20000001 bit/s; use 8000 to 20000000"},
        {{.live = false}, "synthetic: stored content without an end; give it a duration"},
        {{.duration = milliseconds{0}}, "synthetic: a duration of 0 ms; use 1 ms to 30 days"},
        {{.packet_size_max = 99}, "synthetic: a packet size of 99; use 100 to 65536"},
        {{.bitrates = {8000, 20000000}},
         "synthetic: the slowest stream has no room for the mark in a packet every 544 us; use bitrates that differ less, or larger packets"},
    }));
    CHECK(Synthesiser::make(row.options).error().text() == row.text);
}
