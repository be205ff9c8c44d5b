#include "client_sim/mms.hpp"

#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>

#include "client_sim/pause.hpp"
#include "client_sim/playback.hpp"
#include "common/bytes/utf16.hpp"
#include "common/mms/player_session.hpp"
#include "common/net/bind.hpp"
#include "common/net/connect.hpp"
#include "common/net/datagram.hpp"
#include "common/net/hopeless.hpp"
#include "common/process/malformed.hpp"
#include "common/process/mms_words.hpp"
#include "common/process/outgoing.hpp"

namespace wmlab::client_sim {
namespace {

using evidence::What;
using mms::Transport;

constexpr milliseconds overtaken_max{50};  // how much earlier than datagrams sent before it the end of the stream comes over TCP, beyond round trips
constexpr int datagram_buffer = 1 << 20;
constexpr std::uint64_t packets_before_asking = 2;  // media has come before a datagram of ours could open its way
constexpr unsigned asks_again_max = 3;

// One attempt to play: moves the bytes of mms::PlayerSession between the sockets, writes the journal, keeps the time.
class MmsPlay final : public Playback, public std::enable_shared_from_this<MmsPlay> {
public:
    MmsPlay(Client& client, Play play, Transport transport)
        : Playback{client, std::move(play), transport == Transport::udp ? "mms-udp" : "mms-tcp"},
          transport_{transport},
          pause_{play_.pause},
          connection_{client.context, queue_max, journal()} {}

    asio::awaitable<Outcome> run() { return play(transport_ == Transport::udp ? "udp" : "tcp"); }

private:
    asio::awaitable<void> run_to_the_end(Outcome& outcome) override {
        if (const auto problem = co_await connection_.open(play_.server, play_.deadline)) {
            outcome.reason = *problem;
            co_return;
        }
        patience_ = net::patient(play_.deadline, connection_.round_trip());
        if (transport_ == Transport::udp && !bind(outcome)) co_return;
        protocol_.emplace(protocol_options());
        readers_.spawn(read_control());
        if (datagrams_) {
            readers_.spawn(read_datagrams());
            expect_datagrams();
        }
        perform(protocol_->start(Clock::now()));
        co_await clock_.run();
        outcome.worked = finished_.worked && problem_.empty();
        outcome.reason = problem_.empty() ? finished_.reason : problem_;
        if (outcome.worked && enough_) outcome.reason = "played as long as was asked";
        outcome.hr = finished_.hr;
        if (outcome.worked && media_.packets() == 0) {
            outcome.worked = false;
            outcome.reason = "the stream ended without a packet of media";
        }
        keep_media(outcome);
        co_await connection_.outbox().flushed(patience_);
    }

    // Media that a firewall keeps from us for good; told while a list is walked through, so acted on later.
    void expect_datagrams() {
        datagrams_expected_.emplace(
            "udp", net::text(net::udp::endpoint{server().address(), server().port()}), [this] { return net::text(datagrams_->local()); },
            [this] {
                asio::post(client_.context.io, [weak = weak_from_this()] {
                    if (const auto self = weak.lock(); self && !self->over_) self->perform(self->protocol_->datagrams_lost(Clock::now()));
                });
            });
    }

    // Only now is the address known on which the server can reach us.
    bool bind(Outcome& outcome) {
        auto bound = net::bind_udp_in(client_.context.io.get_executor(), connection_.local().address(),
                                      play_.client_ports.first, play_.client_ports.last, datagram_buffer,
                                      client_.context.ports_to_spare(scenario::Protocol::udp));
        if (!bound) {
            boost::json::object fields;
            fields[field::protocol] = "udp";
            fields[field::error] = bound.error().error;
            if (!bound.error().holder.empty()) fields[field::holder] = bound.error().holder;
            write(What::listen_failed, "media", std::move(fields), bound.error().local);
            outcome.reason = bound.error().text();
            return false;
        }
        datagrams_.emplace(std::move(*bound));
        datagrams_->on_icmp = [this](const net::QueuedError& error) { icmp(error); };
        return true;
    }

    mms::PlayerOptions protocol_options() const {
        mms::PlayerOptions options;
        options.host = play_.url.authority();
        options.fileName = bytes::as_utf8(play_.url.name());
        options.guid = play_.player;
        options.transport = transport_;
        options.local_address = connection_.local().address().to_string();
        options.local_port = datagrams_ ? datagrams_->local().port() : connection_.local().port();
        options.url = play_.url.text();
        options.reply_timeout = patience_;
        options.linger = std::min(options.linger, net::patient(overtaken_max, connection_.round_trip()));
        if (play_.start) options.start.position = *play_.start;
        return options;
    }

