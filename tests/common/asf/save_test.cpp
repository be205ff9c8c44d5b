#include "common/asf/save.hpp"

#include "common/asf/file.hpp"
#include "common/asf/synthesiser.hpp"
#include "tests/common/asf/tools.hpp"

using namespace wmlab;
using namespace wmlab::asf;
using tests::Folder;
using tests::output_of;
using tests::read_file;
using tests::vector_file;

TEST_CASE("a file received whole is saved byte for byte, in whatever order its packets came", "[asf]") {
    const auto order = GENERATE(values<std::vector<std::uint64_t>>({
        {},                              // as sent
        {0, 1, 4, 5, 2, 3},              // resent later
        {5, 4, 3, 2, 1, 0},              // backward
        {0, 0, 1, 2, 2, 1, 3, 4, 5, 5},  // twice
    }));
    const auto source = File::open(vector_file("ref_mulaw_2s.asf")).value();
    const Folder folder;
    const auto path = folder / "got.asf";
    auto save = Save::create(path, source->header()).value();
    for (const auto n : order) REQUIRE_FALSE(save.add(n, source->packet(n)));
    for (std::uint64_t n = 0; n < 20; ++n) REQUIRE_FALSE(save.add(n, source->packet(n)));
    CHECK(save.packet_count() == 20);
    REQUIRE_FALSE(save.close());
    CHECK(read_file(path) == read_file(vector_file("ref_mulaw_2s.asf")));
    CHECK(std::distance(std::filesystem::directory_iterator{folder.path()}, {}) == 1);
}

TEST_CASE("padding that was not sent is put back, and packets that never came leave no hole", "[asf]") {
    const auto source = File::open(vector_file("ref_mulaw_2s.asf")).value();
    const Folder folder;
    const auto path = folder / "got.asf";
    auto save = Save::create(path, source->header()).value();
    for (const std::uint64_t n : {7, 3, 12}) {
        const auto packet = source->packet(n);
        REQUIRE_FALSE(save.add(1000000007ULL * n, Bytes{packet}.first(828)));
    }
    REQUIRE_FALSE(save.close());
    const auto got = File::open(path).value();
    CHECK(got->packet_count() == 3U);
    CHECK(got->packet(0) == source->packet(3));
    CHECK(got->packet(1) == source->packet(7));
    CHECK(got->packet(2) == source->packet(12));
}

TEST_CASE("a live stream joined in the middle becomes a stored file when asked", "[asf]") {
    const bool finalise = GENERATE(false, true);
    const auto live = Synthesiser::make({}).value();
    const Folder folder;
    const auto path = folder / "got.asf";
    auto save = Save::create(path, live->header(), finalise).value();
    for (std::uint64_t n = 500; n < 520; ++n) REQUIRE_FALSE(save.add(n, live->packet(n)));
    REQUIRE_FALSE(save.close());
    const auto got = File::open(path).value();
    CHECK(got->packet_count() == 20U);
    const auto written = Header::parse(read_file(path)).value();
    CHECK(written.broadcast != finalise);
    CHECK_FALSE(got->header().broadcast);  // served, it is a recording
    CHECK(output_of("ffmpeg -v error -i '" + path.string() + "' -f s16le -").size() == 32000);
    if (finalise) {
        CHECK(got->header().packets_count == 20);
        CHECK(got->header().send_duration == milliseconds{2000});
        CHECK(got->header().play_duration == milliseconds{3000});
        CHECK(got->remarks().empty());
        const auto duration =
            output_of("ffprobe -v error -show_entries format=duration -of csv=p=0 '" + path.string() + "'");
        CHECK(duration == "2.000000\n");
    } else {
        CHECK(written.raw == live->header().raw);
    }
}

TEST_CASE("what cannot be saved is said", "[asf]") {
    const auto source = File::open(vector_file("ref_mulaw_2s.asf")).value();
    const Folder folder;
    CHECK(Save::create(folder / "no/such/folder.asf", source->header()).error().problem ==
          "cannot be written: No such file or directory");
    auto save = Save::create(folder / "got.asf", source->header()).value();
    CHECK(save.add(4, std::vector<std::byte>(901))->problem == "packet 4 has 901 bytes, the header says 900");
    CHECK(save.add(4, {}).has_value());
    SECTION("a full disk") {
        auto full = Save::create("/dev/full", source->header());
        CHECK(full.error().problem == "cannot be written: No space left on device");
    }
    SECTION("a device is written as the packets come") {
        auto null = Save::create("/dev/null", source->header()).value();
        REQUIRE_FALSE(null.add(2, source->packet(2)));
        REQUIRE_FALSE(null.add(1, source->packet(1)));
        CHECK_FALSE(null.close());
    }
}
