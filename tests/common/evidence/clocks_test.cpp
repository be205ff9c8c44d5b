#include "common/evidence/clocks.hpp"

#include "tests/catch.hpp"

using namespace wmlab::evidence;
using std::chrono::nanoseconds;

namespace {

Event event(const std::string& host, const std::string& process, std::int64_t time) {
    Event made;
    made.event = What::ready;
    made.host = host;
    made.process = process;
    made.utc = std::chrono::sys_time<nanoseconds>{nanoseconds{time}};
    made.monotonic = nanoseconds{time};
    return made;
}

Event clock(const std::string& host, std::int64_t round_trip, std::int64_t utc, std::int64_t monotonic) {
    auto made = event(host, "wmlab", 1000);
    made.event = What::clock;
    made.fields["round_trip"] = round_trip;
    made.fields["utc_ahead"] = utc;
    made.fields["monotonic_ahead"] = monotonic;
    return made;
}

}  // namespace

TEST_CASE("clocks: each host by its best measurement, the others keep their times", "[clocks]") {
    std::vector<Event> events{event("media", "server_sim", 5000), event("player", "client_sim", 5000),
                              clock("media", 90, 1, 1),           clock("media", 10, 300, -200),
                              clock("media", 50, 2, 2),           event("media", "wmlab", 5000)};
    align_clocks(events);
    CHECK(events[0].utc.time_since_epoch().count() == 4700);
    CHECK(events[0].monotonic.count() == 5200);
    CHECK(events[1].monotonic.count() == 5000);
    CHECK(events[5].monotonic.count() == 5000);
}

TEST_CASE("clocks: without a measurement nothing changes", "[clocks]") {
    std::vector<Event> events{event("media", "server_sim", 5000)};
    align_clocks(events);
    CHECK(events[0].monotonic.count() == 5000);
}
