#include "common/net/outbox.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>
#include <cerrno>

namespace wmlab::net {

struct Outbox::State : std::enable_shared_from_this<Outbox::State> {
    State(tcp::socket given, std::size_t most)
        : socket{std::move(given)}, empty{socket.get_executor()}, queue_max{most} {
        empty.expires_at(asio::steady_timer::time_point::max());
    }

    struct Entry {
        std::array<std::byte, head_max> head{};
        std::size_t head_size = 0;
        Buffer body;
        std::size_t size() const { return head_size + (body ? body->size() : 0); }
        // What is left of it after the first `skip` bytes: one or two pieces.
        std::size_t pieces(std::size_t skip, iovec* out) const {
            std::size_t count = 0;
            if (skip < head_size) out[count++] = {const_cast<std::byte*>(head.data()) + skip, head_size - skip};
            skip -= std::min(skip, head_size);
            if (body && skip < body->size())
                out[count++] = {const_cast<std::byte*>(body->data()) + skip, body->size() - skip};
            return count;
        }
    };

    // False: broken.
    bool send(Entry entry) {
        if (!queue.empty()) {
            queue.push_back(std::move(entry));
            bytes += queue.back().size();
            if (!waiting) write();
            return !broken;
        }
        std::array<iovec, 2> parts{};
        const auto count = entry.pieces(0, parts.data());
        const auto written = hand_over(parts.data(), count);
        const auto size = entry.size();
        if (written == static_cast<ssize_t>(size)) return true;
        if (written < 0 && errno != EAGAIN) {
            broken = true;
            return false;
        }
        offset = written < 0 ? 0 : static_cast<std::size_t>(written);
        bytes = size - offset;
        queue.push_back(std::move(entry));
        wait();
        return true;
    }

    ssize_t hand_over(iovec* parts, std::size_t count) {
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = count;
        ssize_t written = 0;
        do written = ::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (written < 0 && errno == EINTR);
        return written;
    }

    // Writes until the kernel takes no more.
    void write() {
        while (!queue.empty() && !broken) {
            std::array<iovec, 32> parts{};
            std::size_t count = 0, skip = offset;
            for (const auto& entry : queue) {
                if (count + 2 > parts.size()) break;
                count += entry.pieces(skip, &parts[count]);
                skip = 0;
            }
            const auto written = hand_over(parts.data(), count);
            if (written >= 0)
                taken(static_cast<std::size_t>(written));
            else if (errno == EAGAIN)
                return wait();
            else
                broken = true;
        }
        if (flushing) empty.cancel();
    }

    void taken(std::size_t size) {
        bytes -= size;
        offset += size;
        auto whole = queue.begin();
        while (whole != queue.end() && offset >= whole->size()) offset -= (whole++)->size();
        queue.erase(queue.begin(), whole);
        if (queue.empty()) std::vector<Entry>{}.swap(queue);  // thousands of connections cost little between bursts
    }

    void wait() {
        if (waiting) return;
        waiting = true;
        socket.async_wait(tcp::socket::wait_write, [self = shared_from_this()](boost::system::error_code error) {
            self->waiting = false;
            if (error) self->broken = true;
            self->write();
        });
    }

    tcp::socket socket;
    asio::steady_timer empty;  // cancelled when there is nothing more to write
    std::size_t queue_max;
    std::vector<Entry> queue;  // mostly none
    std::size_t offset = 0;     // into the first buffer
    std::size_t bytes = 0;
    bool waiting = false, broken = false, slow = false, flushing = false;
};

Outbox::Outbox(tcp::socket socket, std::size_t queue_max)
    : state_{std::make_shared<State>(std::move(socket), queue_max)} {
    boost::system::error_code ignored;
    state_->socket.set_option(tcp::no_delay{true}, ignored);
    state_->socket.non_blocking(true, ignored);
}

Outbox::~Outbox() { close(false); }

bool Outbox::send(Buffer buffer) { return send({}, std::move(buffer)); }

bool Outbox::send(std::vector<std::byte> bytes) {
    return send(std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
}

bool Outbox::send(std::span<const std::byte> head, Buffer body) {
    auto& state = *state_;
    State::Entry entry;
    assert(head.size() <= head_max);
    entry.head_size = std::min(head.size(), head_max);
    std::ranges::copy(head.first(entry.head_size), entry.head.begin());
    entry.body = std::move(body);
    if (state.broken || state.slow || entry.size() == 0) return !state.broken && !state.slow;
    if (state.bytes > 0 && state.bytes + entry.size() > state.queue_max) {
        state.slow = true;
        return false;
    }
    return state.send(std::move(entry));
}

std::size_t Outbox::queued() const { return state_->bytes; }
bool Outbox::broken() const { return state_->broken; }
bool Outbox::slow() const { return state_->slow; }

asio::awaitable<bool> Outbox::flushed(milliseconds limit) {
    const auto state = state_;
    if (state->bytes == 0 || state->broken) co_return !state->broken;
    state->empty.expires_after(limit);
    state->flushing = true;
    [[maybe_unused]] const auto result = co_await state->empty.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return state->bytes == 0 && !state->broken;
}

void Outbox::close(bool hard) {
    boost::system::error_code ignored;
    if (!state_->socket.is_open()) return;
    if (hard)
        state_->socket.set_option(asio::socket_base::linger{true, 0}, ignored);
    else
        state_->socket.shutdown(tcp::socket::shutdown_both, ignored);
    state_->socket.close(ignored);
}

tcp::socket& Outbox::socket() { return state_->socket; }

tcp::endpoint Outbox::local() const {
    boost::system::error_code gone;
    return state_->socket.local_endpoint(gone);
}

tcp::endpoint Outbox::remote() const {
    boost::system::error_code gone;
    return state_->socket.remote_endpoint(gone);
}

}  // namespace wmlab::net
