// What a player does with each message of the server.
#include "common/bytes/utf16.hpp"
#include "common/mms/player_session.hpp"

namespace wmlab::mms {
namespace {

constexpr unsigned packet_pair_reports = 3;

}  // namespace

bool PlayerSession::refused(std::uint32_t hr, std::string_view what, PlayerActions& out) {
    if (!bytes::is_failure(hr)) return false;
    finish({false, hr, std::string{what} + ": " + bytes::hresult_text(hr), {}}, out);
    return true;
}

void PlayerSession::on(const LinkMacToViewerReportConnectedEX& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::connecting) return out_of_order(message, out);
    if (refused(message.hr, "the server refused the connection", out)) return;
    server_version_ = message.ServerVersionInfo;
    if (!options_.funnel_info) return connect_funnel(now, out);
    LinkViewerToMacFunnelInfo info;
    if (message.playIncarnation == MMS_USE_PACKET_PAIR) {
        if (options_.packet_pair == PacketPair::tcp) info.playIncarnation = MMS_PACKET_PAIR_TCP_HIGH_ENTROPY;
        if (options_.packet_pair == PacketPair::udp) info.playIncarnation = MMS_PACKET_PAIR_UDP_HIGH_ENTROPY;
    }
    request(info, State::funnel_info, now, out);
}

void PlayerSession::on(const LinkMacToViewerReportFunnelInfo& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::funnel_info) return out_of_order(message, out);
    if (refused(message.hr, "the server refused FunnelInfo", out)) return;
    client_id_ = message.nCubs;
    if (message.playIncarnation == MMS_PACKET_PAIR_TCP_HIGH_ENTROPY) {
        ++statistics_.packet_pairs;
        if (++funnel_reports_ < packet_pair_reports) return;  // and so the reply timer runs on
    }
    connect_funnel(now, out);
}

void PlayerSession::connect_funnel(TimePoint now, PlayerActions& out) {
    LinkViewerToMacConnectFunnel funnel;
    // Over TCP the port means nothing, but must be one.
    const auto port = options_.local_port == 0 ? std::uint16_t{1037} : options_.local_port;
    funnel.funnelName = FunnelName{options_.local_address, transport_, port}.text();
    request(funnel, State::funnel, now, out);
}

void PlayerSession::on(const LinkMacToViewerReportConnectedFunnel& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::funnel) return out_of_order(message, out);
    if (refused(message.hr, "the server refused the transport", out)) return;
    LinkViewerToMacOpenFile open;
    open.playIncarnation = incarnation(Purpose::open);
    open.fileName = bytes::to_utf16(options_.fileName);
    request(open, State::opening, now, out);
}

void PlayerSession::on(const LinkMacToViewerReportDisconnectedFunnel& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::funnel) return out_of_order(message, out);
    out.push_back(FunnelRefused{message.hr});
    if (transport_ == Transport::udp && options_.tcp_after_refusal) {
        transport_ = Transport::tcp;
        return connect_funnel(now, out);
    }
    const std::string transport = transport_ == Transport::udp ? "UDP" : "TCP";
    finish({false, message.hr, "the server refused " + transport + ": " + bytes::hresult_text(message.hr), {}}, out);
}

void PlayerSession::on(const LinkMacToViewerReportOpenFile& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::opening) return out_of_order(message, out);
    if (bytes::is_failure(message.hr)) {
        const auto why = "the server did not open \"" + options_.fileName + "\": " + bytes::hresult_text(message.hr);
        send(LinkViewerToMacCloseFile{}, out);
        return finish({false, message.hr, why, {}}, out);
    }
    file_ = message;
    packet_size_ = message.filePacketSize;
    bit_rate_ = message.fileBitRate;
    header_size_ = message.fileHeaderSize;
    out.push_back(FileOpened{message});
    header_attempt_ = 0;
    read_block(now, out);
}

void PlayerSession::on(const LinkMacToViewerReportRedirect& message, TimePoint, PlayerActions& out) {
    if (state_ != State::opening) return out_of_order(message, out);
    const auto location = bytes::to_utf8(message.wszLocation);
    finish({false, message.hr, "the server redirects to " + location, location}, out);
}

void PlayerSession::on(const LinkMacToViewerSecurityChallenge& message, TimePoint, PlayerActions& out) {
    if (state_ != State::opening) return out_of_order(message, out);
    finish({false, bytes::E_ACCESSDENIED, "the server asks for authentication", {}}, out);
}

void PlayerSession::on(const LinkMacToViewerReportReadBlock& message, TimePoint now, PlayerActions& out) {
    // Over UDP the header may be complete before this; after a retry, answers to both come.
    if (reads_unanswered_ == 0) return out_of_order(message, out);
    --reads_unanswered_;
    if (state_ != State::header) return;
    if (refused(message.hr, "the server does not send the header", out)) return;
    if (transport_ == Transport::udp) {
        reply_deadline_.reset();  // the Header timer runs
        if (datagrams_lost_) header_missing(now, out);
    } else {
        reply_deadline_ = now + options_.reply_timeout;
        awaited_ = "LinkViewerToMacReadBlock with the header";
    }
}

