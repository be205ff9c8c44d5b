#include "common/mms/player_session.hpp"

#include <algorithm>
#include <charconv>

#include "common/bytes/utf16.hpp"
#include "common/mms/asf_streams.hpp"

namespace wmlab::mms {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

// "4.1.0.3928" as four parts of 16 bits, the way CLIENT_LOG wants it.
std::uint64_t version_number(std::string_view text) {
    std::uint64_t number = 0;
    for (int part = 0; part < 4; ++part) {
        std::uint16_t value = 0;
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
        number = number << 16 | (problem == std::errc{} ? value : 0u);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (!text.empty()) text.remove_prefix(1);
    }
    return number;
}

// A duration as CLIENT_LOG has it. A server may say anything, also "not a number".
std::uint32_t log_milliseconds(double seconds) {
    return seconds > 0 ? static_cast<std::uint32_t>(std::min(seconds * 1000, 4294967295.0)) : 0;
}

// The number may be any byte but 00, which is reserved, FF, which means a packet pair, and CE: a Data packet beginning
// .. .. .. .. CE FA 0B B0 would look like a TcpMessageHeader.
std::uint32_t next_number(std::uint32_t& counter, std::uint32_t first, std::uint32_t last) {
    if (counter < first || counter > last) counter = first;
    const auto number = counter++;
    if (counter == 0xCE) ++counter;
    return number;
}

}  // namespace

PlayerSession::PlayerSession(PlayerOptions options)
    : options_{std::move(options)},
      splitter_{StreamDirection::to_player, options_.message_size_max},
      transport_{options_.transport},
      header_parts_{options_.header_size_max},
      start_at_{options_.start},
      resends_{{options_.resend_delay, options_.resend_wait, options_.resend_attempts}} {}

std::uint32_t PlayerSession::incarnation(Purpose purpose) {
    switch (options_.incarnations) {
        case Incarnations::open_players:
            return purpose == Purpose::open ? 1 : purpose == Purpose::header ? 2 : 4;
        case Incarnations::media_player_9:
            if (purpose == Purpose::header) return next_number(next_header_incarnation_, 1, 8);
            return next_number(next_incarnation_, 9, 0xFE);
        case Incarnations::shared_counter:
            break;
    }
    return next_number(next_incarnation_, 1, 0xFE);
}

// --- from the network

PlayerActions PlayerSession::start(TimePoint now) {
    PlayerActions out;
    if (state_ != State::start) return out;
    LinkViewerToMacConnect connect;
    if (options_.packet_pair != PacketPair::none) connect.playIncarnation = MMS_USE_PACKET_PAIR;
    connect.subscriberName = SubscriberName{options_.product, options_.version, options_.guid, options_.host}.text();
    request(connect, State::connecting, now, out);
    return out;
}

PlayerActions PlayerSession::receive(bytes::Bytes control, TimePoint now) {
    PlayerActions out;
    if (finished() || state_ == State::start) return out;
    auto cut = splitter_.feed(control);
    for (auto& item : cut.items) {
        if (finished()) return out;
        if (const auto* packet = std::get_if<Data>(&item)) {
            data(*packet, now, out);
            continue;
        }
        for (const auto& bytes : std::get<MessagePacket>(item).messages) {
            if (finished()) return out;
            auto message = parse_message(bytes);
            if (message.has_error()) {
                out.push_back(Malformed{message.error(), head_of(bytes), "MMS message"});
                finish({false, bytes::NS_E_BAD_CONTROL_DATA, "malformed message: " + message.error().text(), {}}, out);
                return out;
            }
            out.push_back(Received{*message, bytes.size()});
            handle(*message, now, out);
        }
    }
    if (cut.error && !finished()) {
        out.push_back(Malformed{*cut.error, head_of(splitter_.unfinished()), "TcpMessageHeader or Data"});
        finish({false, bytes::NS_E_BAD_CONTROL_DATA, "malformed packet: " + cut.error->text(), {}}, out);
    }
    return out;
}

PlayerActions PlayerSession::datagram(bytes::Bytes datagram, TimePoint now) {
    PlayerActions out;
    if (finished() || state_ == State::start) return out;
    const auto packet = Data::parse(datagram);
    if (packet.has_error()) {
        out.push_back(Malformed{packet.error(), head_of(datagram), "Data"});
        return out;
    }
    data(*packet, now, out);
    return out;
}