    // --- what arrives

    asio::awaitable<void> read_control() {
        const auto self = shared_from_this();
        while (!over_) {
            const auto bytes = co_await connection_.receive();
            if (over_ || connection_.end() == process::Outgoing::End::stopped) co_return;
            if (bytes.empty()) {
                perform(protocol_->disconnected(Clock::now()));
                co_return;
            }
            perform(protocol_->receive(bytes, Clock::now()));
        }
    }

    asio::awaitable<void> read_datagrams() {
        const auto self = shared_from_this();
        while (!over_) {
            const auto datagram = co_await datagrams_->receive();
            if (over_) co_return;
            media_from_ = datagram.from;
            if (datagram.from.address() != server().address()) {
                foreign(datagram);
                continue;
            }
            perform(protocol_->datagram(datagram.bytes, Clock::now()));
        }
    }

    // Nothing is sent there: the resent media goes to the announced port. Reading brings the ICMP errors.
    asio::awaitable<void> read_asker() {
        const auto self = shared_from_this();
        while (!over_) co_await asker_->receive();
    }

    // Not from the server's address: translated on the way, or somebody else's. A player takes neither.
    void foreign(const net::DatagramSocket::Datagram& datagram) {
        constexpr unsigned told_max = 8;
        if (++foreign_ > told_max) return;
        const bytes::ParseError stranger{0, std::string{evidence::source_address}, "is not the server's, " + server().address().to_string()};
        write(What::malformed, "media", process::malformed_fields("Data", stranger, datagram.bytes), net::text(datagrams_->local()), net::text(datagram.from));
    }

    // About a resend request of ours: the only datagrams a player sends.
    void icmp(const net::QueuedError& error) {
        net::Failure failure = net::Failure::of({error.error, boost::system::system_category()}, milliseconds{0});
        if (asked_at_) failure.waited = std::chrono::duration_cast<milliseconds>(Clock::now() - *asked_at_);
        failure.icmp = error.icmp;
        boost::json::object fields;
        fields[field::protocol] = "udp";
        fields[field::failure] = net::to_json(failure);
        write(What::connect_failed, "resend", std::move(fields), net::text((asker_ ? *asker_ : *datagrams_).local()),
              net::text(error.about));
        asking_ = false;
        clock_.changed();
    }

    // --- time

    Clock::time_point next_deadline() const override {
        auto at = protocol_->next_deadline().value_or(Clock::time_point::max());
        if (const auto end = play_end()) at = std::min(at, *end);
        if (const auto silence = silence_at()) at = std::min(at, *silence);
        if (const auto end = pause_.ends()) at = std::min(at, *end);
        return asking_ ? std::min(at, ask_next_) : at;
    }

    bool unread() override {
        int size = 0;
        return connection_.unread() ||
               (datagrams_ && ::ioctl(datagrams_->socket().native_handle(), FIONREAD, &size) == 0 && size > 0);
    }

    // When there is enough; later while the answer to the resend request is still awaited.
    std::optional<Clock::time_point> play_end() const {
        if (!play_.duration || !plays_since_ || stopping_ || overtime_) return std::nullopt;
        auto end = *plays_since_ + *play_.duration;
        if (asking_) end = std::max(end, *asked_at_ + patience_);
        return end;
    }

    // Playing, but no media for longer than a packet can take.
    std::optional<Clock::time_point> silence_at() const {
        if (!playing_ || stopping_ || protocol_->state() != mms::PlayerSession::State::playing) return std::nullopt;
        const auto limit = std::max(patience_, 4 * media_.interval());
        if (media_.packets() == 0) return *playing_ + limit;
        return std::max({*playing_, media_.last(), media_.lasts_until()}) + limit;
    }

    void due(Clock::time_point now) override {
        if (const auto silence = silence_at(); silence && *silence <= now) return silent(now);
        if (asking_ && ask_next_ <= now) ask_again(now);
        if (const auto end = play_end(); end && *end <= now) {
            asking_ = false;
            if (is_enough(now)) return enough(now);
            return clock_.changed();
        }
        if (pause_.end(now)) {
            write(What::continued, "control", {}, local(), remote());
            media_.new_start();
            return perform(protocol_->resume(now));
        }
        perform(protocol_->tick(now));
    }

    void enough(Clock::time_point now) {
        overtime_ = false;
        plays_since_.reset();
        if (pause_.begin()) return perform(protocol_->pause(now));
        stopping_ = enough_ = true;
        perform(protocol_->stop(now));
    }

