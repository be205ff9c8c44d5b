#include "client_sim/play_clock.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "tests/catch.hpp"

using namespace wmlab::client_sim;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

namespace {

struct Sleeper : PlayClock::Player {
    explicit Sleeper(boost::asio::io_context& io) : clock{io, *this} {}
    Steady::time_point next_deadline() const override { return deadline; }
    bool over() const override { return done; }
    bool unread() override { return false; }
    void due(Steady::time_point now) override { on_due(now); }
    PlayClock clock;
    Steady::time_point deadline = Steady::time_point::max();
    bool done = false;
    std::function<void(Steady::time_point)> on_due;
};

}  // namespace

TEST_CASE("a deadline that moves later, then earlier, is met when it is due", "[client_sim]") {
    boost::asio::io_context io;
    Sleeper sleeper{io};
    const auto start = Steady::now();
    sleeper.deadline = start + 20ms;
    sleeper.on_due = [&](Steady::time_point) { sleeper.done = true; };
    boost::asio::co_spawn(io, sleeper.clock.run(), boost::asio::detached);
    // Media comes: the end of patience is far away, and the sleep until then goes on.
    boost::asio::steady_timer media{io, start + 10ms};
    media.async_wait([&](boost::system::error_code) { sleeper.deadline = start + 1h; });
    // The stream ends after the first sleep: a moment for what is still on its way.
    boost::asio::steady_timer end{io, start + 60ms};
    end.async_wait([&](boost::system::error_code) {
        sleeper.deadline = start + 80ms;
        sleeper.clock.changed();
    });
    io.run_for(20s);
    CHECK(sleeper.done);
}
