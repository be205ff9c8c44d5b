#include "common/serving/http_session.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/bytes/crc32.hpp"
#include "common/process/http_words.hpp"
#include "common/process/malformed.hpp"
#include "common/url/url.hpp"

namespace wmlab::serving {
namespace {

using evidence::What;

constexpr milliseconds linger_limit{1000};  // for the client to close, so that nothing it still sends resets our answer
constexpr std::size_t linger_size_max = 1 << 20, download_ahead = 256 * 1024;
constexpr std::size_t live_backlog = 512 * 1024;  // so much of a live video is sent at once, to begin with a key frame
constexpr milliseconds fast_start{1500};          // of stored content, at so many times its speed
constexpr double fast_start_speed = 10;

wmsp::ServerOptions protocol_options(const Server& server, std::uint32_t client_id, const net::tcp::endpoint& local) {
    wmsp::ServerOptions options;
    options.server = server.http_name;
    options.client_id = client_id;
    options.address = local.port() == 80 ? local.address().to_string() : net::text(local);
    options.mms = server.http_name == wmsp::cougar;
    options.published = [&server](const std::string& name) { return server.points.has(name); };
    options.head_timeout = std::min(options.head_timeout, server.limits.first_message);
    return options;
}

std::string escaped(std::string_view text) {
    std::string html;
    for (const char c : text) html += c == '<' ? "&lt;" : c == '&' ? "&amp;" : c == '"' ? "&quot;" : std::string{c};
    return html;
}

}  // namespace

HttpSession::HttpSession(Server& server, HttpHall& hall, net::tcp::socket socket)
    : Session{server, server.seats_http, std::move(socket), "http"},
      hall_{hall},
      protocol_{protocol_options(server, hall.new_client_id(), local_), Clock::now()} {}

void HttpSession::receive(std::span<const std::byte> bytes) { perform(protocol_.receive(bytes, Clock::now())); }

// Closing with bytes unread would reset the connection, and the answer might be lost with it.
asio::awaitable<void> HttpSession::farewell() {
    co_await outbox_.flushed(flush_limit);
    boost::system::error_code gone;
    outbox_.socket().shutdown(net::tcp::socket::shutdown_send, gone);
    if (gone) co_return;
    asio::steady_timer limit{server_.context.io, linger_limit};
    // Its time may come in the turn of the loop in which the client closes and the session ends.
    limit.async_wait([alive = weak_from_this()](boost::system::error_code error) {
        const auto session = std::static_pointer_cast<HttpSession>(alive.lock());
        boost::system::error_code closed;
        if (!error && session) session->outbox_.socket().cancel(closed);
    });
    std::vector<std::byte> rest(read_size);
    for (std::size_t all = 0; all < linger_size_max;) {
        const auto [error, size] = co_await outbox_.socket().async_read_some(asio::buffer(rest), asio::as_tuple(asio::use_awaitable));
        if (error) co_return;
        all += size;
    }
}

void HttpSession::on_packet(const Packet& packet) {
    const auto part = selection_.filter(*packet.bytes, packet.bytes->size());
    if (part && part->empty()) return;  // nothing of it is wanted
    if (part) return perform(protocol_.media(static_cast<std::uint32_t>(packet.number), *part, Clock::now()));
    if (protocol_.shared_media()) {  // the same frame for all
        media_sent(packet.made);
        digest_.packet(packet.number, packet.bytes->size(), packet.crc);
        if (!outbox_.send(hall_.frame_of(packet)) && !outbox_.broken())
            abandon("self", "the client does not read: " + std::to_string(outbox_.queued()) + " bytes are waiting");
        return;
    }
    crc_ = packet.crc;
    perform(protocol_.media(static_cast<std::uint32_t>(packet.number), hall_.frame_of(packet), Clock::now()));
    crc_.reset();
}

void HttpSession::on_end() {
    const auto ended = played_out();  // we are called by it
    perform(protocol_.end_of_media(Clock::now()));
}

void HttpSession::select(std::vector<wmsp::StreamSwitchEntry> entries) {
    guarded([&] { perform(protocol_.select(std::move(entries), Clock::now())); });
}

void HttpSession::perform(const wmsp::ServerActions& actions) {
    for (const auto& action : actions) {
        std::visit([this](const auto& one) { act(one); }, action);
        if (abandoned() && !finished()) return;
    }
    arm();
}

void HttpSession::act(const wmsp::Received& action) {
    for (const auto& [name, value] : action.fields)
        if (name == "xClientGUID")
            if (auto flow = server_.flow_of(bytes::Guid::from_text(value)); !flow.empty()) flow_ = std::move(flow);
    write(What::received, process::message_fields(action));
}

void HttpSession::act(const wmsp::Malformed& action) {
    write(What::malformed, process::malformed_fields(action.what, action.error, action.head));
    spdlog::warn("{}: malformed {}: {}", peer_text(), action.what, action.error.text());
}

void HttpSession::act(const wmsp::Send& action) {
    write(What::sent, process::message_fields(action));
    if (!outbox_.send(action.bytes) && !outbox_.broken()) abandon("self", "the client does not read: more than the queue's size is waiting");
}

void HttpSession::act(const wmsp::SendData& action) {
    media_sent(Clock::now());
    // Of a download `skip` leaves out the frame's head, or there was never one; a player gets the whole frame.
    constexpr std::size_t frame_head = wmsp::framing_header_size + wmsp::mms_packet_header_size;
    const auto packet = std::span{*action.frame}.subspan(download_ ? action.skip : frame_head);
    const auto crc = std::exchange(crc_, std::nullopt);
    digest_.packet(action.LocationId, packet.size(), crc ? *crc : bytes::crc32(packet));
    const bool sent = action.skip == 0 ? outbox_.send(action.frame) : outbox_.send(std::vector<std::byte>{packet.begin(), packet.end()});
    if (sent || outbox_.broken()) return;  // of a broken connection the read says why
    abandon("self", "the client does not read: " + std::to_string(outbox_.queued()) + " bytes are waiting");
}

void HttpSession::act(const wmsp::OpenRequest& action) {
    if (too_many()) return perform(protocol_.open_failed(503, "too many sessions", Clock::now()));
    if (action.purpose == wmsp::Purpose::index) return perform(protocol_.document("text/html", index(), Clock::now()));
    if (action.purpose == wmsp::Purpose::play && action.request.client_id && *action.request.client_id != client_id()) {
        const auto* other = hall_.session(*action.request.client_id);
        if (other && other->streaming()) return perform(protocol_.open_failed(403, "that client-id is another client's session", Clock::now()));
        if (hall_.remembers(*action.request.client_id)) protocol_.go_on_as(*action.request.client_id);
    }
    if (const auto station = server_.stations.find("/" + action.name); station != server_.stations.end())
        return perform(protocol_.document("application/x-ms-nsc", station->second, Clock::now()));
    point_ = server_.points.find(action.name);
    // A name as it was typed, with a question mark of its own.
    if (!point_ && !action.request.query.empty()) point_ = server_.points.find(url::decoded(action.request.path + "?" + action.request.query));
    if (!point_) {
        spdlog::warn("{}: no content `{}`", peer_text(), action.name);
        return perform(protocol_.open_failed(404, "there is no publishing point `" + action.name + "`", Clock::now()));
    }
    purpose_ = action.purpose;
    if (point_->ready() || action.purpose == wmsp::Purpose::redirect) return open(action.purpose);
    subscription_ = point_->wait(*this, server_.limits.source);
}

void HttpSession::on_ready() {
    const auto waited = std::move(subscription_);  // we are called by it
    if (point_->ready()) return open(purpose_);
    spdlog::warn("{}: `{}` has no stream: nothing comes from its source", peer_text(), point_->name());
    perform(protocol_.open_failed(503, "nothing comes from the source of `" + point_->name() + "`", Clock::now()));
}

void HttpSession::open(wmsp::Purpose purpose) {
    if (!point_->ready()) return perform(protocol_.opened({}, Clock::now()));  // a redirector needs nothing of it
    const auto& header = point_->header();
    wmsp::Content content;
    content.header = asf::raw_of_broadcast(header, 0);  // VLC ends at once on anything but 0
    content.packet_size = header.packet_size;
    content.live = point_->live();
    content.can_seek = !content.live;
    if (!content.live) content.packet_count = point_->content().packet_count().value_or(0);
    for (const auto& stream : header.streams) content.streams.push_back(stream.number);
    if (purpose == wmsp::Purpose::play || purpose == wmsp::Purpose::download) digest_.header(content.header);
    if (purpose == wmsp::Purpose::play || purpose == wmsp::Purpose::describe) hall_.remember(client_id());
    selection_ = asf::Selection{header};
    perform(protocol_.opened(std::move(content), Clock::now()));
}

void HttpSession::act(const wmsp::StartMedia& action) {
    download_ = !action.framed;
    if (!action.framed && !point_->live()) return hall_.spawn(download());
    const auto& content = point_->content();
    if (action.all_streams) selection_.select_all();
    choose(action.streams);
    const auto streams = selection_.streams();
    Position from;
    from.packet = content.start_for_packet(action.from.packet, streams);
    milliseconds begin{0};
    if (action.from.by == wmsp::StartPoint::By::time) {
        begin = milliseconds{action.from.time};
        from.packet = content.packet_at_time(begin, streams);
    }
    if (action.max_duration != 0 && !point_->live()) {
        if (action.from.by == wmsp::StartPoint::By::packet && from.packet < content.packet_count().value_or(0)) begin = content.send_time(from.packet);
        from.end = content.packets_before(begin + milliseconds{action.max_duration});
    }
    from.fast_for = fast_start;
    from.speed = fast_start_speed;
    // A server that pulls hands on what comes, as it comes; its players are given their key frame there.
    const auto& request = protocol_.request();
    const bool relay = request && request->user_agent.product == wmsp::UserAgent::Product::NSServer;
    if (!relay) from.backlog_max = live_backlog;
    selection_.start(relay || (!point_->live() && from.packet == 0));
    subscription_ = point_->subscribe(*this, from);
}

asio::awaitable<void> HttpSession::download() {
    const auto self = shared_from_this();
    try {
        co_await send_file();
    } catch (const boost::system::system_error& stopped) {
        if (stopped.code() != asio::error::operation_aborted) on_fault(stopped);
    } catch (const std::exception& error) {
        on_fault(error);
    }
}

asio::awaitable<void> HttpSession::send_file() {
    const auto count = point_->content().packet_count().value_or(0);
    for (std::uint64_t number = 0; number < count && protocol_.streaming() && !abandoned(); ++number) {
        constexpr std::uint64_t a_turn = 64;  // however fast the client reads, others have their turn
        if (number % a_turn == a_turn - 1) co_await asio::post(server_.context.io, asio::use_awaitable);
        if (outbox_.queued() > download_ahead && !co_await outbox_.flushed(server_.limits.idle)) co_return;
        const auto packet = point_->content().packet(number);
        if (packet.empty()) break;  // the file shrank or broke
        perform(protocol_.media(static_cast<std::uint32_t>(number), packet, Clock::now()));
    }
    if (protocol_.streaming() && !abandoned()) perform(protocol_.end_of_media(Clock::now()));
}

void HttpSession::act(const wmsp::StopMedia&) { stops_playing(); }

void HttpSession::act(const wmsp::SelectStreams& action) {
    if (!action.client_id) return;
    auto* other = hall_.session(*action.client_id);
    if (other && other != this && other->peer() == peer()) other->select(action.entries);
}

void HttpSession::act(const wmsp::StreamsSelected& action) { choose(action.streams); }

void HttpSession::act(const wmsp::LogUploaded& action) {
    constexpr std::size_t told_max = 1000;
    spdlog::info("{}: log: {}", peer_text(), action.text.substr(0, told_max));
}

std::string HttpSession::index() const {
    std::string list;
    for (const auto& point : server_.points.all()) {
        const auto path = escaped(url::encoded_path(point->name()));
        const auto kind = point->live() ? "live" : "stored";
        list += fmt::format("<li><a href=\"{0}.asx\">{1}</a> ({2}; <a href=\"{0}\">{0}</a>)</li>\n", path, escaped(point->name()), kind);
    }
    return "<html><head><title>Windows Media server</title></head><body><h1>Publishing points</h1>\n<ul>\n" + list + "</ul></body></html>\n";
}

void HttpSession::choose(const std::vector<wmsp::StreamChoice>& streams) {
    for (const auto& choice : streams) selection_.apply(choice.source, choice.stream, choice.thinning);
}

}  // namespace wmlab::serving
