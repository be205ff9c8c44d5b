#include "common/asf/file.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include "common/asf/packet.hpp"
#include "common/bytes/writer.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::asf;
using tests::Folder;
using tests::output_of;
using tests::read_file;
using tests::vector_file;
using tests::write_file;

namespace {

// Media objects by stream index, as ffprobe's demuxer and ours count them: two readers, one file.
std::vector<std::size_t> objects_by_ffprobe(const std::filesystem::path& path) {
    const auto lines =
        output_of("ffprobe -v error -show_entries packet=stream_index -of csv=p=0 '" + path.string() + "'");
    std::vector<std::size_t> counts(2);
    for (const char c : lines)
        if (c == '0' || c == '1') ++counts[static_cast<std::size_t>(c - '0')];
    return counts;
}

std::vector<std::size_t> objects_by_file(const File& file) {
    std::vector<std::size_t> counts(2);
    for (std::uint64_t n = 0; n < *file.packet_count(); ++n) {
        const auto packet = file.packet(n);
        const auto info = parse_packet(packet, file.header().packet_size).value();
        for (const auto& payload : info.payloads)
            if (payload.offset == 0)
                for (std::size_t i = 0; i < file.header().streams.size(); ++i)
                    if (file.header().streams[i].number == payload.stream) ++counts.at(i);
    }
    return counts;
}

constexpr auto tone = " -f lavfi -i sine=d=3 ";
constexpr auto film = " -f lavfi -i testsrc=s=160x120:r=15:d=3 -f lavfi -i sine=d=3 ";

}  // namespace

TEST_CASE("files made by ffmpeg: packets, media objects, pacing and key frames", "[asf]") {
    struct Row {
        std::string name, input, options;
        std::uint32_t packet_size;
        bool video, live;
    };
    const auto row = GENERATE(values<Row>({
        {"wmav1.wma", tone, "-c:a wmav1", 3200, false, false},
        {"wmav2.wma", tone, "-c:a wmav2 -packet_size 500", 500, false, false},
        {"pcm.wma", tone, "-c:a pcm_s16le -packet_size 1400", 1400, false, false},
        {"mulaw.asf", tone, "-c:a pcm_mulaw -ar 8000 -packet_size 2048", 2048, false, false},
        {"wmv1.wmv", film, "-c:v wmv1 -c:a wmav1 -packet_size 16000", 16000, true, false},
        {"wmv2.wmv", film, "-c:v wmv2 -c:a wmav2", 3200, true, false},
        {"msmpeg4v2.asf", film, "-c:v msmpeg4v2 -c:a pcm_s16le -g 5", 3200, true, false},
        {"msmpeg4v3.asf", film, "-c:v msmpeg4 -c:a pcm_mulaw -packet_size 1400", 1400, true, false},
        {"video-only.wmv", film, "-c:v wmv2 -an -packet_size 8000", 8000, true, false},
        {"small.wmv", film, "-c:v wmv2 -c:a wmav2 -packet_size 500 -g 10", 500, true, false},
        {"largest.wmv", film, "-c:v wmv1 -c:a wmav2 -packet_size 65535", 65535, true, false},
        {"live.wmv", film, "-c:v wmv2 -c:a wmav2 -packet_size 1400", 1400, true, true},
    }));
    DYNAMIC_SECTION(row.name) {
        const Folder folder;
        const auto path = folder / row.name;
        // A pipe cannot be rewound: ffmpeg then leaves counts and sizes open and sets the broadcast flag.
        const auto to = row.live ? "-f asf - > '" + path.string() + "'" : "'" + path.string() + "'";
        output_of("ffmpeg -v error -y" + row.input + row.options + " " + to);

        const auto file = File::open(path).value();
        const auto& header = file->header();
        const auto count = *file->packet_count();
        CHECK(header.packet_size == row.packet_size);
        CHECK_FALSE(header.broadcast);  // a recording that was not finished is stored content all the same
        CHECK(header.has_video() == row.video);
        CHECK(header.preroll == milliseconds{3100});
        CHECK(count == header.packets_count);
        CHECK(objects_by_file(*file) == objects_by_ffprobe(path));

        milliseconds before{0};
        for (std::uint64_t n = 0; n < count; ++n) {
            CHECK(file->packet(n).size() == row.packet_size);
            CHECK(file->send_time(n) >= before);
            before = file->send_time(n);
        }
        CHECK(before > milliseconds{row.packet_size > 16000 ? 0 : 1500});
        CHECK(file->send_duration() >= before);
        CHECK(file->packet(count).empty());

        CHECK(file->packet_at_time(milliseconds{0}) == 0);
        CHECK(file->packet_at_time(milliseconds{100000}) == count);
        // What is shown after the last packet was sent can be sought, too.
        if (header.play_duration > header.preroll)
            CHECK(file->packet_at_time(header.play_duration - header.preroll - milliseconds{1}) < count);
        for (const int time : {500, 1000, 2000}) {
            const auto at = file->packet_at_time(milliseconds{time});
            if (at == count) continue;
            CHECK(file->send_time(at) <= milliseconds{time});
            const auto packet = file->packet(at);
            if (row.video) CHECK(starts_key_frame(parse_packet(packet, row.packet_size).value(), header));
            if (!row.video && at + 1 < count) CHECK(file->send_time(at + 1) > milliseconds{time});
            CHECK(file->packets_before(milliseconds{time}) >= at);
        }
    }
}

