// The conversations a service has running, so that it can end them all and wait until each has written its last event.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>

#include "common/net/failure.hpp"

namespace wmlab::net {

class Tasks {
public:
    explicit Tasks(asio::any_io_executor executor);
    // An exception that leaves the task is logged: each conversation catches its own at its edge.
    void spawn(asio::awaitable<void> task);
    // Cancels what every task waits for (operation_aborted); later awaits of a cancelled task throw as well.
    void cancel();
    asio::awaitable<void> ended();  // until no task is left
    std::size_t running() const;

private:
    struct State;
    std::shared_ptr<State> state_;  // outlives this object while tasks are still ending
};

}  // namespace wmlab::net
