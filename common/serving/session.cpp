#include "common/serving/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace wmlab::serving {

using evidence::What;

Session::Session(Server& server, Seats& seats, net::tcp::socket socket, std::string leg)
    : server_{server},
      outbox_{std::move(socket), server.limits.queue},
      local_{outbox_.local()},
      remote_{outbox_.remote()},
      digest_{server.context.journal.kept()},
      leg_{std::move(leg)},
      connection_{server.next_connection()},
      seat_{seats, remote_.address(), [this] { make_room(); }},
      deadline_{server.context.io.get_executor()} {}

asio::awaitable<void> Session::run() {
    const auto self = shared_from_this();
    write(What::accepted);
    spdlog::debug("{}: connected", peer_text());
    arm();
    const auto over = [this] { return abandoned() || finished(); };
    while (!over()) {
        reading_ = true;
        auto [error] = co_await outbox_.socket().async_wait(net::tcp::socket::wait_read, asio::as_tuple(asio::use_awaitable));
        reading_ = false;
        if (over()) break;
        // Players hardly say anything: one buffer for all of them.
        static thread_local std::array<std::byte, read_size> buffer;
        const auto size = error ? 0 : outbox_.socket().read_some(asio::buffer(buffer), error);
        if (error == asio::error::would_block) continue;
        if (error == asio::error::operation_aborted)
            abandon("self", "the process is stopping");
        else if (error && error != asio::error::eof)
            abandon("error", net::Failure::of(error, milliseconds{0}).text());
        else if (error) {
            peer_closed_ = true;
            guarded([this] { disconnected(); });
        } else
            guarded([&] { receive({buffer.data(), size}); });
    }
    unsubscribe();
    deadline_.cancel();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_await asio::this_coro::reset_cancellation_state();
    else if (!outbox_.slow() && !made_room_ && closed_by_ != "error" && closed_by_ != "peer") {
        try {
            co_await farewell();
        } catch (const boost::system::system_error&) {  // the process is stopping: the last events are written all the same
        }
    }
    write_media_end();
    boost::json::object fields;
    fields[field::by] = abandoned() ? closed_by_ : "self";
    fields[field::reason] = reason_;
    write(What::closed, std::move(fields));
    spdlog::info("{}: closed: {}", peer_text(), reason_);
    outbox_.close(outbox_.slow() || made_room_);
    closed();
}

asio::awaitable<void> Session::farewell() { co_await outbox_.flushed(flush_limit); }

void Session::arm() {
    if (finished() || abandoned()) return;
    deadline_.set(next_deadline(), weak_from_this(), &Session::due);
}

void Session::due() {
    guarded([this] { tick(); });
}

void Session::on_fault(const std::exception& error) {
    spdlog::warn("{}: {}", peer_text(), error.what());
    abandon("error", error.what());
}

void Session::abandon(std::string by, std::string reason) {
    if (abandoned() || finished()) return;
    closed_by_ = std::move(by);
    close(std::move(reason));
}

void Session::close(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    if (peer_closed_ && !abandoned()) closed_by_ = "peer";
    unsubscribe();
    deadline_.cancel();
    stop_reading();
}

void Session::stop_reading() {
    boost::system::error_code ignored;
    if (reading_) outbox_.socket().cancel(ignored);
}

void Session::make_room() {
    made_room_ = true;
    abandon("self", seat_.standing() == Seats::Standing::newcomer ? "said nothing, and others wait for the place" : "idle, and others wait for the place");
}

void Session::stops_playing() {
    unsubscribe();
    seat_.stands(Seats::Standing::idle);
}

std::unique_ptr<Subscription> Session::played_out() {
    seat_.stands(Seats::Standing::idle);
    if (subscription_) skipped_ += subscription_->skipped();
    return std::move(subscription_);
}

void Session::unsubscribe() {
    if (subscription_) skipped_ += subscription_->skipped();
    subscription_.reset();
}

void Session::media_sent(SteadyTime now) {
    last_send_ = now;
    seat_.stands(Seats::Standing::busy);
    if (first_send_) return;
    first_send_ = now;
    media_begins();
}

void Session::media_begins() { write(What::media_started); }

void Session::write(What what, boost::json::object fields) { write(what, leg_, std::move(fields), net::text(local_), net::text(remote_)); }

void Session::write(What what, std::string leg, boost::json::object fields, std::string local, std::string remote) {
    if (what == What::received) seat_.speaks();
    fields[field::connection] = connection_;
    server_.context.write(what, flow_, std::move(leg), std::move(fields), std::move(local), std::move(remote));
}

boost::json::object Session::media_fields() const {
    auto fields = digest_.fields();
    if (first_send_) fields[field::first_send] = first_send_->time_since_epoch().count();
    if (skipped_ > 0) fields[field::skipped] = skipped_;
    if (last_send_) fields[field::last_send] = last_send_->time_since_epoch().count();
    return fields;
}

void Session::write_media_end() {
    if (digest_.packets() > 0) write(What::media_ended, media_fields());
}

}  // namespace wmlab::serving
