#include "common/net/outbox.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace wmlab::net {

struct Outbox::State : std::enable_shared_from_this<Outbox::State> {
    State(tcp::socket given, std::size_t most)
        : socket{std::move(given)}, empty{socket.get_executor()}, queue_max{most} {
        empty.expires_at(asio::steady_timer::time_point::max());
    }

    // Writes until the kernel takes no more.
    void write() {
        while (!queue.empty() && !broken) {
            std::array<iovec, 32> parts{};
            std::size_t count = 0, skip = offset;
            for (const auto& buffer : queue) {
                if (count == parts.size()) break;
                parts[count++] = {const_cast<std::byte*>(buffer->data()) + skip, buffer->size() - skip};
                skip = 0;
            }
            msghdr message{};
            message.msg_iov = parts.data();
            message.msg_iovlen = count;
            const auto written = ::sendmsg(socket.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (written >= 0) {
                taken(static_cast<std::size_t>(written));
            } else if (errno == EAGAIN) {
                return wait();
            } else if (errno != EINTR) {
                broken = true;
            }
        }
        empty.cancel();
    }

    void taken(std::size_t size) {
        bytes -= size;
        offset += size;
        auto whole = queue.begin();
        while (whole != queue.end() && offset >= (*whole)->size()) offset -= (*whole++)->size();
        queue.erase(queue.begin(), whole);
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
    std::vector<Buffer> queue;  // mostly of one or none: thousands of idle connections cost little
    std::size_t offset = 0;     // into the first buffer
    std::size_t bytes = 0;
    bool waiting = false, broken = false, slow = false;
};

Outbox::Outbox(tcp::socket socket, std::size_t queue_max)
    : state_{std::make_shared<State>(std::move(socket), queue_max)} {
    boost::system::error_code ignored;
    state_->socket.set_option(tcp::no_delay{true}, ignored);
    state_->socket.non_blocking(true, ignored);
}

Outbox::~Outbox() { close(false); }

bool Outbox::send(Buffer buffer) {
    auto& state = *state_;
    if (state.broken || state.slow || buffer->empty()) return !state.broken && !state.slow;
    if (state.bytes > 0 && state.bytes + buffer->size() > state.queue_max) {
        state.slow = true;
        return false;
    }
    state.bytes += buffer->size();
    state.queue.push_back(std::move(buffer));
    if (!state.waiting) state.write();
    return !state.broken;
}

bool Outbox::send(std::vector<std::byte> bytes) {
    return send(std::make_shared<const std::vector<std::byte>>(std::move(bytes)));
}

std::size_t Outbox::queued() const { return state_->bytes; }
bool Outbox::broken() const { return state_->broken; }
bool Outbox::slow() const { return state_->slow; }

asio::awaitable<bool> Outbox::flushed(milliseconds limit) {
    const auto state = state_;
    if (state->bytes == 0 || state->broken) co_return !state->broken;
    state->empty.expires_after(limit);
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