    void silent(Clock::time_point now) {
        media_.waited_until(now);
        const auto since = std::max(*playing_, media_.last());
        const auto waited = std::chrono::duration_cast<milliseconds>(now - since);
        boost::json::object fields;
        fields[field::waited] = waited.count();
        fields[field::attempt] = 0;
        write(What::media_silent, media_leg(), std::move(fields), media_local(), remote());
        problem_ = media_.packets() > 0
                       ? "media came and then no more: nothing for " + std::to_string(waited.count()) + " ms"
                       : "playing began, but no media came within " + std::to_string(waited.count()) + " ms";
        stopping_ = true;
        perform(protocol_->stop(now));
    }

    // --- what the session wants

    void perform(const mms::PlayerActions& actions) {
        for (const auto& action : actions) {
            if (over_) return;
            std::visit([this](const auto& one) { act(one); }, action);
        }
        clock_.changed();
    }

    void act(const mms::Received& action) {
        write(What::received, "control", process::message_fields(action.message, action.size), local(), remote());
    }

    void act(const mms::Malformed& action) {
        write(What::malformed, action.what == "Data" ? media_leg() : "control", process::malformed_fields(action.what, action.error, action.head), local(),
              remote());
    }

    void act(const mms::Send& action) {
        write(What::sent, "control",
              process::message_fields(action.message, action.packet.size() - mms::TcpMessageHeader::size), local(),
              remote());
        if (std::holds_alternative<mms::LinkViewerToMacConnectFunnel>(action.message) && datagrams_) {
            boost::json::object fields;
            fields[field::protocol] = "udp";
            write(What::announced, "media", std::move(fields), media_local());
        }
        connection_.outbox().send(action.packet);  // a broken connection is told by the read
    }

    void act(const mms::SendDatagram& action) {
        const net::udp::endpoint to{server().address(), server().port()};
        boost::json::object fields;
        boost::json::array sequences;
        for (const auto sequence : action.sequences) sequences.emplace_back(sequence);
        fields[field::sequences] = std::move(sequences);
        fields[field::on_purpose] = action.on_purpose;
        auto& from = action.on_purpose ? asker() : *datagrams_;
        write(What::resend_requested, "resend", std::move(fields), net::text(from.local()), net::text(to));
        from.send_to(to, action.packet);
    }

    // The request on purpose comes from a port of its own: from the media's port a stateful firewall would take it for
    // the answer to the media, and a missing rule for the leg would stay hidden.
    net::DatagramSocket& asker() {
        if (asker_) return *asker_;
        auto bound =
            net::bind_udp_in(client_.context.io.get_executor(), connection_.local().address(), 0, 0, datagram_buffer);
        if (!bound) return *datagrams_;
        asker_.emplace(std::move(*bound));
        asker_->on_icmp = [this](const net::QueuedError& error) { icmp(error); };
        readers_.spawn(read_asker());
        return *asker_;
    }

    void act(const mms::FunnelRefused& action) { write_retry("control", "the server refused UDP: " + bytes::hresult_text(action.hr)); }

    void act(const mms::FileOpened&) {}
    void act(const mms::HeaderComplete& action) {
        if (const auto problem = media_.header(action.header)) spdlog::warn("{}", *problem);
    }

    void act(const mms::Ready&) {  // paused
        if (!pause_.stopped(Clock::now())) return;
        boost::json::object fields;
        fields[field::lasts] = pause_.length().count();
        write(What::paused, "control", std::move(fields), local(), remote());
    }

    void act(const mms::PlayingStarted&) {
        playing_ = Clock::now();
        media_.new_start();
    }

    void act(const mms::MediaReceived& action) {
        const auto now = Clock::now();
        media_starts(now);
        if (!plays_since_ && !stopping_ && !pause_.lasts()) plays_since_ = now;
        if (action.resent) {
            boost::json::object fields;
            fields[field::sequences] = boost::json::array{action.sequence};
            write(What::resend_answered, "resend", std::move(fields), media_local(), media_remote());
            if (action.sequence == asked_for_) asking_ = false;
        }
        if (action.duplicate) return media_.duplicate();
        media_.packet(action.LocationId, action.packet, now);
        if (overtime_ && !stopping_) return enough(now);
        if (media_.packets() == 1) asked_for_ = action.sequence;
        if (play_.ask_again && datagrams_ && !asked_at_ && media_.packets() == packets_before_asking) {
            asked_at_ = now;
            asking_ = true;
            ask_again(now);
        }
    }