PlayerActions PlayerSession::disconnected(TimePoint) {
    PlayerActions out;
    if (finished()) return out;
    if (state_ == State::draining) {
        finish({!bytes::is_failure(end_hr_), end_hr_, "the stream has ended and the server closed the connection", {}},
               out);
    } else {
        std::string when = awaited_.empty() ? "while nothing was asked" : "instead of answering " + awaited_;
        if (state_ == State::playing) when = "while playing";
        finish({false, bytes::NS_E_CONNECTION_FAILURE, "the server closed the control connection " + when, {}}, out);
    }
    return out;
}

void PlayerSession::handle(const Message& message, TimePoint now, PlayerActions& out) {
    std::visit(
        [&](const auto& known) {
            if constexpr (requires { on(known, now, out); }) {
                on(known, now, out);
            } else if (from_player(message)) {
                finish({false, bytes::NS_E_BAD_CONTROL_DATA, std::string{name(message)} + " came from the server", {}},
                       out);
            }  // else: a MID that MS-MMSP does not have; it is in the journal and needs no answer
        },
        message);
}

// --- the header

Duration PlayerSession::header_timer() const {
    // 3.1.2: a second, and the time the header takes at the stream's bit rate, however long: what ends a wait for nothing is
    // the deadline of silence.
    constexpr double longest = 3600;
    double seconds = 1;
    if (bit_rate_ != 0) seconds += 8.0 * header_size_ / bit_rate_;
    return duration_cast<Duration>(std::chrono::duration<double>{std::min(seconds, longest)});
}

void PlayerSession::read_block(TimePoint now, PlayerActions& out) {
    if (header_size_ > options_.header_size_max) {
        const auto why = "fileHeaderSize " + std::to_string(header_size_) + " is above the limit";
        return finish({false, bytes::NS_E_BAD_CONTROL_DATA, why, {}}, out);
    }
    ++header_attempt_;
    entry_follows_ = false;
    header_parts_.begin();
    header_asked_ = now;
    LinkViewerToMacReadBlock read;
    read.openFileId = file_->openFileId;
    read.playIncarnation = header_incarnation_ = incarnation(Purpose::header);
    ++reads_unanswered_;
    request(read, State::header, now, out);
    if (transport_ != Transport::udp) return;
    header_deadline_ = now + header_timer();
    if (header_attempt_ == 1) silence_deadline_ = now + options_.reply_timeout;
}

void PlayerSession::data(const Data& data, TimePoint now, PlayerActions& out) {
    const bool pair_location = data.LocationId - Data::LocationId_packet_pair <= 1;
    if (data.playIncarnation == Data::playIncarnation_packet_pair && data.AFFlags == Data::AFFlags_packet_pair &&
        pair_location) {
        ++statistics_.packet_pairs;
    } else if (state_ == State::header && data.playIncarnation == (header_incarnation_ & 0xFF)) {
        header_part(data, now, out);
    } else if (play_incarnation_ != 0 && data.playIncarnation == (play_incarnation_ & 0xFF)) {
        media(data, true, now, out);
    } else if (earlier_incarnation_ != 0 && data.playIncarnation == (earlier_incarnation_ & 0xFF)) {
        media(data, false, now, out);
    } else {
        ++statistics_.stray;
    }
}

void PlayerSession::header_part(const Data& data, TimePoint now, PlayerActions& out) {
    switch (header_parts_.add(data)) {
        case HeaderParts::Added::part:
            // A header is sent no faster than its stream (3.2.5.8.1): each part is a sign of life.
            (transport_ == Transport::udp ? silence_deadline_ : reply_deadline_) = now + options_.reply_timeout;
            break;
        case HeaderParts::Added::duplicate:
            return;
        case HeaderParts::Added::stray:
            ++statistics_.stray;
            return;
        case HeaderParts::Added::too_large:
            return finish({false, bytes::NS_E_BAD_CONTROL_DATA, "the header is larger than the limit", {}}, out);
    }
    if (!header_parts_.complete(header_size_)) return;
    header_ = header_parts_.header();
    header_parts_.begin();
    header_deadline_.reset();
    silence_deadline_.reset();
    reply_deadline_.reset();
    awaited_.clear();
    out.push_back(HeaderComplete{header_});
    select_streams(now, out);
}

