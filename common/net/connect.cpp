#include "common/net/connect.hpp"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

#include "common/net/address.hpp"
#include "common/net/hopeless.hpp"

namespace wmlab::net {
namespace {

// What the kernel knows of a connect that our timer ended: on a loaded machine the answer may be there, unread.
std::optional<boost::system::error_code> settled(int socket) {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
        return boost::system::error_code{error, boost::system::system_category()};
    tcp_info info{};
    size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_ESTABLISHED)
        return boost::system::error_code{};
    return std::nullopt;
}

}  // namespace

void throw_exception_from_error(const Failure& failure, const boost::source_location&) {
    throw std::runtime_error{failure.text()};
}

milliseconds patient(milliseconds base, std::chrono::nanoseconds round_trip) {
    return base + std::chrono::ceil<milliseconds>(8 * round_trip);
}

asio::awaitable<Connected> connect(tcp::endpoint to, milliseconds limit, std::optional<tcp::endpoint> local) {
    using Clock = std::chrono::steady_clock;
    const auto executor = co_await asio::this_coro::executor;
    const auto start = Clock::now();
    const auto waited = [start] { return std::chrono::duration_cast<milliseconds>(Clock::now() - start); };

    tcp::socket socket{executor};
    boost::system::error_code error;
    socket.open(to.protocol(), error);
    if (!error) want_error_queue(socket.native_handle());
    if (!error && local) {
        socket.set_option(tcp::socket::reuse_address{true}, error);
        socket.bind(*local, error);
    }
    if (error) co_return Failure::of(error, waited());

    asio::steady_timer deadline{executor, limit};
    bool hopeless = false;
    const Waiting waiting{"tcp", text(to),
                          [&] {
                              boost::system::error_code none;
                              const auto own = socket.local_endpoint(none);
                              return none || own.port() == 0 ? std::string{} : text(own);
                          },
                          [&] {
                              hopeless = true;
                              deadline.expires_at(Clock::now());  // ends the wait for it
                          }};
    auto [order, connect_error, timer_error] =
        co_await asio::experimental::make_parallel_group(socket.async_connect(to, asio::deferred),
                                                         deadline.async_wait(asio::deferred))
            .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    const bool ours = order[0] == 1 && connect_error == asio::error::operation_aborted;
    if (ours && timer_error && !hopeless) throw boost::system::system_error{timer_error};  // the whole flow was cancelled
    if (ours) connect_error = settled(socket.native_handle()).value_or(connect_error);
    if (!connect_error) {
        socket.set_option(tcp::no_delay{true}, error);
        Connection connection{std::move(socket), Clock::now() - start};
        co_return std::move(connection);
    }
    auto failure = connect_error == asio::error::operation_aborted ? Failure::timed_out(waited())
                                                                   : Failure::of(connect_error, waited());
    for (const auto& queued : drain_error_queue(socket.native_handle()))
        if (queued.icmp) failure.icmp = queued.icmp;
    if (const auto own = socket.local_endpoint(error); !error && own.port() != 0) failure.local = text(own);
    co_return failure;
}

}  // namespace wmlab::net
