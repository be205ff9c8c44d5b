// Listeners and bound UDP sockets on given addresses; a port that is taken names its holder.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/system/result.hpp>
#include <cstdint>
#include <random>
#include <set>
#include <string>

#include "common/net/failure.hpp"

namespace wmlab::net {

struct BindFailure {
    std::string protocol;  // "tcp", "udp"
    std::string local;     // "10.10.0.10:1755", or "10.20.0.10:1024-5000" for a range with no free port
    std::string error;     // "EADDRINUSE"
    std::string holder;    // "server_sim (pid 417)" where it is known
    std::string text() const;
};
[[noreturn]] void throw_exception_from_error(const BindFailure& failure, const boost::source_location&);

template <class Socket>
using Bound = boost::system::result<Socket, BindFailure>;

Bound<tcp::acceptor> listen_tcp(const asio::any_io_executor& executor, const tcp::endpoint& local);

// With IP_RECVERR, so that ICMP errors are seen; `buffer` asks the kernel for receive and send buffers of that many
// bytes.
Bound<udp::socket> bind_udp(const asio::any_io_executor& executor, const udp::endpoint& local, int buffer = 0);

// Tries every port of the range once, from a random start. A port bound for TCP counts as free. `reluctantly`: ports that
// are tried when all others are taken.
Bound<udp::socket> bind_udp_in(const asio::any_io_executor& executor, const asio::ip::address& local,
                               std::uint16_t first, std::uint16_t last, int buffer = 0,
                               const std::set<std::uint16_t>& reluctantly = {});
Bound<tcp::acceptor> listen_tcp_in(const asio::any_io_executor& executor, const asio::ip::address& local,
                                   std::uint16_t first, std::uint16_t last,
                                   const std::set<std::uint16_t>& reluctantly = {});

// "nginx (pid 417)", or empty: looked up in /proc; needs root to see processes of others.
std::string holder_of(std::string_view protocol, const asio::ip::address& address, std::uint16_t port);

}  // namespace wmlab::net