void PlayerSession::select_streams(TimePoint now, PlayerActions& out) {
    LinkViewerToMacStreamSwitch streams;
    if (options_.streams) {
        streams.aStreamEntries = *options_.streams;
    } else {
        for (const auto number : asf_stream_numbers(header_))
            streams.aStreamEntries.push_back({.wDstStreamNumber = number});
        if (streams.aStreamEntries.empty()) streams.aStreamEntries.push_back({.wDstStreamNumber = 1});
    }
    request(streams, State::selecting, now, out);
}

// --- playing

void PlayerSession::start_playing(TimePoint now, PlayerActions& out) {
    LinkViewerToMacStartPlaying start;
    start.openFileId = file_->openFileId;
    if (start_at_.locationId) {
        start.locationId = *start_at_.locationId;
        if (start.locationId != 0) start.position = position_unused;
    } else if (start_at_.asfOffset) {
        start.asfOffset = *start_at_.asfOffset;
        if (start.asfOffset != 0) start.position = position_unused;
    } else if (start_at_.position) {
        start.position = start_at_.position->count();
    }
    if (start_at_.length) {
        const auto length = std::clamp<std::int64_t>(start_at_.length->count(), 0, 0x7FFFFFFF);
        start.frameOffset = 0x80000000 | static_cast<std::uint32_t>(length);
    }
    earlier_incarnation_ = play_incarnation_;
    start.playIncarnation = play_incarnation_ = incarnation(Purpose::play);
    tracker_.restart();
    last_location_.reset();
    request(start, State::starting, now, out);
}

void PlayerSession::media(const Data& data, bool current, TimePoint now, PlayerActions& out) {
    if (packet_size_ != 0 && data.Payload.size() > packet_size_) {
        const bytes::ParseError error{6, "PacketSize", "is above filePacketSize " + std::to_string(packet_size_)};
        out.push_back(Malformed{error, head_of(data.serialise()), "Data"});
        return;
    }
    MediaReceived received;
    received.LocationId = data.LocationId;
    if (transport_ == Transport::tcp) {
        received.sequence = tcp_sequence_++;  // nothing is lost, and not all servers count in AFFlags
    } else {
        const auto arrival = tracker_.arrived(data.AFFlags, current ? std::optional{data.LocationId} : std::nullopt);
        received.sequence = arrival.sequence;
        received.duplicate = arrival.duplicate;
        std::uint64_t given_up = arrival.skipped - arrival.missing.size();
        MediaLost lost;
        for (const auto missing : arrival.missing) {
            if (resends_.miss(missing, now)) continue;
            lost.sequences.push_back(missing);
            ++given_up;
        }
        statistics_.lost += given_up;
        if (!lost.sequences.empty()) out.push_back(std::move(lost));
        received.resent = resends_.arrived(arrival.sequence, arrival.duplicate);
        if (received.resent && !received.duplicate) ++statistics_.recovered;
    }
    if (received.duplicate) {
        ++statistics_.duplicates;
    } else {
        ++statistics_.packets;
        statistics_.bytes += data.Payload.size();
        if (current && (!last_location_ || data.LocationId > *last_location_)) last_location_ = data.LocationId;
    }
    if (!first_media_) first_media_ = now;
    last_media_ = now;
    received.packet = data.Payload;
    out.push_back(std::move(received));
}

void PlayerSession::ask_resends(TimePoint now, PlayerActions& out) {
    auto due = resends_.due(now, client_id_.has_value());
    statistics_.lost += due.lost.size();
    if (!due.lost.empty()) out.push_back(MediaLost{std::move(due.lost)});
    for (auto rest = std::span{due.ask}; !rest.empty();) {
        const auto some = rest.first(std::min(RequestPacketListResend::count_max, rest.size()));
        send_resend_request({some.begin(), some.end()}, false, out);
        rest = rest.subspan(some.size());
    }
}

