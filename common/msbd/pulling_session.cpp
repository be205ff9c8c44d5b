#include "common/msbd/pulling_session.hpp"

#include <algorithm>

namespace wmlab::msbd {
namespace {

constexpr std::uint32_t missing_ids_max = 1024;

}  // namespace

PullingActions PullingSession::start(TimePoint now) {
    PullingActions out;
    if (state_ != State::start) return out;
    state_ = State::wait_res;
    deadline_ = now + options_.connect_timeout;
    MSB_MSG_REQ_CONNECT connect;
    if (options_.multicast) connect.dwFlags = MSB_MSG_REQ_CONNECT::multicast;
    connect.szChannel = options_.channel;
    send(connect, out);
    return out;
}

PullingActions PullingSession::receive(bytes::Bytes received, TimePoint now) {
    PullingActions out;
    if (finished() || state_ == State::start) return out;
    const auto cut = splitter_.feed(received);
    if (!cut.messages.empty()) silence_deadline_ = now + options_.silence_timeout;
    for (const auto& bytes : cut.messages) {
        if (finished()) return out;
        auto message = parse_message(bytes);
        if (message.has_error()) {
            out.push_back(Malformed{message.error(), head_of(bytes)});
            finish({false, bytes::NS_E_BAD_CONTROL_DATA, "malformed message: " + message.error().text()}, out);
            return out;
        }
        if (!std::holds_alternative<MSB_MSG_IND_PACKET>(*message))
            out.push_back(Received{*message, bytes.size(), other_version(bytes)});
        handle(std::move(*message), now, out);
    }
    if (cut.error && !finished()) {
        out.push_back(Malformed{*cut.error, head_of(splitter_.unfinished())});
        finish({false, bytes::NS_E_BAD_CONTROL_DATA, "malformed message: " + cut.error->text()}, out);
    }
    return out;
}

PullingActions PullingSession::datagram(bytes::Bytes datagram, TimePoint) {
    PullingActions out;
    if (finished() || !multicast_) return out;
    auto message = parse_message(datagram);
    if (message.has_error()) {
        out.push_back(Malformed{message.error(), head_of(datagram)});
    } else if (auto* arrived = std::get_if<MSB_MSG_IND_PACKET>(&*message)) {
        packet(std::move(*arrived), out);
    } else {
        ++statistics_.dropped;  // only IND_PACKET goes over UDP
    }
    return out;
}

void PullingSession::handle(Message message, TimePoint now, PullingActions& out) {
    const std::string which{name(message)};
    if (std::holds_alternative<UnknownMessage>(message)) return;
    if (const auto* answer = std::get_if<MSB_MSG_RES_CONNECT>(&message)) {
        connected(*answer, now, out);
    } else if (state_ == State::wait_res) {
        finish({false, bytes::NS_E_BAD_CONTROL_DATA, which + " came instead of MSB_MSG_RES_CONNECT"}, out);
    } else if (auto* arrived = std::get_if<MSB_MSG_IND_PACKET>(&message)) {
        packet(std::move(*arrived), out);
    } else if (std::holds_alternative<MSB_MSG_REQ_PING>(message)) {
        ++statistics_.pings;
        send(MSB_MSG_RES_PING{}, out);
    } else if (auto* ind = std::get_if<MSB_MSG_IND_STREAMINFO>(&message)) {
        stream_info(ind->hr, std::move(ind->stream), false, out);
    } else if (auto* res = std::get_if<MSB_MSG_RES_STREAMINFO>(&message)) {
        stream_info(res->hr, std::move(res->stream), true, out);
    } else if (std::holds_alternative<MSB_MSG_IND_EOS>(message)) {
        if (state_ != State::receiving) {
            return finish({false, bytes::NS_E_BAD_CONTROL_DATA, which + " with no stream under way"}, out);
        }
        state_ = State::wait_stream;
        stream_ended_ = true;
        deadline_ = now + options_.stream_timeout;
        out.push_back(StreamEnded{});
    } else {
        finish({false, bytes::NS_E_BAD_CONTROL_DATA, which + " came from the serving end"}, out);
    }
}

void PullingSession::connected(const MSB_MSG_RES_CONNECT& message, TimePoint now, PullingActions& out) {
    if (state_ != State::wait_res)
        return finish({false, bytes::NS_E_BAD_CONTROL_DATA, "MSB_MSG_RES_CONNECT a second time"}, out);
    if (bytes::is_failure(message.hr))
        return finish({false, message.hr, "refused: " + bytes::hresult_text(message.hr)}, out);
    if (message.sin_family == MSB_MSG_RES_CONNECT::family_multicast) {
        const bool is_group = message.sin_addr >> 28 == 0xE && message.sin_port != 0;
        if (!options_.multicast || !is_group) {
            const auto why = options_.multicast ? "granted multicast to an address that is no group"
                                                : "granted multicast that was not asked for";
            return finish({false, bytes::NS_E_BAD_CONTROL_DATA, std::string{"the serving end "} + why}, out);
        }
        multicast_ = true;
        out.push_back(JoinGroup{{message.sin_addr, message.sin_port}});
    }
    state_ = State::wait_stream;
    deadline_ = now + options_.stream_timeout;
    silence_deadline_ = now + options_.silence_timeout;
}

void PullingSession::stream_info(std::uint32_t hr, StreamInfo stream, bool asked_for, PullingActions& out) {
    if (bytes::is_failure(hr)) {
        if (asked_for) return;  // no stream yet, or no more; IND_STREAMINFO will tell
        const bool end = hr == bytes::NS_E_NO_STREAM;
        return finish({end, end ? bytes::S_OK : hr, end ? "the stream has ended" : bytes::hresult_text(hr)}, out);
    }
    // The answer to REQ_STREAMINFO says what is known, unless the stream changed meanwhile.
    if (asked_for && stream_ == stream && state_ == State::receiving) return;
    if (state_ == State::wait_stream && stream_ended_ && asked_for) return;  // of the entry that is over
    state_ = State::receiving;
    stream_ended_ = false;
    deadline_.reset();
    stream_ = std::move(stream);
    out.push_back(StreamStarted{*stream_});
}

void PullingSession::packet(MSB_MSG_IND_PACKET packet, PullingActions& out) {
    const bool known = state_ == State::receiving && packet.wStreamId == stream_->wStreamId;
    const bool fits = known && (stream_->cbPacketSize == 0 || packet.bPayload.size() <= stream_->cbPacketSize);
    // The ids run on whatever becomes of the packets, so a dropped one is not missing, too.
    std::uint32_t missing = 0;
    const std::uint32_t ahead = last_id_ ? packet.dwPacketId - *last_id_ : 1;
    if (ahead == 0 || ahead >= 0x80000000) {
        if (missing_ids_.erase(packet.dwPacketId) == 0) return void(++statistics_.repeated);
        --statistics_.missing;
    } else {
        missing = ahead - 1;
        for (std::uint32_t i = 0; i < std::min(missing, missing_ids_max); ++i)
            missing_ids_.insert(packet.dwPacketId - 1 - i);
        while (missing_ids_.size() > missing_ids_max) missing_ids_.erase(missing_ids_.begin());
        last_id_ = packet.dwPacketId;
    }
    statistics_.missing += missing;
    if (!fits) {
        ++statistics_.dropped;
        return;
    }
    ++statistics_.packets;
    statistics_.bytes += packet.bPayload.size();
    out.push_back(PacketReceived{packet.dwPacketId, packet.wStreamId, std::move(packet.bPayload), missing});
}

PullingActions PullingSession::request_stream_info(TimePoint) {
    PullingActions out;
    if (state_ == State::wait_stream || state_ == State::receiving) send(MSB_MSG_REQ_STREAMINFO{}, out);
    return out;
}

PullingActions PullingSession::stop(TimePoint) {
    PullingActions out;
    if (!finished()) finish({stream_.has_value(), bytes::S_OK, "stopped"}, out);
    return out;
}

PullingActions PullingSession::disconnected(TimePoint) {
    PullingActions out;
    if (finished()) return out;
    const auto when = state_ == State::receiving  ? "in the middle of the stream"
                      : state_ == State::wait_res ? "without an answer to MSB_MSG_REQ_CONNECT"
                                                  : "before MSB_MSG_IND_STREAMINFO";
    finish({false, bytes::NS_E_CONNECTION_FAILURE, std::string{"the serving end closed the connection "} + when}, out);
    return out;
}

std::optional<TimePoint> PullingSession::next_deadline() const {
    if (deadline_ && silence_deadline_) return std::min(*deadline_, *silence_deadline_);
    return deadline_ ? deadline_ : silence_deadline_;
}

PullingActions PullingSession::tick(TimePoint now) {
    PullingActions out;
    if (finished()) return out;
    if (deadline_ && *deadline_ <= now) {
        const auto what = state_ == State::wait_res ? "MSB_MSG_RES_CONNECT" : "MSB_MSG_IND_STREAMINFO";
        finish({false, bytes::NS_E_TIMEOUT, std::string{"no "} + what + " came"}, out);
    } else if (silence_deadline_ && *silence_deadline_ <= now) {
        finish({false, bytes::NS_E_TIMEOUT, "the serving end went silent"}, out);
    }
    return out;
}

void PullingSession::send(Message message, PullingActions& out) {
    auto bytes = serialise(message);
    out.push_back(Send{std::move(message), std::move(bytes)});
}

void PullingSession::finish(Finished finished, PullingActions& out) {
    state_ = State::finished;
    deadline_.reset();
    silence_deadline_.reset();
    out.push_back(std::move(finished));
}

}  // namespace wmlab::msbd
