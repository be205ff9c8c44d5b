#include "server_sim/mms_session.hpp"

#include <spdlog/spdlog.h>

#include <boost/json/array.hpp>

#include "common/process/malformed.hpp"
#include "common/process/mms_words.hpp"
#include "common/serving/content.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

// So much of a live video is sent at once, so that it begins with a key frame; over UDP no more than any receiver's
// buffer holds.
constexpr std::size_t backlog_over_udp = 64 * 1024, backlog_over_tcp = 512 * 1024;

mms::ServerOptions protocol_options(const Server& server, std::uint32_t client_id, bool too_many) {
    mms::ServerOptions options;
    options.client_id = client_id;
    options.idle_timeout = server.context.hasten(server.limits.idle);
    options.keep_alive = server.context.hasten(options.keep_alive);
    options.connect_timeout = server.limits.first_message;
    options.close_after_end = server.limits.close_after_end;
    options.seed = client_id;
    if (too_many) options.connect_refused_hr = bytes::NS_E_TOO_MANY_SESS;
    return options;
}

}  // namespace

MmsSession::MmsSession(Server& server, MmsTargets& targets, net::DatagramSocket& datagrams, net::tcp::socket socket,
                       std::uint32_t client_id)
    : Session{server, server.seats_mms, std::move(socket), "control"},
      targets_{targets},
      datagrams_{datagrams},
      protocol_{with_again(protocol_options(server, client_id, too_many())), Clock::now()} {}

mms::ServerOptions MmsSession::with_again(mms::ServerOptions options) const {
    options.again = [this](std::uint32_t LocationId) { return again(LocationId); };
    return options;
}

void MmsSession::receive(std::span<const std::byte> bytes) {
    perform(protocol_.receive(bytes, Clock::now()));
    note_target();
}

void MmsSession::note_target() {
    std::optional<net::udp::endpoint> target;
    if (protocol_.udp_port()) target = media_target();
    if (target == target_) return;
    if (target_) targets_.sends_no_longer_to(*this, *target_);
    target_ = target;
    if (target_) targets_.sends_to(*this, *target_);
}

void MmsSession::left() {
    if (target_) targets_.sends_no_longer_to(*this, *target_);
    target_.reset();
}

void MmsSession::disconnected() { abandon("peer", "the player closed the connection"); }

void MmsSession::datagram(std::span<const std::byte> bytes, const net::udp::endpoint& from) {
    guarded([&] { asked_again(bytes, from); });
}

void MmsSession::asked_again(std::span<const std::byte> bytes, const net::udp::endpoint& from) {
    boost::json::object fields;
    boost::json::array sequences;
    if (const auto request = mms::RequestPacketListResend::parse(bytes)) {
        fields[field::message] = "RequestPacketListResend";
        fields[field::bytes] = bytes.size();
        for (const auto sequence : request->dwBeginPacketList) sequences.emplace_back(sequence);
        fields[field::sequences] = sequences;
        write(What::received, "resend", std::move(fields), net::text(local_), net::text(from));
    }
    const auto actions = protocol_.datagram(bytes, Clock::now());
    boost::json::array answered;
    for (const auto& action : actions)
        if (const auto* data = std::get_if<mms::SendData>(&action)) answered.emplace_back(data->sequence);
    perform(actions);
    if (answered.empty()) return;
    boost::json::object answer;
    answer[field::sequences] = std::move(answered);
    write(What::resend_answered, "resend", std::move(answer), net::text(local_), net::text(from));
}

void MmsSession::icmp(const net::QueuedError& error) {
    guarded([&] { tell_icmp(error); });
}

void MmsSession::tell_icmp(const net::QueuedError& error) {
    ++icmp_errors_;
    constexpr std::size_t sorts_max = 8;  // one line for each, before any text is made
    const auto same = [&](const net::QueuedError& other) { return other.error == error.error && other.icmp == error.icmp; };
    if (icmp_seen_.size() >= sorts_max || std::ranges::any_of(icmp_seen_, same)) return;
    icmp_seen_.push_back(error);
    net::Failure failure = net::Failure::of({error.error, boost::system::system_category()}, milliseconds{0});
    failure.icmp = error.icmp;
    boost::json::object fields;
    fields[field::protocol] = "udp";
    fields[field::failure] = net::to_json(failure);
    write(What::connect_failed, "media", std::move(fields), net::text(local_), net::text(media_target()));
}

