#include "common/process/outgoing.hpp"

#include <sys/ioctl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/evidence/fields.hpp"
#include "common/net/connect.hpp"

namespace wmlab::process {

using evidence::What;

constexpr std::size_t receive_size = 16 * 1024;  // at a time

Outgoing::Outgoing(const Context& context, std::size_t queue_max, Write write)
    : context_{context}, queue_max_{queue_max}, write_{std::move(write)} {}

asio::awaitable<std::optional<std::string>> Outgoing::open(net::HostPort to, milliseconds limit, std::string whom) {
    const auto address = co_await context_.resolve(to.host);
    if (!address) co_return address.error();
    remote_ = {*address, to.port};
    boost::json::object fields;
    fields[field::protocol] = "tcp";
    write_(What::connecting, fields, "", net::text(remote_));
    std::optional<net::tcp::endpoint> from;
    if (!context_.own_address().is_unspecified()) from = net::tcp::endpoint{context_.own_address(), 0};
    auto connected = co_await net::connect(remote_, limit, from);
    if (!connected) {
        fields[field::failure] = net::to_json(connected.error());
        write_(What::connect_failed, std::move(fields), connected.error().local, net::text(remote_));
        co_return "cannot connect to " + whom + net::text(remote_) + ": " + connected.error().text();
    }
    round_trip_ = connected->round_trip;
    outbox_.emplace(std::move(connected->socket), queue_max_);
    local_ = outbox_->local();
    boost::json::object done;
    done[field::milliseconds] = std::chrono::duration<double, std::milli>(round_trip_).count();
    write_(What::connected, std::move(done), net::text(local_), net::text(remote_));
    co_return std::nullopt;
}

asio::awaitable<std::span<const std::byte>> Outgoing::receive() {
    buffer_.resize(receive_size);
    receiving_ = true;
    const auto [error, size] =
        co_await outbox_->socket().async_read_some(asio::buffer(buffer_), asio::as_tuple(asio::use_awaitable));
    receiving_ = false;
    if (!error) co_return std::span<const std::byte>{buffer_.data(), size};
    if (error == asio::error::operation_aborted) {
        end_ = End::stopped;
    } else if (error == asio::error::eof) {
        end_ = End::by_peer;
    } else {
        end_ = End::broken;
        failure_ = net::Failure::of(error, milliseconds{0});
        for (const auto& queued : net::drain_error_queue(outbox_->socket().native_handle()))
            if (queued.icmp) failure_->icmp = queued.icmp;
    }
    co_return std::span<const std::byte>{};
}

bool Outgoing::unread() {
    int size = 0;
    return outbox_ && ::ioctl(outbox_->socket().native_handle(), FIONREAD, &size) == 0 && size > 0;
}

void Outgoing::stop_receiving() {
    boost::system::error_code ignored;
    if (receiving_) outbox_->socket().cancel(ignored);
}

void Outgoing::close(const std::string& reason) {
    if (!outbox_ || std::exchange(closed_, true)) return;
    boost::json::object fields;
    fields[field::by] = end_ == End::by_peer ? "peer" : end_ == End::broken ? "error" : "self";
    fields[field::reason] = reason;
    if (failure_) fields[field::failure] = net::to_json(*failure_);
    write_(What::closed, std::move(fields), net::text(local_), net::text(remote_));
    outbox_->close(false);
}

}  // namespace wmlab::process
