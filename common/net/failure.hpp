// Why an exchange did not work, as a value: what docs/journal.md calls `failure`. Our own patience running out
// (timeout) is never mixed up with an answer of the network (refused, unreachable, reset).
#pragma once
#include <boost/json/object.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/address.hpp"

namespace wmlab::net {

using std::chrono::milliseconds;

struct Icmp {
    unsigned type = 0, code = 0;
    std::string from;  // the sender of the ICMP message: a firewall, a router or the host itself
    bool operator==(const Icmp&) const = default;
};

struct Failure {
    enum class Kind { timeout, refused, unreachable, reset, other };
    Kind kind = Kind::other;
    std::string error;       // "ECONNREFUSED"; empty for timeout
    milliseconds waited{0};  // from the beginning of the step
    std::optional<Icmp> icmp = {};
    std::string local = {};  // the own address, if a TCP connection was not opened and had one

    static Failure timed_out(milliseconds waited);
    static Failure of(const boost::system::error_code& error, milliseconds waited);
    std::string text() const;  // "refused (ECONNREFUSED) after 1 ms, ICMP 3/3 from 10.20.0.1"
};
std::string_view text(Failure::Kind kind);
std::string error_name(const boost::system::error_code& error);  // "ECONNREFUSED", else the category's words
inline constexpr std::string_view end_of_stream = "EOF";         // error_name() of the peer's orderly end
boost::json::object to_json(const Failure& failure);

// One ICMP error from a socket's error queue (IP_RECVERR must be set). `about` is where the datagram had been sent.
struct QueuedError {
    int error = 0;  // errno
    std::optional<Icmp> icmp;
    udp::endpoint about;
};
bool want_error_queue(int socket);
inline constexpr int error_queue_turn = 64;              // errors taken at a time: more may be left
std::vector<QueuedError> drain_error_queue(int socket);  // never blocks

}  // namespace wmlab::net
