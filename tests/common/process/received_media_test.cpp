// How evenly media came: gaps and jitter, by a clock of the test's own.
#include "common/process/received_media.hpp"

#include <functional>
#include <random>

#include "common/asf/synthesiser.hpp"
#include "tests/catch.hpp"

using namespace wmlab;
using namespace wmlab::process;
using std::chrono::milliseconds;

namespace {

struct Heard {
    MediaTally tally;
    std::uint64_t gaps = 0, lost = 0;
    double jitter = 0;
};

// `packets` of a live stream, each as late as `late` says; negative: it is lost.
Heard hear(std::uint64_t packets, const std::function<int(std::uint64_t number)>& late) {
    static const auto content = asf::Synthesiser::make({}).value();
    const auto tally = std::make_shared<MediaTally>();
    ReceivedMedia media{std::nullopt, tally};
    media.header(content->header().raw);
    const SteadyTime start{std::chrono::hours{1}};
    for (std::uint64_t number = 0; number < packets; ++number)
        if (const auto by = late(number); by >= 0) media.packet(number, content->packet(number), start + content->send_time(number) + milliseconds{by});
    return {*tally, media.gaps(), media.lost().size(), media.jitter()};
}

}  // namespace

TEST_CASE("gaps are times without anything to play, jitter is what RFC 3550 calls so", "[media]") {
    struct Row {
        const char* what;
        int (*late)(std::uint64_t);
        std::uint64_t gaps, lost;
        double jitter_min, jitter_max;
    };
    const auto row = GENERATE(values<Row>({
        {"in time", [](std::uint64_t) { return 0; }, 0, 0, 0, 0},
        {"late, and always as much", [](std::uint64_t) { return 400; }, 0, 0, 0, 0},
        {"every other packet 16 ms late", [](std::uint64_t n) { return n % 2 == 0 ? 0 : 16; }, 0, 0, 10, 16},
        {"one pause of two seconds", [](std::uint64_t n) { return n < 20 ? 0 : 2000; }, 1, 0, 1, 125},
        {"three pauses", [](std::uint64_t n) { return static_cast<int>(n / 10) * 2000; }, 3, 0, 50, 500},
        {"one packet lost", [](std::uint64_t n) { return n == 7 ? -1 : 0; }, 0, 1, 0, 0},
        {"ten lost in a row, of which the silence is a gap too", [](std::uint64_t n) { return n >= 10 && n < 20 ? -1 : 0; }, 1, 10, 0, 0},
    }));
    INFO(row.what);
    const auto heard = hear(40, row.late);
    CHECK(heard.gaps == row.gaps);
    CHECK(heard.lost == row.lost);
    CHECK(heard.jitter >= row.jitter_min);
    CHECK(heard.jitter <= row.jitter_max);
    CHECK(heard.tally.packets == 40 - row.lost);
    CHECK(heard.tally.gaps == row.gaps);
    CHECK(heard.tally.lost == row.lost);
    CHECK(heard.tally.jitter >= heard.jitter);
}

TEST_CASE("arrivals are counted in at most sixty stretches of time, however long and uneven the stream is", "[media]") {
    const auto seed = GENERATE(take(200, random(1U, 4'000'000'000U)));
    std::mt19937 any{seed};
    Arrivals arrivals;
    SteadyTime at{std::chrono::hours{1}};
    std::vector<SteadyTime> all;
    for (auto i = 1 + any() % 400; i > 0; --i) {
        all.push_back(at);
        arrivals.add(at);
        at += milliseconds{any() % 50 == 0 ? any() % 100'000 : any() % 200};
    }
    CHECK(arrivals.counts().size() <= Arrivals::most);
    CHECK(arrivals.counts().back() > 0);
    // The same as counted at the end, when the length of a stretch is known.
    std::vector<std::uint32_t> counted(arrivals.counts().size());
    for (const auto time : all) ++counted.at(static_cast<std::size_t>((time - all.front()) / arrivals.each()));
    CHECK(counted == arrivals.counts());
    CHECK((arrivals.each() == milliseconds{20} || (all.back() - all.front()) / (arrivals.each() / 2) >= static_cast<std::ptrdiff_t>(Arrivals::most)));
}
