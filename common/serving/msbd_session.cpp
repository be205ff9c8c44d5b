#include "common/serving/msbd_session.hpp"

#include <spdlog/spdlog.h>

#include "common/bytes/utf16.hpp"
#include "common/process/malformed.hpp"
#include "common/process/msbd_words.hpp"

namespace wmlab::serving {
namespace {

using evidence::What;

msbd::ServingOptions serving_options(const Server& server, bool too_many) {
    msbd::ServingOptions options;
    options.connect_timeout = std::min(options.connect_timeout, server.limits.first_message);
    if (too_many) options.refuse_all_hr = bytes::NS_E_TOO_MANY_SESS;
    return options;
}

}  // namespace

MsbdSession::MsbdSession(Server& server, std::shared_ptr<PublishingPoint> usual, net::tcp::socket socket, std::string flow)
    : Session{server, server.seats_msbd, std::move(socket), "msbd"}, point_{std::move(usual)}, protocol_{serving_options(server, too_many()), Clock::now()} {
    flow_ = std::move(flow);
}

void MsbdSession::receive(std::span<const std::byte> bytes) { perform(protocol_.receive(bytes, Clock::now())); }

void MsbdSession::closed() {
    if (server_.msbd_over) server_.msbd_over(flow_, digest_.packets());
}

void MsbdSession::end() {
    guarded([this] {
        subscription_.reset();
        if (protocol_.state() == msbd::ServingSession::State::wait_connect) return abandon("self", "the process is stopping");
        perform(protocol_.end(Clock::now()));
    });
}

void MsbdSession::on_packet(const Packet& packet) {
    sending_ = *packet.bytes;
    perform(protocol_.packet(sending_, Clock::now()));
}

void MsbdSession::on_end() {
    const auto ended = played_out();  // we are called by it
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
        if (abandoned() && !finished()) return;
    }
    arm();
}

void MsbdSession::act(const msbd::Received& action) {
    auto fields = process::message_fields(action.message, action.size);
    if (action.other_version) fields[field::other_version] = true;
    write(What::received, std::move(fields));
}

void MsbdSession::act(const msbd::Malformed& action) {
    write(What::malformed, process::malformed_fields("MSBD message", action.error, action.head));
    spdlog::warn("{}: malformed message: {}", peer_text(), action.error.text());
}

void MsbdSession::act(const msbd::Send& action) {
    write(What::sent, process::message_fields(action.message, action.bytes.size()));
    if (!outbox_.send(action.bytes) && !outbox_.broken()) abandon("self", "the puller does not read: more than the queue's size is waiting");
}

void MsbdSession::act(const msbd::SendPacket& action) {
    media_sent(Clock::now());
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
        return perform(protocol_.close("`" + point_->name() + "` does not fit MSBD: " + *problem, bytes::E_FAIL, Clock::now()));
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

}  // namespace wmlab::serving
