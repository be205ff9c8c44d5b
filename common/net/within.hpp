// Runs one step; past the limit it is cancelled and StepTimedOut is thrown, so our deadline is never taken for
// ETIMEDOUT. The step must be made of Asio operations (they all heed cancellation). Name the step in a statement of its
// own when its arguments are braced aggregates: g++ 12 destroys those twice inside a co_await expression.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace wmlab::net {

namespace asio = boost::asio;
using std::chrono::milliseconds;

struct StepTimedOut : std::runtime_error {
    explicit StepTimedOut(milliseconds waited)
        : std::runtime_error{"nothing within " + std::to_string(waited.count()) + " ms"}, limit{waited} {}
    milliseconds limit;
};

namespace detail {
template <class T>
using Kept = std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

template <class T>
asio::awaitable<Kept<T>> keep(asio::awaitable<T> step) {  // parallel_group needs a default-constructible result
    Kept<T> kept;
    if constexpr (std::is_void_v<T>) {
        co_await std::move(step);
        kept.emplace();
    } else {
        kept.emplace(co_await std::move(step));
    }
    co_return kept;
}
}  // namespace detail

template <class T>
asio::awaitable<T> within(milliseconds limit, asio::awaitable<T> step) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer deadline{executor, limit};
    auto [order, failure, value, timer_error] =
        co_await asio::experimental::make_parallel_group(
            asio::co_spawn(executor, detail::keep<T>(std::move(step)), asio::deferred),
            deadline.async_wait(asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    // A step that ended in the same turn of the loop as its deadline counts as ended: a loaded machine is not silence.
    if (order[0] == 1 && (failure || !value)) {
        if (timer_error) throw boost::system::system_error{timer_error};  // we were cancelled from outside
        throw StepTimedOut{limit};
    }
    if (failure) std::rethrow_exception(failure);
    if constexpr (!std::is_void_v<T>) co_return std::move(*value);
}

}  // namespace wmlab::net
