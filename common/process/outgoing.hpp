// A TCP connection that a simulator opens, and its events: connecting, connected or connect-failed, closed.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/net/outbox.hpp"
#include "common/process/context.hpp"

namespace wmlab::process {

class Outgoing {
public:
    using milliseconds = std::chrono::milliseconds;
    // With the fields of the event and the addresses of the connection.
    using Write = std::function<void(evidence::What, boost::json::object, std::string local, std::string remote)>;

    // `queue_max`: bytes of ours that the peer may leave unread.
    Outgoing(const Context& context, std::size_t queue_max, Write write);
    Outgoing(const Outgoing&) = delete;
    Outgoing& operator=(const Outgoing&) = delete;

    // From this host's address in scenario mode. Error: a sentence, in which the peer is `whom` and its address.
    asio::awaitable<std::optional<std::string>> open(net::HostPort to, milliseconds limit, std::string whom = "");

    // What arrives next, valid until the next call; empty: nothing more will, end() says why.
    asio::awaitable<std::span<const std::byte>> receive();
    enum class End { none, stopped, by_peer, broken };
    End end() const { return end_; }
    const std::optional<net::Failure>& failure() const { return failure_; }  // of End::broken
    bool unread();          // something has arrived that was not received yet
    void stop_receiving();  // ends a pending receive()

    net::Outbox& outbox() { return *outbox_; }
    bool opened() const { return outbox_.has_value(); }
    void close(const std::string& reason);  // writes `closed`, once; nothing was opened: nothing happens

    std::chrono::nanoseconds round_trip() const { return round_trip_; }
    const net::tcp::endpoint& local() const { return local_; }
    const net::tcp::endpoint& remote() const { return remote_; }

private:
    const Context& context_;
    std::size_t queue_max_;
    Write write_;
    std::optional<net::Outbox> outbox_;
    net::tcp::endpoint local_, remote_;
    std::chrono::nanoseconds round_trip_{0};
    std::vector<std::byte> buffer_;
    bool receiving_ = false, closed_ = false;
    End end_ = End::none;
    std::optional<net::Failure> failure_;
};

}  // namespace wmlab::process
