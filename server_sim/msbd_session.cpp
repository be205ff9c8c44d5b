#include "server_sim/msbd_session.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/bytes/utf16.hpp"
#include "common/process/msbd_words.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

msbd::ServingOptions serving_options(const Server& server, const Peers::Seat& seat) {
    msbd::ServingOptions options;
    options.connect_timeout = std::min(options.connect_timeout, server.limits.first_message);
    if (seat.in_all() > server.limits.sessions || seat.of_peer() > server.limits.sessions_per_peer)
        options.refuse_all_hr = bytes::NS_E_TOO_MANY_SESS;
    return options;
}

}  // namespace

MsbdSession::MsbdSession(Server& server, std::shared_ptr<PublishingPoint> usual, net::tcp::socket socket,
                         std::string flow)
    : server_{server},
      point_{std::move(usual)},
      outbox_{std::move(socket), server.limits.queue},
      local_{net::text(outbox_.local())},
      peer_{net::text(outbox_.remote())},
      flow_{std::move(flow)},
      connection_{server.next_connection()},
      seat_{server.peers, outbox_.remote().address()},
      protocol_{serving_options(server, seat_), Clock::now()},
      timer_{server.context.io} {}

MsbdSession::~MsbdSession() = default;

asio::awaitable<void> MsbdSession::run() {
    const auto self = shared_from_this();
    write(What::accepted);
    spdlog::info("{}: connected", peer_);
    arm();
    std::vector<std::byte> buffer(read_size);
    while (!protocol_.finished() && closed_by_.empty()) {
        reading_ = true;
        const auto [error, size] =
            co_await outbox_.socket().async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
        reading_ = false;
        if (!closed_by_.empty() || protocol_.finished()) break;
        if (error == asio::error::operation_aborted) {
            abandon("self", "the process is stopping");
        } else if (error == asio::error::eof) {
            closed_by_ = "peer";
            perform(protocol_.disconnected(Clock::now()));
        } else if (error) {
            abandon("error", net::Failure::of(error, milliseconds{0}).text());
        } else {
            perform(protocol_.receive({buffer.data(), size}, Clock::now()));
        }
    }
    subscription_.reset();
    timer_.cancel();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        co_await asio::this_coro::reset_cancellation_state();
    else if (!outbox_.slow() && closed_by_ != "error" && closed_by_ != "peer")
        co_await outbox_.flushed(flush_limit);
    write_media_end();
    boost::json::object fields;
    fields["by"] = closed_by_.empty() ? "self" : closed_by_;
    fields["reason"] = reason_;
    write(What::closed, std::move(fields));
    spdlog::info("{}: closed: {}", peer_, reason_);
    outbox_.close(outbox_.slow());
    if (server_.msbd_over) server_.msbd_over(flow_, digest_.packets());
}

void MsbdSession::end() {
    subscription_.reset();
    if (protocol_.state() == msbd::ServingSession::State::wait_connect)
        return abandon("self", "the process is stopping");
    perform(protocol_.end(Clock::now()));
}

void MsbdSession::on_packet(const Packet& packet) {
    sending_ = *packet.bytes;
    perform(protocol_.packet(sending_, Clock::now()));
}

void MsbdSession::on_end() {
    const auto ended = std::move(subscription_);  // we are called by it
    perform(protocol_.end(Clock::now()));
}

// The stream changes on the way: the next entry of a playlist.
void MsbdSession::on_header() {
    digest_.header(point_->header().raw);
    perform(protocol_.next_stream(stream_info(), Clock::now()));
}

void MsbdSession::on_ready() {
    const auto waited = std::move(subscription_);  // we are called by it
    if (point_->ready()) return begin();
    perform(protocol_.end(Clock::now()));
}

void MsbdSession::perform(const msbd::ServingActions& actions) {
    for (const auto& action : actions) {
        std::visit([this](const auto& one) { act(one); }, action);
        if (!closed_by_.empty() && !protocol_.finished()) return;
    }
    arm();
}

void MsbdSession::act(const msbd::Received& action) {
    auto fields = process::message_fields(action.message, action.size);
    if (action.other_version) fields["other_version"] = true;
    write(What::received, std::move(fields));
}

