#include "common/mms/server_session.hpp"

#include <algorithm>
#include <cassert>
#include <type_traits>

#include "common/bytes/utf16.hpp"

namespace wmlab::mms {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::uint32_t openFileId = 1;  // must be 1: most players send 1 back whatever they were given

void earliest(std::optional<TimePoint>& deadline, const std::optional<TimePoint>& other) {
    if (other && (!deadline || *other < *deadline)) deadline = other;
}

}  // namespace

ServerSession::ServerSession(ServerOptions options, TimePoint now)
    : options_{std::move(options)},
      splitter_{StreamDirection::to_server, options_.message_size_max},
      resend_tokens_{static_cast<double>(options_.resends_per_second)},
      resend_time_{now},
      random_{options_.seed},
      idle_deadline_{now + options_.connect_timeout} {}

std::optional<std::uint16_t> ServerSession::udp_port() const {
    if (!funnel_ || funnel_->transport != Transport::udp) return std::nullopt;
    return funnel_->port;
}

// --- from the network

ServerActions ServerSession::receive(bytes::Bytes control, TimePoint now) {
    ServerActions out;
    if (finished()) return out;
    auto cut = splitter_.feed(control);
    for (auto& item : cut.items) {
        for (const auto& bytes : std::get<MessagePacket>(item).messages) {
            if (finished()) return out;
            auto message = parse_message(bytes);
            if (message.has_error()) {
                out.push_back(Malformed{message.error(), head_of(bytes), "MMS message"});
                finish("malformed message: " + message.error().text(), bytes::NS_E_BAD_CONTROL_DATA, out);
                return out;
            }
            if (player_) ping_deadline_ = now + options_.keep_alive;
            if (player_ && !streaming()) idle_deadline_ = now + options_.idle_timeout;
            out.push_back(Received{*message, bytes.size()});
            handle(*message, now, out);
        }
    }
    if (cut.error && !finished()) {
        out.push_back(Malformed{*cut.error, head_of(splitter_.unfinished()), "TcpMessageHeader"});
        finish("malformed packet: " + cut.error->text(), bytes::NS_E_BAD_CONTROL_DATA, out);
    }
    return out;
}

void ServerSession::handle(const Message& message, TimePoint now, ServerActions& out) {
    const std::string which{name(message)};
    if (!player_ && !std::holds_alternative<LinkViewerToMacConnect>(message)) {
        finish(which + " before LinkViewerToMacConnect", bytes::NS_E_INVALID_REQUEST, out);
        return;
    }
    std::visit(
        [&](const auto& known) {
            if constexpr (requires { on(known, now, out); }) {
                on(known, now, out);
            } else if (!from_player(message)) {
                finish(which + " came from the player", bytes::NS_E_BAD_CONTROL_DATA, out);
            }  // else: a MID that MS-MMSP does not have, of the player's range; it is in the journal and needs no
               // answer
        },
        message);
}

ServerActions ServerSession::datagram(bytes::Bytes datagram, TimePoint now) {
    ServerActions out;
    if (finished()) return out;
    const auto request = RequestPacketListResend::parse(datagram);
    if (request.has_error()) {
        out.push_back(Malformed{request.error(), head_of(datagram), "RequestPacketListResend"});
        return out;
    }
    if (request->dwClientId != options_.client_id || request->wSourceId != openFileId || !udp_port()) return out;
    // Requests are easily forged (MS-MMSP 5.1), so there is a limit to what they can make us send.
    const auto rate = static_cast<double>(options_.resends_per_second);
    resend_tokens_ = std::min(rate, resend_tokens_ + rate * std::chrono::duration<double>(now - resend_time_).count());
    resend_time_ = now;
    for (const auto sequence : request->dwBeginPacketList) {
        if (resend_tokens_ < 1) break;
        auto copy = sent_before(sequence);
        if (!copy) continue;  // too old, or never sent
        out.push_back(std::move(*copy));
        resend_tokens_ -= 1;
        ++resends_;
    }
    return out;
}

// --- from the embedder