void PlayerSession::on(const LinkMacToViewerReportStreamSwitch& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::selecting) return out_of_order(message, out);
    reply_deadline_.reset();
    awaited_.clear();
    if (refused(message.hr, "the server refused the choice of streams", out)) return;
    if (entry_follows_) {
        state_ = State::playing;
    } else if (options_.autoplay) {
        start_playing(now, out);
    } else {
        state_ = State::ready;
        out.push_back(Ready{});
    }
}

void PlayerSession::on(const LinkMacToViewerReportStartedPlaying& message, TimePoint, PlayerActions& out) {
    if (state_ == State::stopping) return;  // crossed with our Stop
    if (state_ != State::starting) return out_of_order(message, out);
    reply_deadline_.reset();
    awaited_.clear();
    if (refused(message.hr, "the server does not start the stream", out)) return;
    state_ = State::playing;
    out.push_back(PlayingStarted{});
}

void PlayerSession::on(const LinkMacToViewerReportStartStriding& message, TimePoint, PlayerActions& out) {
    out_of_order(message, out);  // never asked for
}

void PlayerSession::on(const LinkMacToViewerReportEndOfStream& message, TimePoint now, PlayerActions& out) {
    const bool stopped = state_ == State::stopping;
    const bool ended = state_ == State::playing || state_ == State::starting;
    if (!stopped && !ended) {
        // The stream's own end and our Stop may have crossed; then there are two of these.
        const bool may_cross = state_ == State::ready || state_ == State::draining || state_ == State::between;
        return may_cross ? void() : out_of_order(message, out);
    }
    // The answer to an earlier Stop, while the next Start is under way.
    if (ended && message.playIncarnation != play_incarnation_ && state_ == State::starting) return;
    reply_deadline_.reset();
    awaited_.clear();
    end_hr_ = message.hr;
    if (stopped && after_stop_) {
        start_at_ = *after_stop_;
        after_stop_.reset();
        return start_playing(now, out);
    }
    if (stopped && !stop_for_good_) {
        state_ = State::ready;
        out.push_back(Ready{});
        return;
    }
    if (ended) {
        out.push_back(StreamEnded{message.hr});
        if (message.hr == bytes::S_FALSE) {
            state_ = State::between;
            reply_deadline_ = now + options_.reply_timeout;
            awaited_ = "with LinkMacToViewerReportStreamChange";
            return;
        }
        // Lost packets at the very end leave no gap; that they are missing follows from the file's packet count.
        const bool whole = !start_at_.length && !options_.streams && !entry_follows_ && last_location_;
        if (transport_ == Transport::udp && whole && file_->filePacketCount > std::uint64_t{*last_location_} + 1) {
            const auto tail = file_->filePacketCount - 1 - *last_location_;
            for (std::uint32_t i = 0; i < tail && resends_.miss_tail(tracker_.next() + i, now); ++i) {
            }
        }
    }
    begin_draining(now, out);
}

void PlayerSession::begin_draining(TimePoint now, PlayerActions& out) {
    if (transport_ == Transport::tcp) return finish_stream(out);
    state_ = State::draining;
    drain_deadline_ = now + options_.linger;
    ask_resends(now, out);
}

void PlayerSession::on(const LinkMacToViewerReportStreamChange& message, TimePoint now, PlayerActions& out) {
    if (state_ != State::between && state_ != State::playing) return out_of_order(message, out);
    packet_size_ = message.cbPacketSize;
    header_size_ = message.cbHeaderSize;
    bit_rate_ = message.dwBitRate;
    file_->filePacketCount = 0;  // how many the entry has is not told
    start_at_ = {};
    header_attempt_ = 0;
    if (transport_ == Transport::udp) return read_block(now, out);
    entry_follows_ = true;
    header_parts_.begin();
    header_incarnation_ = play_incarnation_ = message.dwTcpHdrIncarnation;
    last_location_.reset();
    state_ = State::header;
    reply_deadline_ = now + options_.reply_timeout;
    awaited_ = "with the header of the next entry";
}

void PlayerSession::on(const LinkMacToViewerPing&, TimePoint, PlayerActions& out) { send(LinkViewerToMacPong{}, out); }

void PlayerSession::out_of_order(const Message& message, PlayerActions& out) {
    const std::string when = awaited_.empty() ? "was not asked for" : "came instead of the answer to " + awaited_;
    finish({false, bytes::NS_E_BAD_CONTROL_DATA, std::string{name(message)} + " " + when, {}}, out);
}

}  // namespace wmlab::mms