void MsbdSession::act(const msbd::Malformed& action) {
    write(What::malformed, process::malformed_fields(action));
    spdlog::warn("{}: malformed message: {}", peer_, action.error.text());
}

void MsbdSession::act(const msbd::Send& action) {
    write(What::sent, process::message_fields(action.message, action.bytes.size()));
    if (!outbox_.send(action.bytes) && !outbox_.broken())
        abandon("self", "the puller does not read: more than the queue's size is waiting");
}

void MsbdSession::act(const msbd::SendPacket& action) {
    const auto now = Clock::now().time_since_epoch();
    if (!first_send_) {
        first_send_ = now;
        write(What::media_started);
    }
    last_send_ = now;
    digest_.packet(action.dwPacketId, sending_);
    if (outbox_.send(action.bytes) || outbox_.broken()) return;  // of a broken connection the read says why
    abandon("self", "the puller does not read: " + std::to_string(outbox_.queued()) + " bytes are waiting");
}

void MsbdSession::act(const msbd::Connected& action) {
    const auto known = server_.aliases.find(bytes::to_utf8(action.szChannel));
    if (flow_.empty() && known != server_.aliases.end()) flow_ = known->second;
    if (auto named = server_.points.find(bytes::to_utf8(action.szChannel))) point_ = std::move(named);
    if (point_->ready()) return begin();
    subscription_ = point_->wait(*this, server_.limits.source);
}

void MsbdSession::begin() {
    auto info = stream_info();
    if (const auto problem = msbd::problem(info))
        return perform(
            protocol_.close("`" + point_->name() + "` does not fit MSBD: " + *problem, bytes::E_FAIL, Clock::now()));
    digest_.header(point_->header().raw);
    perform(protocol_.stream(std::move(info), Clock::now()));
    subscription_ = point_->subscribe(*this);
    if (point_->live()) protocol_.number_from(static_cast<std::uint32_t>(point_->next_number()));
}

msbd::StreamInfo MsbdSession::stream_info() {
    constexpr std::uint16_t ids = 0x800;  // 0 to 7FF
    const auto& header = point_->header();
    msbd::StreamInfo info;
    info.wStreamId = stream_id_ = static_cast<std::uint16_t>((stream_id_ + 1) % ids);
    info.cbPacketSize = static_cast<std::uint16_t>(std::min<std::uint32_t>(header.packet_size, UINT16_MAX));
    info.dwBitRate = header.maximum_bit_rate;
    if (!point_->live()) {
        info.cTotalPackets = static_cast<std::uint32_t>(point_->content().packet_count().value_or(0));
        info.msDuration = static_cast<std::uint32_t>(header.play_duration.count());
    }
    info.title = bytes::to_utf8(header.title);
    info.header = header.raw;
    return info;
}

void MsbdSession::act(const msbd::Close& action) {
    if (reason_.empty()) reason_ = action.reason;
    subscription_.reset();
    timer_.cancel();
    stop_reading();
}

void MsbdSession::arm() {
    if (protocol_.finished() || !closed_by_.empty()) return;
    const auto deadline = protocol_.next_deadline();
    if (!deadline) return;
    if (armed_ && timer_.expiry() == *deadline) return;
    armed_ = true;
    timer_.expires_at(*deadline);
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        const auto self = weak.lock();
        if (!self || error) return;
        self->armed_ = false;
        self->perform(self->protocol_.tick(Clock::now()));
    });
}

void MsbdSession::abandon(std::string by, std::string reason) {
    if (!closed_by_.empty() || protocol_.finished()) return;
    closed_by_ = std::move(by);
    reason_ = std::move(reason);
    subscription_.reset();
    timer_.cancel();
    stop_reading();
}

void MsbdSession::stop_reading() {
    boost::system::error_code ignored;
    if (reading_) outbox_.socket().cancel(ignored);
}

void MsbdSession::write(What what, boost::json::object fields) {
    fields["connection"] = connection_;
    server_.context.write(what, flow_, "msbd", std::move(fields), local_, peer_);
}

void MsbdSession::write_media_end() {
    if (digest_.packets() == 0) return;
    auto fields = digest_.fields();
    if (first_send_) fields["first_send"] = first_send_->count();
    if (last_send_) fields["last_send"] = last_send_->count();
    write(What::media_ended, std::move(fields));
}

}  // namespace wmlab::server_sim
