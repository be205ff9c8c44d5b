#include "client_sim/play_clock.hpp"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace wmlab::client_sim {

namespace asio = boost::asio;

PlayClock::PlayClock(asio::io_context& io, Player& player) : player_{player}, timer_{io} {}

asio::awaitable<void> PlayClock::run() {
    while (!player_.over()) {
        at_ = next();
        timer_.expires_at(at_);
        boost::system::error_code woken;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            throw boost::system::system_error{asio::error::operation_aborted, "stopped"};
        const auto now = std::chrono::steady_clock::now();
        if (player_.over() || now < at_) continue;
        const auto due = player_.next_deadline();
        if (due > now) continue;  // it has moved on since
        postponed_ = reprieve_.until(due, now, player_.unread());
        postponed_due_ = due;
        if (!postponed_) player_.due(now);
    }
}

PlayClock::Time PlayClock::next() const {
    const auto at = player_.next_deadline();
    return postponed_ && at == postponed_due_ ? std::max(at, *postponed_) : at;
}

void PlayClock::changed() {
    if (player_.over() || next() < at_) timer_.cancel();
}

void PlayClock::stop() { timer_.cancel(); }

}  // namespace wmlab::client_sim