TEST_CASE("a file without its index, one with an index and no count, and one cut off", "[asf]") {
    const Folder folder;
    const auto whole = read_file(vector_file("clip.wmv"));
    const auto header = Header::parse(whole).value();
    const std::size_t first = header.raw.size(), end = first + 85 * std::size_t{1200};
    const auto path = folder / "clip.wmv";
    SECTION("whole, with the index ffmpeg wrote") {
        REQUIRE(whole.size() > end);
        const auto file = File::open(vector_file("clip.wmv")).value();
        CHECK(file->packet_count() == 85U);
        CHECK(file->remarks().empty());
        CHECK(std::ranges::equal(file->packet(84), Bytes{whole}.subspan(end - 1200, 1200)));
    }
    SECTION("without index") {
        write_file(path, Bytes{whole}.first(end));
        CHECK(File::open(path).value()->packet_count() == 85U);
    }
    SECTION("broadcast flag, nothing counted, an index behind the packets") {
        auto live = whole;
        std::ranges::copy(live_header(header).raw, live.begin());
        // An index as long as a packet: only its GUID tells.
        live.resize(end);
        live.insert(live.end(), whole.begin() + static_cast<std::ptrdiff_t>(end),
                    whole.begin() + static_cast<std::ptrdiff_t>(end + 16));
        live.resize(end + 2 * 1200);
        write_file(path, live);
        CHECK(File::open(path).value()->packet_count() == 85U);
    }
    SECTION("nothing counted, and an index that is shorter than a packet: nothing is cut off") {
        auto live = whole;
        std::ranges::copy(live_header(header).raw, live.begin());
        live.resize(end + 100);
        std::fill(live.begin() + static_cast<std::ptrdiff_t>(end + 16), live.end(), std::byte{0});
        write_file(path, live);
        const auto file = File::open(path).value();
        CHECK(file->packet_count() == 85U);
        CHECK(file->remarks() == std::vector<std::string>{"it is a recording that was not finished: it is served with the length that it has"});
    }
    SECTION("a Data Object that claims to hold no packet, whatever is counted") {
        const auto put = [&](std::size_t at, std::uint64_t value) {
            auto file = whole;
            file.resize(end);
            for (std::size_t i = 0; i < 8; ++i) file[header.data_object_offset + 16 + i] = static_cast<std::byte>(value >> (8 * i));
            for (std::size_t i = 0; i < 8; ++i) file[header.data_object_offset + 40 + i] = static_cast<std::byte>(std::uint64_t{at} >> (8 * i));
            write_file(path, file);
        };
        for (const std::uint64_t claims : {0, 24, 49, 50, 50 + 1199})
            for (const std::size_t counted : {0, 85, 100}) {
                put(counted, claims);
                INFO(claims << " bytes, " << counted << " packets");
                const auto file = File::open(path);
                REQUIRE(file.has_value());
                CHECK((*file)->packet_count() == 85U);
                CHECK((*file)->header().packets_count == 85);
            }
    }
    SECTION("whatever is shown can be sought, finished or not, to the last picture") {
        auto live = whole;
        std::ranges::copy(live_header(header).raw, live.begin());
        live.resize(end);
        write_file(path, live);
        const auto unfinished = File::open(path).value();
        const auto finished = File::open(vector_file("clip.wmv")).value();
        milliseconds last{0};
        for (std::uint64_t number = 0; number < 85; ++number) {
            const auto packet = finished->packet(number);
            const auto parsed = parse_packet(packet, header.packet_size).value();
            for (const auto& payload : parsed.payloads) {
                const auto shown = payload.presentation_time.value_or(header.preroll) - header.preroll;
                last = std::max(last, shown);
                CHECK(finished->packet_at_time(shown) < 85);
                CHECK(unfinished->packet_at_time(shown) == finished->packet_at_time(shown));
            }
        }
        CHECK(unfinished->packet_at_time(last + milliseconds{2000}) == 85);
        CHECK(finished->packet_at_time(last + milliseconds{2000}) == 85);
    }
    SECTION("cut off in the last packet") {
        write_file(path, Bytes{whole}.first(end - 1));
        const auto file = File::open(path).value();
        CHECK(file->packet_count() == 84U);
        REQUIRE(file->remarks().size() == 3);
        CHECK(file->header().packets_count == 84);  // nobody waits for the one that is not there
        CHECK(file->remarks()[1] == "the last packet is cut off after 1199 bytes and left out");
    }
    SECTION("unknown objects between header and data") {
        bytes::Writer out;
        out.raw(Bytes{whole}.first(header.data_object_offset));
        out.guid(bytes::Guid::named("unknown")), out.u64(24 + 1000), out.zeros(1000);
        out.raw(Bytes{whole}.subspan(header.data_object_offset));
        write_file(path, out.bytes());
        const auto file = File::open(path).value();
        CHECK(file->header().raw == header.raw);
        CHECK(file->packet_count() == 85U);
        CHECK(std::ranges::equal(file->packet(0), Bytes{whole}.subspan(first, 1200)));
    }
    SECTION("packets that cannot be parsed are sent at the mean rate") {
        auto damaged = whole;
        std::fill(damaged.begin() + static_cast<std::ptrdiff_t>(first),
                  damaged.begin() + static_cast<std::ptrdiff_t>(end), std::byte{0xFF});
        write_file(path, damaged);
        const auto file = File::open(path).value();
        CHECK(file->packet_count() == 85U);
        CHECK(file->packet_at_time(milliseconds{0}) == 0);
    }
    SECTION("removed while it is played, then shortened: what can be read is read") {
        write_file(path, whole);
        const auto file = File::open(path).value();
        std::filesystem::resize_file(path, first + 1200);
        CHECK(file->packet(0).size() == 1200);
        CHECK(file->packet(1).empty());
    }
}