ServerActions ServerSession::opened(Content content, TimePoint now) {
    if (finished() || !opening_) return {};
    if (content.header.empty() || content.packet_size == 0 || content.packet_size > Data::payload_max)
        return open_failed(bytes::E_FAIL, now);  // no Data packet could carry it
    ServerActions out;
    opening_ = false;
    LinkMacToViewerReportOpenFile report;
    report.playIncarnation = open_incarnation_;
    report.openFileId = openFileId;
    using Report = LinkMacToViewerReportOpenFile;
    if (content.live) {
        report.fileAttributes = Report::is_broadcast | Report::is_live;
    } else {
        if (content.can_seek) report.fileAttributes |= Report::can_seek;
        if (content.can_seek && content.has_video && content.can_stride) report.fileAttributes |= Report::can_stride;
        report.fileDuration = content.duration.count() > 0 ? content.duration.count() : 0;
        report.fileBlocks = static_cast<std::uint32_t>(std::min(std::ceil(report.fileDuration), 4294967295.0));
        report.filePacketCount = content.packet_count;
    }
    if (content.playlist) report.fileAttributes |= Report::is_playlist;
    report.filePacketSize = content.packet_size;
    report.fileBitRate = content.bit_rate;
    report.fileHeaderSize = static_cast<std::uint32_t>(content.header.size());
    content_ = std::move(content);
    send(report, now, out);
    return out;
}

ServerActions ServerSession::open_failed(std::uint32_t hr, TimePoint now) {
    if (finished() || !opening_) return {};
    ServerActions out;
    opening_ = false;
    LinkMacToViewerReportOpenFile report;
    report.hr = hr;
    report.playIncarnation = open_incarnation_;
    report.openFileId = 0;
    send(report, now, out);
    return out;
}

ServerActions ServerSession::redirect(std::string location, TimePoint now) {
    if (finished() || !opening_) return {};
    ServerActions out;
    opening_ = false;
    LinkMacToViewerReportRedirect report;
    report.wszLocation = bytes::to_utf16(location);
    send(report, now, out);
    finish("redirected to " + location, bytes::S_OK, out);
    return out;
}

ServerActions ServerSession::media(std::uint32_t LocationId, bytes::Bytes asf_packet, TimePoint) {
    ServerActions out;
    if (!streaming() || end_deadline_) return out;
    assert(asf_packet.size() <= content_->packet_size);
    if (asf_packet.size() > content_->packet_size) return out;  // players have no room for more than they were told
    SendData data;
    data.LocationId = LocationId;
    data.sequence = sequence_++;
    data.packet = std::make_shared<const std::vector<std::byte>>(
        data_packet(LocationId, media_incarnation_, static_cast<std::uint8_t>(data.sequence), asf_packet));
    if (udp_port()) {
        history_size_ += data.packet->size();
        history_.push_back(data);
        while (history_.size() > options_.history_packets || history_size_ > options_.history_bytes) {
            history_size_ -= history_.front().packet->size();
            history_.pop_front();
        }
    }
    send_data(std::move(data), out);
    return out;
}

std::optional<MediaHead> ServerSession::shared_media(std::uint32_t LocationId, std::size_t packet_size) {
    if (!streaming() || end_deadline_ || packet_size > content_->packet_size) return std::nullopt;
    MediaHead head;
    head.sequence = sequence_++;
    const auto whole = packet_size + Data::header_size;
    const auto octet = [](std::size_t value, unsigned shift) { return static_cast<std::byte>(value >> shift & 0xFF); };
    head.octets = {octet(LocationId, 0),     octet(LocationId, 8),    octet(LocationId, 16), octet(LocationId, 24),
                   octet(media_incarnation_, 0), octet(head.sequence, 0), octet(whole, 0),       octet(whole, 8)};
    if (udp_port()) keep_run(head.sequence, LocationId);
    return head;
}

void ServerSession::keep_run(std::uint32_t sequence, std::uint32_t LocationId) {
    constexpr std::size_t runs_max = 64;
    const bool goes_on = !runs_.empty() && runs_.back().sequence + runs_.back().count == sequence &&
                         runs_.back().LocationId + runs_.back().count == LocationId &&
                         runs_.back().incarnation == media_incarnation_;
    if (goes_on) {
        ++runs_.back().count;
    } else {
        if (runs_.size() == runs_max) {
            in_runs_ -= runs_.front().count;
            runs_.erase(runs_.begin());
        }
        runs_.push_back({sequence, LocationId, 1, media_incarnation_});
    }
    if (++in_runs_ <= options_.history_packets) return;
    --in_runs_;
    auto& oldest = runs_.front();
    ++oldest.sequence, ++oldest.LocationId;
    if (--oldest.count == 0) runs_.erase(runs_.begin());
}