    // Once; again only because a single datagram may get lost without anybody blocking it.
    void ask_again(Clock::time_point now) {
        if (asks_ >= asks_again_max) {
            ask_next_ = *asked_at_ + patience_;
            if (ask_next_ <= now) asking_ = false;
            return;
        }
        if (++asks_ > 1) write_retry("resend", "the resend request was not answered within " + std::to_string(patience_.count() / asks_again_max) + " ms");
        ask_next_ = now + patience_ / asks_again_max;
        const auto actions = protocol_->request_again(asked_for_, now);
        if (actions.empty()) asking_ = false;
        for (const auto& action : actions)
            if (const auto* datagram = std::get_if<mms::SendDatagram>(&action)) act(*datagram);
    }

    void act(const mms::MediaLost& action) { spdlog::debug("{} packets given up", action.sequences.size()); }

    void act(const mms::MediaSilent& action) {
        write_silence(action.waited, action.attempt);
        if (action.retrying) write_retry("media", "the ASF header did not come within " + std::to_string(action.waited.count()) + " ms");
    }

    void act(const mms::StreamEnded&) { stopping_ = true; }

    void act(const mms::Finished& action) {
        finished_ = action;
        if (!action.redirect.empty()) finished_.reason += " (redirected to " + action.redirect + ")";
        over_ = true;
    }

    // --- the journal

    process::Outgoing::Write journal() {
        return [this](What what, boost::json::object fields, std::string local, std::string remote) {
            write(what, "control", std::move(fields), std::move(local), std::move(remote));
        };
    }

    void add_to_account(boost::json::object& fields) const override {
        if (foreign_ > 0) fields[field::foreign] = foreign_;
        if (!protocol_) return;
        const auto& statistics = protocol_->statistics();
        fields[field::resend_requests] = statistics.resend_requests;
        fields[field::recovered] = statistics.recovered;
        fields[field::stray] = statistics.stray;
    }

    void write_retry(std::string leg, std::string reason) const {
        boost::json::object fields;
        fields[field::reason] = std::move(reason);
        write(What::retry, std::move(leg), std::move(fields));
    }

    void disconnect(const std::string& reason) override {
        connection_.close(reason);
        datagrams_expected_.reset();
        if (datagrams_) datagrams_->close();
        if (asker_) asker_->close();
    }

    const net::tcp::endpoint& server() const { return connection_.remote(); }
    std::string local() const { return net::text(connection_.local()); }
    std::string remote() const { return net::text(connection_.remote()); }
    std::string media_leg() const override { return datagrams_ ? "media" : "control"; }
    std::string media_local() const override { return datagrams_ ? net::text(datagrams_->local()) : local(); }
    std::string media_remote() const override { return media_from_ ? net::text(*media_from_) : remote(); }

    Transport transport_;
    Pause pause_;

    process::Outgoing connection_;
    std::optional<net::DatagramSocket> datagrams_, asker_;
    std::optional<net::Waiting> datagrams_expected_;
    std::optional<net::udp::endpoint> media_from_;
    std::optional<mms::PlayerSession> protocol_;

    std::optional<Clock::time_point> playing_, plays_since_, asked_at_;  // plays_since_: counted from there to `duration`
    Clock::time_point ask_next_{};
    std::uint32_t asked_for_ = 0;
    unsigned asks_ = 0, foreign_ = 0;
    bool asking_ = false, stopping_ = false;

    mms::Finished finished_;
    std::string problem_;
};

asio::awaitable<Outcome> play_mms(Client& client, Play play, Transport transport) {
    const auto one = std::make_shared<MmsPlay>(client, std::move(play), transport);
    co_return co_await one->run();
}

}  // namespace

asio::awaitable<Outcome> play_mms_udp(Client& client, Play play) {
    return play_mms(client, std::move(play), Transport::udp);
}

asio::awaitable<Outcome> play_mms_tcp(Client& client, Play play) {
    return play_mms(client, std::move(play), Transport::tcp);
}

asio::awaitable<Outcome> mms_udp_flow(Client& client, scenario::FlowInstance flow) {
    return play_mms_udp(client, play_of(client, flow, scenario::mms_port, url::Scheme::mmsu));
}

asio::awaitable<Outcome> mms_tcp_flow(Client& client, scenario::FlowInstance flow) {
    return play_mms_tcp(client, play_of(client, flow, scenario::mms_port, url::Scheme::mmst));
}

}  // namespace wmlab::client_sim
