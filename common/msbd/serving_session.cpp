#include "common/msbd/serving_session.hpp"

#include <algorithm>
#include <cassert>

#include "common/bytes/utf16.hpp"

namespace wmlab::msbd {

ServingSession::ServingSession(ServingOptions options, TimePoint now)
    : options_{std::move(options)},
      packet_id_{options_.first_packet_id},
      connect_deadline_{now + options_.connect_timeout} {}

ServingActions ServingSession::receive(bytes::Bytes received, TimePoint now) {
    ServingActions out;
    if (finished()) return out;
    const auto cut = splitter_.feed(received);
    for (const auto& bytes : cut.messages) {
        if (finished()) return out;
        auto message = parse_message(bytes);
        if (message.has_error()) {
            out.push_back(Malformed{message.error(), head_of(bytes)});
            const auto reason = "malformed message: " + message.error().text();
            const auto base = MSBMSGBASE::parse(bytes);
            if (base.has_value() && base->wMessageId == MSB_MSG_REQ_CONNECT::wMessageId) {
                refuse(bytes::E_INVALIDARG, reason, out);
            } else {
                finish(reason, bytes::NS_E_BAD_CONTROL_DATA, out);
            }
            return out;
        }
        out.push_back(Received{*message, bytes.size(), other_version(bytes)});
        handle(*message, now, out);
    }
    if (cut.error && !finished()) {
        out.push_back(Malformed{*cut.error, head_of(splitter_.unfinished())});
        finish("malformed message: " + cut.error->text(), bytes::NS_E_BAD_CONTROL_DATA, out);
    }
    return out;
}

void ServingSession::handle(const Message& message, TimePoint now, ServingActions& out) {
    const std::string which{name(message)};
    if (std::holds_alternative<UnknownMessage>(message)) return;
    if (const auto* request = std::get_if<MSB_MSG_REQ_CONNECT>(&message)) {
        connect(*request, now, out);
    } else if (state_ == State::wait_connect) {
        finish(which + " before MSB_MSG_REQ_CONNECT", bytes::NS_E_INVALID_REQUEST, out);
    } else if (std::holds_alternative<MSB_MSG_RES_PING>(message)) {
        pong_deadline_.reset();
    } else if (std::holds_alternative<MSB_MSG_REQ_STREAMINFO>(message)) {
        MSB_MSG_RES_STREAMINFO info;
        if (state_ == State::streaming) {
            info.stream = *stream_;
        } else {
            info.hr = bytes::NS_E_NO_STREAM;
        }
        send(info, out);
    } else {
        finish(which + " came from the pulling end", bytes::NS_E_BAD_CONTROL_DATA, out);
    }
}

void ServingSession::connect(const MSB_MSG_REQ_CONNECT& message, TimePoint now, ServingActions& out) {
    if (state_ != State::wait_connect) return refuse(bytes::E_INVALIDARG, "MSB_MSG_REQ_CONNECT a second time", out);
    connect_deadline_.reset();
    if (options_.refuse_all_hr) return refuse(*options_.refuse_all_hr, "refused", out);
    const auto& channels = options_.channels;
    if (!channels.empty() && std::find(channels.begin(), channels.end(), message.szChannel) == channels.end()) {
        const auto channel = bytes::to_utf8(std::u16string_view{message.szChannel}.substr(0, 256));
        return refuse(options_.refused_hr, "unknown channel \"" + channel + "\"", out);
    }
    multicast_ = message.dwFlags == MSB_MSG_REQ_CONNECT::multicast;
    if (multicast_ && !options_.multicast) return refuse(options_.refused_hr, "multicast is not offered", out);
    MSB_MSG_RES_CONNECT connected;
    if (options_.header_in_nsc) connected.dwFlags = MSB_MSG_RES_CONNECT::header_in_nsc;
    if (multicast_) {
        connected.sin_family = MSB_MSG_RES_CONNECT::family_multicast;
        connected.sin_port = options_.multicast->port;
        connected.sin_addr = options_.multicast->address;
    }
    send(connected, out);
    state_ = State::connected;
    ping_due_ = now + options_.ping_interval;
    out.push_back(Connected{message.szChannel, multicast_});
    if (stream_) announce(out);
}

// IND_STREAMINFO of the stream in force.
void ServingSession::announce(ServingActions& out) {
    state_ = State::streaming;
    send(MSB_MSG_IND_STREAMINFO{bytes::S_OK, *stream_}, out);
}

ServingActions ServingSession::stream(StreamInfo stream, TimePoint) {
    ServingActions out;
    assert(!problem(stream));
    if (finished() || state_ == State::drain || problem(stream)) return out;
    stream_ = std::move(stream);
    if (state_ != State::wait_connect) announce(out);
    return out;
}

ServingActions ServingSession::packet(bytes::Bytes payload, TimePoint) {
    ServingActions out;
    if (state_ != State::streaming || multicast_) return out;
    assert(payload.size() <= MSB_MSG_IND_PACKET::payload_max);
    if (payload.size() > MSB_MSG_IND_PACKET::payload_max) return out;
    SendPacket send;
    send.dwPacketId = packet_id_++;
    send.wStreamId = stream_->wStreamId;
    send.bytes =
        std::make_shared<const std::vector<std::byte>>(packet_message(send.dwPacketId, send.wStreamId, payload));
    out.push_back(std::move(send));
    return out;
}

ServingActions ServingSession::next_stream(StreamInfo stream, TimePoint now) {
    ServingActions out;
    if (finished() || state_ == State::drain || problem(stream)) return out;
    if (state_ == State::streaming) send(MSB_MSG_IND_EOS{}, out);
    auto begun = this->stream(std::move(stream), now);
    out.insert(out.end(), begun.begin(), begun.end());
    return out;
}

ServingActions ServingSession::end(TimePoint now) {
    ServingActions out;
    stream_.reset();
    if (state_ != State::streaming && state_ != State::connected) return out;
    if (state_ == State::streaming) send(MSB_MSG_IND_EOS{}, out);
    send(MSB_MSG_IND_STREAMINFO::empty(), out);
    state_ = State::drain;
    ping_due_.reset();
    pong_deadline_.reset();
    drain_deadline_ = now + options_.drain;
    return out;
}

ServingActions ServingSession::disconnected(TimePoint) {
    ServingActions out;
    if (finished()) return out;
    const bool agreed = state_ == State::drain;
    finish(agreed ? "the pulling end closed after the end" : "the pulling end closed the connection",
           agreed ? bytes::S_OK : bytes::NS_E_CONNECTION_FAILURE, out);
    return out;
}

ServingActions ServingSession::close(std::string reason, std::uint32_t hr, TimePoint) {
    ServingActions out;
    if (!finished()) finish(std::move(reason), hr, out);
    return out;
}

std::optional<TimePoint> ServingSession::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto* deadline : {&connect_deadline_, &ping_due_, &pong_deadline_, &drain_deadline_})
        if (*deadline && (!next || **deadline < *next)) next = *deadline;
    return next;
}

