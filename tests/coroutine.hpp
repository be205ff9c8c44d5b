// Runs a coroutine to its end in a test, on an io_context of the test's own.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>

namespace wmlab::tests {

namespace detail {
template <class T>
boost::asio::awaitable<void> keep(boost::asio::awaitable<T> step, std::optional<T>& result) {
    result.emplace(co_await std::move(step));
}
}  // namespace detail

inline void run(boost::asio::io_context& io, boost::asio::awaitable<void> step) {
    std::exception_ptr failure;
    bool ended = false;
    boost::asio::co_spawn(io, std::move(step), [&](std::exception_ptr thrown) { failure = thrown, ended = true; });
    io.restart();
    while (!ended && io.run_one() > 0) {
    }
    if (failure) std::rethrow_exception(failure);
}

template <class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> step) {
    std::optional<T> result;
    run(io, detail::keep(std::move(step), result));
    return std::move(result.value());
}

}  // namespace wmlab::tests
