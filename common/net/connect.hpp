// Opens a TCP connection; why it could not be opened is a value with the ICMP message behind it, if there was one.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <optional>

#include "common/net/failure.hpp"

namespace wmlab::net {

[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location&);

struct Connection {
    tcp::socket socket;
    std::chrono::nanoseconds round_trip{0};  // SYN to SYN-ACK: what later deadlines are measured by
};
using Connected = boost::system::result<Connection, Failure>;

// TCP_NODELAY is set. `local` binds the source address (port 0: any).
asio::awaitable<Connected> connect(tcp::endpoint to, milliseconds limit,
                                   std::optional<tcp::endpoint> local = std::nullopt);

// A deadline that does not call a distant or loaded peer silent: at least `base`, and eight round trips above it.
milliseconds patient(milliseconds base, std::chrono::nanoseconds round_trip);

}  // namespace wmlab::net
