#include "common/net/tasks.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace wmlab::net {

struct Tasks::State {
    explicit State(const asio::any_io_executor& on) : executor{on}, changed{on} {
        changed.expires_at(asio::steady_timer::time_point::max());
    }
    asio::any_io_executor executor;
    asio::steady_timer changed;
    std::list<asio::cancellation_signal> signals;
};

Tasks::Tasks(asio::any_io_executor executor) : state_{std::make_shared<State>(executor)} {}

void Tasks::spawn(asio::awaitable<void> task) {
    const auto at = state_->signals.emplace(state_->signals.end());
    asio::co_spawn(state_->executor, std::move(task),
                   asio::bind_cancellation_slot(at->slot(), [state = state_, at](std::exception_ptr failure) {
                       state->signals.erase(at);
                       if (state->signals.empty()) state->changed.cancel();
                       if (!failure) return;
                       try {
                           std::rethrow_exception(failure);
                       } catch (const boost::system::system_error& error) {
                           if (error.code() != asio::error::operation_aborted) spdlog::warn("{}", error.what());
                       } catch (const std::exception& error) {
                           spdlog::warn("{}", error.what());
                       }
                   }));
}

void Tasks::cancel() {
    // A cancelled task ends in its own turn of the loop at the earliest, so the list stays as it is while we walk it.
    for (auto& signal : state_->signals) signal.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> Tasks::ended() {
    const auto state = state_;
    while (!state->signals.empty())
        [[maybe_unused]] const auto result = co_await state->changed.async_wait(asio::as_tuple(asio::use_awaitable));
}

std::size_t Tasks::running() const { return state_->signals.size(); }

}  // namespace wmlab::net