ServingActions ServingSession::tick(TimePoint now) {
    ServingActions out;
    const auto due = [now](const std::optional<TimePoint>& deadline) { return deadline && *deadline <= now; };
    if (finished()) return out;
    if (due(connect_deadline_)) {
        finish("no MSB_MSG_REQ_CONNECT came", bytes::NS_E_TIMEOUT, out);
    } else if (due(pong_deadline_)) {
        finish("no MSB_MSG_RES_PING came", bytes::NS_E_TIMEOUT, out);
    } else if (due(drain_deadline_)) {
        finish("the pulling end did not close after the end", bytes::S_OK, out);
    } else if (due(ping_due_)) {
        ping_due_ = now + options_.ping_interval;
        if (!pong_deadline_) pong_deadline_ = now + options_.ping_timeout;  // of the first that is unanswered
        send(MSB_MSG_REQ_PING{}, out);
    }
    return out;
}

void ServingSession::refuse(std::uint32_t hr, std::string reason, ServingActions& out) {
    MSB_MSG_RES_CONNECT refusal;
    refusal.hr = hr;
    send(refusal, out);
    finish(std::move(reason), hr, out);
}

void ServingSession::send(Message message, ServingActions& out) {
    auto bytes = serialise(message);
    out.push_back(Send{std::move(message), std::move(bytes)});
}

void ServingSession::finish(std::string reason, std::uint32_t hr, ServingActions& out) {
    state_ = State::finished;
    for (auto* deadline : {&connect_deadline_, &ping_due_, &pong_deadline_, &drain_deadline_}) deadline->reset();
    out.push_back(Close{std::move(reason), hr});
}

}  // namespace wmlab::msbd