std::optional<SendData> ServerSession::sent_before(std::uint32_t sequence) const {
    SendData copy;
    copy.kind = DataKind::resend;
    copy.transport = Transport::udp;
    copy.sequence = sequence;
    const auto own = std::ranges::find(history_, sequence, &SendData::sequence);
    if (own != history_.end()) {
        copy.LocationId = own->LocationId;
        copy.packet = own->packet;
        return copy;
    }
    const auto run =
        std::ranges::find_if(runs_, [&](const Run& one) { return sequence - one.sequence < one.count; });
    if (run == runs_.end() || !options_.again) return std::nullopt;
    copy.LocationId = run->LocationId + (sequence - run->sequence);
    const auto packet = options_.again(copy.LocationId);
    if (!packet || packet->size() > Data::payload_max) return std::nullopt;
    copy.packet = std::make_shared<const std::vector<std::byte>>(
        data_packet(copy.LocationId, run->incarnation, static_cast<std::uint8_t>(sequence), *packet));
    return copy;
}

ServerActions ServerSession::end_of_media(TimePoint now) {
    ServerActions out;
    if (!streaming() || end_deadline_) return out;
    if (udp_port() && options_.end_of_stream_delay > milliseconds{0}) {
        // Over TCP the message would overtake the last datagrams; resends are answered meanwhile.
        end_deadline_ = now + options_.end_of_stream_delay;
    } else {
        end_of_stream(now, out);
    }
    return out;
}

ServerActions ServerSession::next_content(Content content, TimePoint now) {
    ServerActions out;
    if (!streaming() || content.header.empty() || content.packet_size == 0 || content.packet_size > Data::payload_max)
        return out;
    end_deadline_.reset();
    send(LinkMacToViewerReportEndOfStream{bytes::S_FALSE, end_incarnation_, {}}, now, out);
    LinkMacToViewerReportStreamChange change;
    change.cbPacketSize = content.packet_size;
    change.cbHeaderSize = static_cast<std::uint32_t>(content.header.size());
    change.dwBitRate = content.bit_rate;
    content_ = std::move(content);
    send(change, now, out);
    if (udp_port()) {
        stop_streaming(now, out);  // until ReadBlock and StartPlaying
    } else {
        // The media follows under the header's number, and must not come before it.
        media_incarnation_ = static_cast<std::uint8_t>(change.dwTcpHdrIncarnation);
        send_header(media_incarnation_, false, now, out);
    }
    return out;
}

ServerActions ServerSession::close(std::string reason, std::uint32_t hr, TimePoint) {
    ServerActions out;
    if (!finished()) finish(std::move(reason), hr, out);
    return out;
}

// --- from the clock

std::optional<TimePoint> ServerSession::next_deadline() const {
    std::optional<TimePoint> next;
    for (const auto* deadline : {&idle_deadline_, &ping_deadline_, &header_deadline_, &end_deadline_, &close_deadline_})
        earliest(next, *deadline);
    return next;
}

ServerActions ServerSession::tick(TimePoint now) {
    ServerActions out;
    const auto due = [now](std::optional<TimePoint>& deadline) {
        if (!deadline || *deadline > now) return false;
        deadline.reset();
        return true;
    };
    if (finished()) return out;
    if (due(header_deadline_) && !header_parts_.empty()) send_header_parts(now, out);
    if (due(end_deadline_)) end_of_stream(now, out);
    if (due(close_deadline_)) {
        finish("the stream has ended", bytes::S_OK, out);
    } else if (due(idle_deadline_)) {
        finish(player_ ? "the player was idle for too long" : "no LinkViewerToMacConnect came", bytes::NS_E_TIMEOUT,
               out);
    } else if (due(ping_deadline_)) {
        ping_deadline_ = now + options_.keep_alive;
        send(LinkMacToViewerPing{}, now, out);
    }
    return out;
}

// --- sending

void ServerSession::send(Message message, TimePoint now, ServerActions& out) {
    if (!first_sent_) first_sent_ = now;
    const auto timeSent = static_cast<std::uint64_t>(duration_cast<milliseconds>(now - *first_sent_).count());
    auto packet = framer_.frame(serialise(message), timeSent);
    out.push_back(Send{std::move(message), std::move(packet)});
}

void ServerSession::send_data(SendData data, ServerActions& out) {
    data.transport = udp_port() ? Transport::udp : Transport::tcp;
    out.push_back(std::move(data));
}

