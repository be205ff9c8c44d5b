#include "lab/run/pace.hpp"

#include "tests/catch.hpp"

using namespace wmlab::lab;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

Pace paced(seconds idle, milliseconds play, seconds udp, seconds stream, seconds tcp) {
    return pace(idle, play, {{"nf_conntrack_udp_timeout", udp}, {"nf_conntrack_udp_timeout_stream", stream}, {"nf_conntrack_tcp_timeout_established", tcp}});
}

}  // namespace

TEST_CASE("a pause is played so that every time-out ends on the side of it, and of the keep-alive, where it really does", "[pace]") {
    const std::vector<seconds> times{1s, 2s, 5s, 20s, 29s, 31s, 60s, 119s, 180s, 299s, 300s, 301s, 1800s, 3600s, 432000s};
    for (const auto idle : {1s, 3s, 10s, 25s, 60s, 185s, 300s, 3600s, 7200s})
        for (const auto udp : times)
            for (const auto tcp : times)
                for (const milliseconds play : {500ms, 1000ms, 20'000ms}) {
                    const auto done = paced(idle, play, udp, 120s, tcp);
                    INFO("idle " << idle.count() << " udp " << udp.count() << " tcp " << tcp.count() << " played " << done.played.count() << " ms");
                    REQUIRE(done.divisor >= 1);
                    REQUIRE(done.played <= idle);
                    REQUIRE(static_cast<double>(done.played.count()) * done.divisor == Approx(static_cast<double>(milliseconds{idle}.count())));
                    for (const auto& one : done.time_outs) {
                        INFO(one.name << " " << one.played.count());
                        REQUIRE(one.played >= 1s);
                        REQUIRE(one.played <= one.real);
                        REQUIRE((one.real < idle) == (one.played < done.played));
                        if (one.real > idle && done.divisor > 1) REQUIRE(one.played >= done.played + 1s);
                        if (one.real < idle && done.divisor > 1) REQUIRE(one.played + 1s <= done.played);
                        if (one.tcp() && one.real != 30s) REQUIRE((static_cast<double>(one.played.count()) < 30 / done.divisor) == (one.real < 30s));
                        if (one.tcp() && one.real > play + 1s) REQUIRE(one.played > play);  // a stream that plays runs into nothing
                        if (done.divisor > 1 && one.real >= 2s) REQUIRE(one.played >= 2s);
                    }
                }
}

TEST_CASE("what is played in how long", "[pace]") {
    struct Row {
        std::string name;
        seconds idle, udp, stream, tcp;
        milliseconds played;
        seconds udp_played, tcp_played;
    };
    const auto row = GENERATE(values<Row>({
        {"five minutes with a kernel's own time-outs: four seconds", 300s, 30s, 120s, 432000s, 4000ms, 2s, 5760s},
        {"a time-out of three minutes", 300s, 180s, 180s, 432000s, 4000ms, 2s, 5760s},
        {"a time-out just shorter than the pause", 185s, 180s, 180s, 432000s, 4000ms, 3s, 9341s},
        {"a time-out just longer than the pause", 180s, 185s, 185s, 432000s, 4000ms, 5s, 9600s},
        {"a time-out that the keep-alive is to run into takes longer", 300s, 30s, 120s, 20s, 25000ms, 2s, 2s},
        {"an hour: the keep-alive is not to become a flood", 3600s, 30s, 120s, 432000s, 12000ms, 2s, 1440s},
        {"a pause of seconds is played as it is", 3s, 30s, 120s, 432000s, 3000ms, 30s, 432000s},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto done = paced(row.idle, 1s, row.udp, row.stream, row.tcp);
        CHECK(done.played == row.played);
        CHECK(done.time_outs[0].played == row.udp_played);
        CHECK(done.time_outs[2].played == row.tcp_played);
    }
}