void PlayerSession::send_resend_request(std::vector<std::uint32_t> sequences, bool on_purpose, PlayerActions& out) {
    RequestPacketListResend request;
    request.dwClientId = *client_id_;
    request.wSourceId = static_cast<std::uint16_t>(file_->openFileId);
    request.dwBeginPacketList = std::move(sequences);
    statistics_.resend_requests += request.dwBeginPacketList.size();
    auto packet = request.serialise();
    out.push_back(SendDatagram{std::move(request.dwBeginPacketList), std::move(packet), on_purpose});
}

PlayerActions PlayerSession::request_again(std::uint32_t sequence, TimePoint) {
    PlayerActions out;
    if (finished() || transport_ != Transport::udp || !client_id_ || !file_) return out;
    resends_.ask_on_purpose(sequence);
    send_resend_request({sequence}, true, out);
    return out;
}

PlayerActions PlayerSession::play(StartPosition from, TimePoint now) {
    PlayerActions out;
    if (state_ != State::ready) return out;
    start_at_ = from;
    start_playing(now, out);
    return out;
}

void PlayerSession::stop_playing(TimePoint now, PlayerActions& out) {
    LinkViewerToMacStopPlaying stop;
    stop.openFileId = file_->openFileId;
    stop.playIncarnation = play_incarnation_;
    request(stop, State::stopping, now, out);
}

PlayerActions PlayerSession::pause(TimePoint now) {
    PlayerActions out;
    if (state_ == State::playing || state_ == State::starting) stop_playing(now, out);
    return out;
}

PlayerActions PlayerSession::resume(TimePoint now) {
    StartPosition from;
    const bool live = file_ && (file_->fileAttributes & LinkMacToViewerReportOpenFile::is_live) != 0;
    if (!live && last_location_) from.locationId = *last_location_ + 1;
    return play(from, now);
}

PlayerActions PlayerSession::seek(StartPosition to, TimePoint now) {
    PlayerActions out;
    if (state_ == State::ready) return play(to, now);
    if (state_ != State::playing && state_ != State::starting) return out;
    after_stop_ = to;
    stop_playing(now, out);
    return out;
}

PlayerActions PlayerSession::stop(TimePoint now) {
    PlayerActions out;
    switch (state_) {
        case State::finished:
            break;
        case State::playing:
        case State::starting:
            stop_for_good_ = true;
            stop_playing(now, out);
            break;
        case State::stopping:
            stop_for_good_ = true;
            after_stop_.reset();
            break;
        case State::ready:
        case State::between:
        case State::draining:
            finish_stream(out);
            break;
        default:
            if (file_) send(LinkViewerToMacCloseFile{}, out);
            finish({false, bytes::S_OK, "stopped before the stream had started", {}}, out);
    }
    return out;
}

// --- from the clock

std::optional<TimePoint> PlayerSession::next_deadline() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](const std::optional<TimePoint>& deadline) {
        if (deadline && (!next || *deadline < *next)) next = deadline;
    };
    if (finished()) return next;
    consider(reply_deadline_);
    consider(header_deadline_);
    consider(silence_deadline_);
    consider(drain_deadline_);
    consider(resends_.next());
    return next;
}

PlayerActions PlayerSession::tick(TimePoint now) {
    PlayerActions out;
    if (finished()) return out;
    if (silence_deadline_ && *silence_deadline_ <= now) header_missing(now, out);
    if (!finished() && header_deadline_ && *header_deadline_ <= now) header_silent(now, out);
    if (!finished() && reply_deadline_ && *reply_deadline_ <= now) time_out(now, out);
    if (finished()) return out;
    ask_resends(now, out);
    if (state_ == State::draining && resends_.none() && drain_deadline_ && *drain_deadline_ <= now) finish_stream(out);
    // The last resends decide; their own deadlines lead back here.
    if (drain_deadline_ && *drain_deadline_ <= now && !resends_.none()) drain_deadline_ = resends_.last();
    return out;
}

void PlayerSession::time_out(TimePoint, PlayerActions& out) {
    reply_deadline_.reset();
    finish({false, bytes::NS_E_TIMEOUT, "the server did not answer " + awaited_, {}}, out);
}

void PlayerSession::header_silent(TimePoint now, PlayerActions& out) {
    header_deadline_.reset();
    MediaSilent silent;
    silent.attempt = header_attempt_;
    silent.waited = duration_cast<milliseconds>(now - header_asked_);
    silent.retrying = header_attempt_ <= options_.header_retries;
    if (!silent.retrying) return header_missing(now, out);
    out.push_back(silent);
    send(LinkViewerToMacCancelReadBlock{header_incarnation_, {}}, out);
    read_block(now, out);
}

