// A bound UDP socket whose ICMP errors are seen and whose sends never block the loop.
#pragma once
#include <array>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/net/failure.hpp"

namespace wmlab::net {

class DatagramSocket {
public:
    explicit DatagramSocket(udp::socket socket);
    ~DatagramSocket();

    struct Datagram {
        std::span<const std::byte> bytes;  // valid until the next receive of any socket of this thread
        udp::endpoint from;
    };
    // Waits for the next datagram. ICMP errors met on the way go to on_icmp and do not end the wait. However fast they
    // come, others of this thread have their turn between some of them and the next.
    asio::awaitable<Datagram> receive();
    std::optional<Datagram> try_receive();  // the next one that is there already

    // Header and payload as one datagram. False: the kernel could not take it (counted in unsent()).
    bool send_to(const udp::endpoint& to, std::span<const std::byte> header, std::span<const std::byte> payload = {});

    // For a packet that many get, each behind a head of its own: sent together with its like by flush_all(), which
    // whoever sends to many calls before the loop turns, or sooner, so that datagrams leave in the order in which they were
    // sent. `account` lives until then.
    struct Account {
        std::uint64_t sent = 0, unsent = 0;
    };
    using Buffer = std::shared_ptr<const std::vector<std::byte>>;
    void send_with_others(const udp::endpoint& to, std::span<const std::byte, 8> head, const Buffer& body,
                          Account& account);
    static void flush_all();  // of this thread

    bool drain_errors();  // hands some of what the error queue holds to on_icmp; false: it held nothing
    std::function<void(const QueuedError&)> on_icmp = [](const QueuedError&) {};
    udp::endpoint local() const;
    std::size_t unsent() const { return unsent_; }
    void close();
    udp::socket& socket() { return socket_; }

private:
    struct Batch;
    void flush();

    udp::socket socket_;
    std::unique_ptr<Batch> batch_;  // made at the first use
    std::size_t unsent_ = 0;
    unsigned in_a_row_ = 0;  // datagrams received without having waited
};

}  // namespace wmlab::net