void ServerSession::send_header(std::uint8_t incarnation, bool paced, TimePoint now, ServerActions& out) {
    const bytes::Bytes header{content_->header};
    // Players expect no part above filePacketSize.
    auto part_max = std::max<std::size_t>(1, std::min<std::size_t>(options_.header_part_max, content_->packet_size));
    // At a low bit rate in smaller parts, so that the player hears of it twice a second.
    constexpr std::size_t part_min = 64;
    const bool pace = paced && options_.pace_header && content_->bit_rate != 0;
    if (pace && header.size() > part_max)
        part_max = std::min(part_max, std::max<std::size_t>(part_min, content_->bit_rate / 16));
    header_parts_.clear();
    std::uint32_t LocationId = 0;
    for (std::size_t at = 0; at < header.size(); at += part_max, ++LocationId) {
        const auto part = header.subspan(at, std::min(part_max, header.size() - at));
        const bool last = at + part.size() == header.size();
        SendData data;
        data.kind = DataKind::header;
        data.LocationId = LocationId;
        data.packet = std::make_shared<const std::vector<std::byte>>(
            data_packet(LocationId, incarnation, last ? Data::AFFlags_header_last : Data::AFFlags_header_part, part));
        header_parts_.push_back(std::move(data));
    }
    if (pace) {
        header_due_ = now;
        return send_header_parts(now, out);
    }
    for (auto& part : header_parts_) send_data(std::move(part), out);
    header_parts_.clear();
}

// The parts that are due, and when the next one is: by the rate of all of them, however late the clock tells.
void ServerSession::send_header_parts(TimePoint now, ServerActions& out) {
    while (!header_parts_.empty() && header_due_ <= now) {
        auto part = std::move(header_parts_.front());
        header_parts_.pop_front();
        // Of the header itself: with the heads of its parts it would outlast the player's timer, a second more than this (3.1.2).
        const auto size = part.packet->size() - Data::header_size;
        const std::chrono::duration<double> took{8.0 * static_cast<double>(size) / content_->bit_rate};
        header_due_ += duration_cast<Duration>(took);
        send_data(std::move(part), out);
    }
    if (!header_parts_.empty()) {
        header_deadline_ = header_due_;
    } else if (state_ == State::init) {
        state_ = State::ready;
    }
}

void ServerSession::send_packet_pair(ServerActions& out) {
    for (std::uint32_t i = 0; i < 2; ++i) {
        SendData data;
        data.kind = DataKind::packet_pair;
        data.LocationId = Data::LocationId_packet_pair + i;
        data.packet = std::make_shared<const std::vector<std::byte>>(
            data_packet(data.LocationId, Data::playIncarnation_packet_pair, Data::AFFlags_packet_pair,
                        random_bytes(Data::packet_pair_payload)));
        send_data(std::move(data), out);
    }
}

void ServerSession::refuse(Message report, std::string_view request, std::uint32_t hr, std::string_view why,
                           TimePoint now, ServerActions& out) {
    send(std::move(report), now, out);
    finish(std::string{request} + " " + std::string{why}, hr, out);
}

void ServerSession::stop_streaming(TimePoint now, ServerActions& out) {
    end_deadline_.reset();
    if (!streaming()) return;
    state_ = State::ready;
    idle_deadline_ = now + options_.idle_timeout;
    out.push_back(StopMedia{});
}

void ServerSession::end_of_stream(TimePoint now, ServerActions& out) {
    end_deadline_.reset();
    state_ = State::ready;
    idle_deadline_ = now + options_.idle_timeout;
    if (options_.close_after_end) close_deadline_ = now + *options_.close_after_end;
    send(LinkMacToViewerReportEndOfStream{bytes::S_OK, end_incarnation_, {}}, now, out);
}

void ServerSession::finish(std::string reason, std::uint32_t hr, ServerActions& out) {
    if (streaming()) out.push_back(StopMedia{});
    out.push_back(Close{std::move(reason), hr});
    state_ = State::finished;
    for (auto* deadline : {&idle_deadline_, &ping_deadline_, &header_deadline_, &end_deadline_, &close_deadline_})
        deadline->reset();
    header_parts_.clear();
    history_.clear();
    history_size_ = 0;
    runs_.clear();
    in_runs_ = 0;
}

std::vector<std::byte> ServerSession::random_bytes(std::size_t count) {
    std::vector<std::byte> bytes(count);
    std::generate(bytes.begin(), bytes.end(), [this] {  // splitmix64: 8 bytes of state for each player
        auto next = random_ += 0x9E3779B97F4A7C15U;
        next = (next ^ (next >> 30)) * 0xBF58476D1CE4E5B9U;
        next = (next ^ (next >> 27)) * 0x94D049BB133111EBU;
        return static_cast<std::byte>((next ^ (next >> 31)) & 0xFF);
    });
    return bytes;
}

}  // namespace wmlab::mms