net::udp::endpoint MmsSession::media_target() const {
    return {remote_.address(), protocol_.udp_port().value_or(0)};  // never anybody but the TCP peer
}

void MmsSession::on_packet(const Packet& packet) {
    const auto part = selection_.filter(*packet.bytes, packet.bytes->size());
    if (part && part->empty()) return;  // nothing of it is wanted
    const auto LocationId = static_cast<std::uint32_t>(packet.number);
    if (part) return perform(protocol_.media(LocationId, *part, Clock::now()));
    // The same bytes for all: only the eight before them are this player's.
    const auto head = protocol_.shared_media(LocationId, packet.bytes->size());
    if (!head) return;
    media_sent(packet.made);
    digest_.packet(packet.number, packet.bytes->size(), packet.crc);
    if (target_) return datagrams_.send_with_others(*target_, head->octets, packet.bytes, datagrams_account_);
    if (outbox_.send(head->octets, packet.bytes)) return;
    // A second burst of a slow reader is not waited for: its queue is bounded, and the others are not held up.
    if (!outbox_.broken()) abandon("self", "the player does not read: " + std::to_string(outbox_.queued()) + " bytes are waiting");
}

std::shared_ptr<const std::vector<std::byte>> MmsSession::again(std::uint32_t LocationId) const {
    return point_ ? point_->again(LocationId) : nullptr;
}

void MmsSession::on_end() {
    const auto ended = played_out();  // we are called by it
    perform(protocol_.end_of_media(Clock::now()));
}

void MmsSession::perform(const mms::ServerActions& actions) {
    for (const auto& action : actions) {
        std::visit([this](const auto& one) { act(one); }, action);
        if (abandoned()) return;
    }
    arm();
}

void MmsSession::act(const mms::Received& action) {
    if (const auto* connect = std::get_if<mms::LinkViewerToMacConnect>(&action.message))
        flow_ = server_.flow_of(mms::SubscriberName::parse(connect->subscriberName).guid);
    write(What::received, process::message_fields(action.message, action.size));
}

void MmsSession::act(const mms::Malformed& action) {
    write(What::malformed, process::malformed_fields(action.what, action.error, action.head));
    spdlog::warn("{}: malformed {}: {}", peer_text(), action.what, action.error.text());
}

void MmsSession::act(const mms::Send& action) {
    write(What::sent, process::message_fields(action.message, action.packet.size() - mms::TcpMessageHeader::size));
    if (!outbox_.send(action.packet))
        abandon("self", "the player does not read: more than the queue's size is waiting");
}

void MmsSession::act(const mms::SendData& action) {
    if (action.kind == mms::DataKind::media) {
        media_sent(Clock::now());
        digest_.packet(action.LocationId, std::span{*action.packet}.subspan(mms::Data::header_size));
    }
    if (action.transport == mms::Transport::udp) {
        if (datagrams_.send_to(media_target(), *action.packet))
            ++datagrams_account_.sent;
        else
            ++datagrams_account_.unsent;
        return;
    }
    if (outbox_.send(action.packet)) return;
    if (outbox_.broken()) return;  // the read says why
    abandon("self", "the player does not read: " + std::to_string(outbox_.queued()) + " bytes are waiting");
}

void MmsSession::act(const mms::OpenRequest& action) {
    point_ = server_.points.find(action.fileName);
    if (!point_) {
        spdlog::warn("{}: no content `{}`", peer_text(), action.fileName);
        return perform(protocol_.open_failed(bytes::NS_E_FILE_NOT_FOUND, Clock::now()));
    }
    if (point_->ready()) return open();
    subscription_ = point_->wait(*this, server_.limits.source);
}

void MmsSession::on_ready() {
    const auto waited = std::move(subscription_);  // we are called by it
    if (point_->ready()) return open();
    spdlog::warn("{}: `{}` has no stream: nothing comes from its source", peer_text(), point_->name());
    perform(protocol_.open_failed(bytes::NS_E_NO_STREAM, Clock::now()));
}

