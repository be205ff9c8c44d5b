// What a server does with each message of the player.
#include <algorithm>
#include <array>
#include <cmath>

#include "common/bytes/utf16.hpp"
#include "common/mms/server_session.hpp"

namespace wmlab::mms {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// Of a packet pair over TCP (3.2.5.4): random bytes that make packets of 512, 512 and 1056 bytes.
constexpr std::array<std::size_t, 3> packet_pair_bytes = {432, 432, 976};

// Section 2.2.4.25: locationId if it is given, else asfOffset, else position. Players send FFFFFFFF and 0 for "not
// given".
template <class Start>
StartPosition start_position(const Start& start) {
    StartPosition from;
    if (start.locationId != 0 && start.locationId != offset_unused) {
        from.locationId = start.locationId;
    } else if (start.asfOffset != 0 && start.asfOffset != offset_unused) {
        from.asfOffset = start.asfOffset;
    } else if (std::isfinite(start.position) && start.position > 0 && start.position < 1e9) {
        from.position = std::chrono::duration<double>{start.position};
    }
    constexpr std::uint32_t no_limit = 0x00FFFFFF, relative = 0x80000000;
    const auto end = start.frameOffset;
    if ((end & relative) != 0) {
        from.length = milliseconds{end & ~relative};
    } else if (end != 0 && end != no_limit && !from.locationId && !from.asfOffset) {
        const auto begin = from.position ? duration_cast<milliseconds>(*from.position) : milliseconds{0};
        from.length = std::max(milliseconds{0}, milliseconds{end} - begin);
    }
    return from;
}

}  // namespace

void ServerSession::on(const LinkViewerToMacConnect& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportConnectedEX report;
    report.ServerVersionInfo = bytes::to_utf16(options_.server_version);
    if (player_) {
        report.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(report, LinkViewerToMacConnect::name, report.hr, "a second time", now, out);
    }
    player_ = SubscriberName::parse(message.subscriberName);
    idle_deadline_ = now + options_.idle_timeout;
    ping_deadline_ = now + options_.keep_alive;
    if (options_.connect_refused_hr) {
        report.hr = *options_.connect_refused_hr;
        return refuse(report, LinkViewerToMacConnect::name, report.hr, "refused", now, out);
    }
    if (options_.packet_pair && message.playIncarnation == MMS_USE_PACKET_PAIR)
        report.playIncarnation = MMS_USE_PACKET_PAIR;
    send(report, now, out);
}

void ServerSession::on(const LinkViewerToMacFunnelInfo& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportFunnelInfo report;
    report.nCubs = options_.client_id;
    const bool pair_over_tcp =
        message.playIncarnation == MMS_USE_PACKET_PAIR || message.playIncarnation == MMS_PACKET_PAIR_TCP_HIGH_ENTROPY;
    if (options_.packet_pair && pair_over_tcp) {
        report.playIncarnation = MMS_PACKET_PAIR_TCP_HIGH_ENTROPY;
        for (const auto size : packet_pair_bytes) {
            report.packet_pair = random_bytes(size);
            send(report, now, out);
        }
        return;
    }
    if (options_.packet_pair && message.playIncarnation == MMS_PACKET_PAIR_UDP_HIGH_ENTROPY) {
        report.playIncarnation = MMS_PACKET_PAIR_UDP_HIGH_ENTROPY;
        udp_pair_wanted_ = true;
    }
    send(report, now, out);
}

void ServerSession::on(const LinkViewerToMacConnectFunnel& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportDisconnectedFunnel refusal;
    if (streaming()) {
        refusal.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(refusal, LinkViewerToMacConnectFunnel::name, refusal.hr, "while streaming", now, out);
    }
    funnel_.reset();
    const auto wanted = FunnelName::parse(message.funnelName);
    if (!wanted) {
        refusal.hr = bytes::E_INVALIDARG;
        return send(refusal, now, out);  // another ConnectFunnel may follow
    }
    if (wanted->transport == Transport::udp ? !options_.allow_udp : !options_.allow_tcp) {
        refusal.hr = options_.transport_refused_hr;
        return send(refusal, now, out);
    }
    funnel_ = wanted;
    history_.clear();  // holds consecutive numbers only
    history_size_ = 0;
    send(LinkMacToViewerReportConnectedFunnel{}, now, out);
}