PlayerActions PlayerSession::datagrams_lost(TimePoint now) {
    PlayerActions out;
    datagrams_lost_ = true;
    if (transport_ == Transport::udp && state_ == State::header && reads_unanswered_ == 0) header_missing(now, out);
    return out;
}

void PlayerSession::header_missing(TimePoint now, PlayerActions& out) {
    MediaSilent silent;
    silent.attempt = header_attempt_;
    silent.waited = duration_cast<milliseconds>(now - header_asked_);
    out.push_back(silent);
    const auto times = header_attempt_ == 1 ? " time" : " times";
    const auto why = "no header came over UDP, asked for " + std::to_string(header_attempt_) + times;
    finish({false, bytes::NS_E_TIMEOUT, why, {}}, out);
}

// --- sending

void PlayerSession::send(Message message, PlayerActions& out) {
    auto packet = framer_.frame(serialise(message));
    out.push_back(Send{std::move(message), std::move(packet)});
}

void PlayerSession::request(Message message, State next, TimePoint now, PlayerActions& out) {
    state_ = next;
    reply_deadline_ = now + options_.reply_timeout;
    awaited_ = name(message);
    send(std::move(message), out);
}

CLIENT_LOG PlayerSession::log() const {
    CLIENT_LOG log;
    const auto bounded = [](std::uint64_t value) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xFFFFFFFF));
    };
    auto& info = log.info;
    if (!options_.url.empty()) info.szURL = options_.url;
    info.szUserAgent = options_.product + "/" + options_.version;
    info.qwClientVersion = version_number(options_.version);
    info.szUniquePID = "{" + options_.guid.text() + "}";
    info.msFileDuration = log_milliseconds(file_->fileDuration);
    info.qwFileSize = file_->filePacketCount * std::uint64_t{file_->filePacketSize};
    if (info.qwFileSize != 0) info.qwFileSize += file_->fileHeaderSize;
    if (first_media_) {
        const auto played = duration_cast<milliseconds>(*last_media_ - *first_media_).count();
        info.msPlayed = bounded(static_cast<std::uint64_t>(played));
        if (played > 0) info.dwAvgBandwidthBps = bounded(statistics_.bytes * 8000 / static_cast<std::uint64_t>(played));
    }
    if (start_at_.position) info.msStartTime = log_milliseconds(start_at_.position->count());
    info.qwBytesReceived = statistics_.bytes;
    info.dwPacketsReceived = bounded(statistics_.packets);
    info.dwPacketsLostClient = bounded(statistics_.lost);
    const auto all = statistics_.packets + statistics_.lost;
    info.dwMinReceptionQuality = all == 0 ? 0 : bounded(statistics_.packets * 100 / all);
    log.dwSourceId = file_->openFileId;
    log.szTransport = transport_ == Transport::udp ? "UDP" : "TCP";
    log.dwPacketsLostNet = bounded(statistics_.lost);
    log.dwResendRequests = bounded(statistics_.resend_requests);
    log.dwPacketsRecoveredResent = bounded(statistics_.recovered);
    log.dwPacketsResent = bounded(statistics_.recovered);
    return log;
}

void PlayerSession::finish_stream(PlayerActions& out) {
    if (options_.logging) send(LinkViewerToMacLogging{log(), {}}, out);
    LinkViewerToMacCloseFile close;
    close.openFileId = file_->openFileId;
    send(close, out);
    const auto reason = stop_for_good_ ? std::string{"stopped"} : std::string{"the stream has ended"};
    const bool failed = bytes::is_failure(end_hr_);
    finish({!failed, end_hr_, failed ? "the stream ended: " + bytes::hresult_text(end_hr_) : reason, {}}, out);
}

void PlayerSession::finish(Finished finished, PlayerActions& out) {
    state_ = State::finished;
    reply_deadline_.reset();
    header_deadline_.reset();
    silence_deadline_.reset();
    drain_deadline_.reset();
    resends_.clear();
    out.push_back(std::move(finished));
}

}  // namespace wmlab::mms