TEST_CASE("what is no Windows Media file: what is wrong, where, and what to do", "[asf]") {
    struct Row {
        std::string name;
        std::function<std::vector<std::byte>()> content;
        std::string text;
    };
    const auto header = [] {
        auto bytes = read_file(vector_file("ref_mulaw_2s.asf"));
        bytes.resize(430);
        return bytes;
    };
    const auto advice =
        std::string{"; copy the file again, or let ffmpeg write a new one: ffmpeg -i FILE -c copy NEW.wmv"};
    const std::vector<Row> rows = {
        {"empty", [] { return std::vector<std::byte>{}; }, "ends inside its header, which needs 24 bytes (at byte 0)" + advice},
        {"text", [] { return std::vector<std::byte>(100, std::byte{'x'}); },
         "Object ID is not that of an ASF header (at byte 0); give a Windows Media file (.asf, .wma, .wmv); ffmpeg makes one: ffmpeg -i FILE NEW.wmv"},
        {"half a header",
         [&] {
             auto h = header();
             h.resize(200);
             return h;
         },
         "ends inside its header, which needs 430 bytes (at byte 200)" + advice},
        {"a header and no packet", header, "has no complete data packet (at byte 430)" + advice},
        {"packet size 0",
         [&] {
             auto h = header();
             std::fill_n(h.begin() + 122, 4, std::byte{});
             return h;
         },
         "Minimum Data Packet Size is 0, so that packets have no size (at byte 122)" + advice},
    };
    const Folder folder;
    for (const auto& row : rows) {
        INFO(row.name);
        const auto path = folder / "file.asf";
        write_file(path, row.content());
        const auto file = File::open(path);
        REQUIRE(file.has_error());
        CHECK(file.error().text() == path.string() + ": " + row.text);
    }
    CHECK(File::open(folder / "absent.asf").error().problem == "cannot be opened: No such file or directory");
    CHECK(File::open(folder.path()).error().problem == "is not a file");
    REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
    CHECK(File::open(folder / "fifo").error().problem == "is not a file");
}

TEST_CASE("a file in a loop is a live stream whose times go on", "[asf]") {
    const auto file = File::open(vector_file("ref_mulaw_2s.asf")).value();
    const LoopedFile loop{file};
    CHECK(loop.live());
    CHECK_FALSE(loop.packet_count().has_value());
    CHECK(loop.packet(3) == file->packet(3));
    CHECK(loop.send_time(20) == milliseconds{2000});
    CHECK(loop.send_time(47) == milliseconds{4700});
    const auto packet = loop.packet(47);
    const auto info = parse_packet(packet, 900).value();
    CHECK(info.send_time == milliseconds{4700});
    CHECK(info.payloads.at(0).presentation_time == milliseconds{5700});
    CHECK(info.payloads[0].data.size() == 800);
    CHECK(loop.packets_before(milliseconds{4650}) == 47);
    CHECK(loop.packets_before(milliseconds{1950}) == 20);
    CHECK(loop.packet_at_time(milliseconds{4650}) == 46);
    CHECK(loop.packet_at_time(milliseconds{1950}) == 19);
}