void MmsSession::open() {
    const auto& header = point_->header();
    if (!fits_transport()) {
        spdlog::warn("{}: `{}` has packets of {} bytes, of which a datagram holds none: it is to be played over TCP",
                     peer_text(), point_->name(), header.packet_size);
        return perform(protocol_.open_failed(bytes::NS_E_INVALID_DATA, Clock::now()));
    }
    mms::Content content;
    // libmms loops for ever on a broadcast's Data Object of size 0; VLC, which names itself by a GUID of its own
    // spelling, ends at once on any other.
    constexpr std::uint64_t endless = 0x7FFF0000;
    const bool vlc = protocol_.player() && protocol_.player()->vlc();
    content.header = asf::raw_of_broadcast(header, vlc ? 0 : endless);
    content.packet_size = header.packet_size;
    content.bit_rate = header.maximum_bit_rate;
    content.live = point_->live();
    content.has_video = header.has_video();
    if (!content.live) {
        content.packet_count = point_->content().packet_count().value_or(0);
        content.duration = header.play_duration - std::min(header.play_duration, header.preroll);
    }
    content.can_stride = false;
    selection_ = asf::Selection{header};
    // Servers of version 4 choose no streams and get all of them (3.2.5.11).
    if (protocol_.player() && protocol_.player()->windows_media_services_4()) selection_.select_all();
    digest_.header(content.header);
    perform(protocol_.opened(std::move(content), Clock::now()));
}

void MmsSession::act(const mms::StartMedia& action) {
    const auto& content = point_->content();
    const auto& header = point_->header();
    const auto streams = selection_.streams();
    Position from;
    milliseconds begin{0};
    if (action.from.locationId) {
        from.packet = content.start_for_packet(*action.from.locationId, streams);
    } else if (action.from.asfOffset) {
        const auto offset = std::uint64_t{*action.from.asfOffset};
        const auto packet = (offset - std::min<std::uint64_t>(offset, header.raw.size())) / header.packet_size;
        from.packet = content.start_for_packet(packet, streams);
    } else if (action.from.position) {
        begin = std::chrono::duration_cast<milliseconds>(*action.from.position);
        from.packet = content.packet_at_time(begin, streams);
    }
    if (action.from.length && !point_->live()) {
        if (!action.from.position && from.packet < content.packet_count().value_or(0))
            begin = content.send_time(from.packet);
        from.end = content.packets_before(begin + *action.from.length);
    }
    // A server that pulls hands on what comes, as it comes; its players are given their key frame there.
    const bool relay = protocol_.player() && protocol_.player()->windows_media_services_4();
    if (!relay) from.backlog_max = protocol_.udp_port() ? backlog_over_udp : backlog_over_tcp;
    selection_.start(relay || (!point_->live() && from.packet == 0));
    if (action.acceleration && header.maximum_bit_rate > 0) {
        constexpr double speed_max = 10;
        from.fast_for = milliseconds{action.acceleration->dwAccelDuration};
        from.speed =
            std::clamp(double{1} * action.acceleration->dwAccelBandwidth / header.maximum_bit_rate, 1.0, speed_max);
    }
    subscription_ = point_->subscribe(*this, from);
}

void MmsSession::act(const mms::StopMedia&) { stops_playing(); }

void MmsSession::act(const mms::StreamsSelected& action) {
    for (const auto& entry : action.entries)
        selection_.apply(entry.wSrcStreamNumber, entry.wDstStreamNumber, entry.wThinningLevel);
}

// Over UDP a packet and the 8 bytes in front of it must be one datagram.
bool MmsSession::fits_transport() const {
    return !protocol_.udp_port() || point_->header().packet_size <= media_datagram_max;
}

std::string MmsSession::media_remote() const {
    return protocol_.udp_port() ? net::text(media_target()) : net::text(remote_);
}

void MmsSession::media_begins() { write(What::media_started, media_leg(), {}, net::text(local_), media_remote()); }

void MmsSession::write_media_end() {
    if (digest_.packets() == 0 && datagrams_account_.sent + datagrams_account_.unsent == 0) return;
    auto fields = media_fields();
    if (protocol_.udp_port()) {
        fields[field::datagrams] = datagrams_account_.sent;  // header parts and resends included
        if (datagrams_account_.unsent > 0) fields[field::unsent] = datagrams_account_.unsent;
        if (icmp_errors_ > 0) fields[field::icmp_errors] = icmp_errors_;
    }
    write(What::media_ended, media_leg(), std::move(fields), net::text(local_), media_remote());
}

}  // namespace wmlab::server_sim