void ServerSession::on(const LinkViewerToMacOpenFile& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportOpenFile refusal;
    refusal.playIncarnation = message.playIncarnation;
    if (!funnel_) {
        refusal.hr = bytes::NS_E_NOFUNNEL;
        return refuse(refusal, LinkViewerToMacOpenFile::name, refusal.hr, "before an accepted ConnectFunnel", now, out);
    }
    if (streaming() || opening_) {
        refusal.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(refusal, LinkViewerToMacOpenFile::name, refusal.hr, "while a file is open", now, out);
    }
    header_parts_.clear();
    header_deadline_.reset();
    opening_ = true;
    open_incarnation_ = message.playIncarnation;
    content_.reset();
    state_ = State::init;
    out.push_back(OpenRequest{bytes::to_utf8(message.fileName)});
}

void ServerSession::on(const LinkViewerToMacSecurityResponse&, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportOpenFile refusal;
    refusal.hr = bytes::NS_E_INVALID_REQUEST;
    refuse(refusal, LinkViewerToMacSecurityResponse::name, refusal.hr, "without a challenge", now, out);
}

void ServerSession::on(const LinkViewerToMacReadBlock& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportReadBlock report;
    report.playIncarnation = message.playIncarnation;
    if (!content_ || streaming()) {
        // MPlayer gets here after a failed OpenFile; it waits until the connection is closed.
        report.hr = bytes::NS_E_INVALID_REQUEST;
        const auto why = streaming() ? "while streaming" : "with no file open";
        return refuse(report, LinkViewerToMacReadBlock::name, report.hr, why, now, out);
    }
    if (udp_pair_wanted_ && udp_port()) send_packet_pair(out);  // before the report, so the first UDP on the wire
    send(report, now, out);
    send_header(static_cast<std::uint8_t>(message.playIncarnation), true, now, out);
    if (header_parts_.empty()) state_ = State::ready;
}

void ServerSession::on(const LinkViewerToMacCancelReadBlock&, TimePoint, ServerActions&) {
    header_parts_.clear();
    header_deadline_.reset();
}

void ServerSession::on(const LinkViewerToMacStreamSwitch& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportStreamSwitch report;
    if (!content_) {
        report.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(report, LinkViewerToMacStreamSwitch::name, report.hr, "with no file open", now, out);
    }
    out.push_back(StreamsSelected{message.aStreamEntries});
    send(report, now, out);
}

void ServerSession::on(const LinkViewerToMacStartPlaying& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportStartedPlaying report;
    report.playIncarnation = message.playIncarnation;
    if (!content_ || state_ == State::init) {
        report.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(report, LinkViewerToMacStartPlaying::name, report.hr, "before the header was read", now, out);
    }
    send(report, now, out);
    start(start_position(message), message.acceleration, message.playIncarnation, out);
}

void ServerSession::on(const LinkViewerToMacStartStriding& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportStartStriding report;
    report.playIncarnation = message.playIncarnation;
    if (!content_ || state_ == State::init) {
        report.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(report, LinkViewerToMacStartStriding::name, report.hr, "before the header was read", now, out);
    }
    if (message.rate != 1) {  // only real time is offered; the session goes on
        report.hr = bytes::E_INVALIDARG;
        return send(report, now, out);
    }
    send(report, now, out);
    start(start_position(message), std::nullopt, message.playIncarnation, out);
}

void ServerSession::start(StartPosition from, std::optional<Acceleration> acceleration, std::uint32_t incarnation,
                          ServerActions& out) {
    media_incarnation_ = static_cast<std::uint8_t>(incarnation);
    end_incarnation_ = incarnation;
    if (streaming()) return;  // 3.2.5.11: the position is ignored, the media goes on under its new number
    state_ = State::streaming;
    idle_deadline_.reset();
    close_deadline_.reset();
    out.push_back(StartMedia{content_->live ? StartPosition{} : from, acceleration});
}

void ServerSession::on(const LinkViewerToMacStopPlaying& message, TimePoint now, ServerActions& out) {
    LinkMacToViewerReportEndOfStream report;
    report.playIncarnation = message.playIncarnation;
    if (!content_) {
        report.hr = bytes::NS_E_INVALID_REQUEST;
        return refuse(report, LinkViewerToMacStopPlaying::name, report.hr, "with no file open", now, out);
    }
    stop_streaming(now, out);
    send(report, now, out);  // also when the stream had just ended by itself: the two messages may have crossed
}

void ServerSession::on(const LinkViewerToMacLogging&, TimePoint, ServerActions&) {}  // for the journal only
void ServerSession::on(const LinkViewerToMacPong&, TimePoint, ServerActions&) {}     // any message stops the timer

void ServerSession::on(const LinkViewerToMacCloseFile&, TimePoint, ServerActions& out) {
    finish("the player closed the file", bytes::S_OK, out);
}

}  // namespace wmlab::mms
