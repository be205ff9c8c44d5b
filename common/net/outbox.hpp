// The sending half of a TCP connection to a peer that may be slow: immutable buffers shared between receivers, written
// at once while the kernel takes them, queued up to a bound, never waited for.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "common/net/failure.hpp"

namespace wmlab::net {

class Outbox {
public:
    using Buffer = std::shared_ptr<const std::vector<std::byte>>;

    Outbox(tcp::socket socket, std::size_t queue_max);
    ~Outbox();  // closes the connection
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // False: the queue is full or the connection is broken; nothing of this buffer was queued.
    bool send(Buffer buffer);
    bool send(std::vector<std::byte> bytes);
    // A few bytes of this peer's own before what many get: nothing is copied or allocated while the kernel takes it.
    bool send(std::span<const std::byte> head, Buffer body);
    static constexpr std::size_t head_max = 16;

    std::size_t queued() const;  // bytes that the kernel has not taken
    bool broken() const;         // a write failed
    bool slow() const;           // a send was refused because of queue_max
    // Until everything was taken by the kernel, the connection broke or the limit has passed. True: all was taken.
    asio::awaitable<bool> flushed(milliseconds limit);
    void close(bool hard);  // hard: with a RST
    tcp::socket& socket();
    tcp::endpoint local() const;   // 0.0.0.0:0 when the connection is already gone
    tcp::endpoint remote() const;  // likewise

private:
    struct State;
    std::shared_ptr<State> state_;  // kept by the pending write
};

}  // namespace wmlab::net
