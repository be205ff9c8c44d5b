#include "client_sim/http.hpp"

#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/net/connect.hpp"
#include "common/net/outbox.hpp"
#include "common/net/tasks.hpp"
#include "common/process/http_words.hpp"
#include "common/wmsp/player_session.hpp"

namespace wmlab::client_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

constexpr unsigned postponed_max = 50;

// One attempt to play: moves the bytes of wmsp::PlayerSession, on one connection after the other, writes the journal,
// keeps the time.
class HttpPlay : public std::enable_shared_from_this<HttpPlay> {
public:
    HttpPlay(Client& client, Play play, bool proxied)
        : client_{client},
          play_{std::move(play)},
          proxied_{proxied},
          leg_{proxied ? "proxy" : "http"},
          media_{play_.save},
          patience_{play_.deadline},
          wake_{client.context.io},
          readers_{client.context.io.get_executor()} {}

    asio::awaitable<Outcome> run() {
        Outcome outcome;
        outcome.transport = proxied_ ? "http-proxy" : "http";
        client_.receiving.push_back(&media_);
        const auto place = std::prev(client_.receiving.end());
        std::exception_ptr failure;
        try {
            co_await run_to_the_end(outcome);
        } catch (const std::exception& error) {  // stopped from outside, or no memory: the account is still written
            outcome.worked = false;
            outcome.reason = error.what();
            failure = std::current_exception();
        }
        over_ = true;
        wake_.cancel();
        write_media_end();
        close(outcome.reason);
        readers_.cancel();
        client_.receiving.erase(place);
        if (failure) std::rethrow_exception(failure);
        co_await readers_.ended();
        outcome.summary = media_.summary();
        co_return outcome;
    }

private:
    asio::awaitable<void> run_to_the_end(Outcome& outcome) {
        boost::json::object started;
        started["type"] = type_name();
        started["url"] = play_.url.text();
        started["transport"] = outcome.transport;
        started["attempt"] = play_.attempt;
        write(What::flow_started, "", std::move(started));

        protocol_.emplace(protocol_options());
        perform(protocol_->start(Clock::now()));
        while (!over_) {
            if (wanted_) {
                const auto to = *std::exchange(wanted_, std::nullopt);
                if (!co_await open(to, outcome)) co_return;
            } else {
                co_await watch();
            }
        }
        outcome.worked = finished_.worked;
        outcome.reason = outcome.worked && enough_ ? "played as long as was asked" : finished_.reason;
        outcome.hr = finished_.hr;
        if (finished_.cause == wmsp::Finished::Cause::elsewhere) {
            outcome.elsewhere.push_back(finished_.redirect);
            outcome.elsewhere.insert(outcome.elsewhere.end(), finished_.alternatives.begin(),
                                     finished_.alternatives.end());
        }
        if (stale_) outcome.reason += " (" + *stale_ + ")";
        if (const auto unsaved = media_.close()) {
            outcome.worked = false;
            outcome.reason = *unsaved;
        }
        if (outbox_) co_await outbox_->flushed(patience_);
    }

    wmsp::PlayerOptions protocol_options() const {
        wmsp::PlayerOptions options;
        options.url = play_.url;
        if (options.url.scheme != url::Scheme::http && options.url.scheme != url::Scheme::mmsh) {
            options.url.scheme = url::Scheme::http;
            options.url.port.reset();
            if (play_.http_port != 80) options.url.port = play_.http_port;
        }
        if (proxied_) options.proxy = wmsp::Endpoint{play_.proxy->host, play_.proxy->port};
        options.guid = play_.player;
        options.connect_timeout = 2 * patience_;  // the connect itself keeps the time
        options.head_timeout = options.frame_timeout = patience_;
        options.late_max = std::max(options.late_max, patience_);
        options.utc =
            std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
                .count();
        if (play_.start) options.start.stream_time = static_cast<std::uint32_t>(play_.start->count());
        return options;
    }

    // --- connections

    asio::awaitable<bool> open(wmsp::Endpoint to, Outcome& outcome) {
        close("the answer was complete");
        // Names of URLs lead to the scenario's hosts; the first server is where --endpoint says.
        const bool first_server = !proxied_ && to.host == play_.url.host;
        const auto host = first_server ? play_.server.host : to.host;
        const auto address = co_await client_.context.resolve(host);
        if (!address) {
            outcome.reason = address.error();
            co_return false;
        }
        const net::tcp::endpoint endpoint{*address, to.port};
        remote_ = net::text(endpoint);
        boost::json::object connecting;
        connecting["protocol"] = "tcp";
        write(What::connecting, leg_, std::move(connecting), "", remote_);
        std::optional<net::tcp::endpoint> from;
        if (client_.context.scenario && !client_.context.own_address().is_unspecified())
            from = net::tcp::endpoint{client_.context.own_address(), 0};
        auto connected = co_await net::connect(endpoint, play_.deadline, from);
        if (!connected) {
            boost::json::object fields;
            fields["protocol"] = "tcp";
            fields["failure"] = net::to_json(connected.error());
            write(What::connect_failed, leg_, std::move(fields), "", remote_);
            outcome.reason = std::string{"cannot connect to "} + (proxied_ ? "the proxy " : "") + remote_ + ": " +
                             connected.error().text();
            co_return false;
        }
        patience_ = net::patient(play_.deadline, connected->round_trip);
        boost::system::error_code gone;
        local_ = net::text(connected->socket.local_endpoint(gone));
        outbox_ = std::make_shared<net::Outbox>(std::move(connected->socket), queue_max);
        closed_by_ = "self";
        connection_failure_.reset();
        boost::json::object fields;
        fields["milliseconds"] = std::chrono::duration<double, std::milli>(connected->round_trip).count();
        write(What::connected, leg_, std::move(fields), local_, remote_);
        protocol_->be_patient(patience_, patience_, Clock::now());
        readers_.spawn(read(outbox_));
        perform(protocol_->connected(Clock::now()));
        co_return true;
    }

    void close(const std::string& reason) {
        if (!outbox_) return;
        boost::json::object fields;
        fields["by"] = closed_by_;
        fields["reason"] = reason;
        if (connection_failure_) fields["failure"] = net::to_json(*connection_failure_);
        write(What::closed, leg_, std::move(fields), local_, remote_);
        outbox_->close(false);
        outbox_.reset();
    }

    asio::awaitable<void> read(std::shared_ptr<net::Outbox> outbox) {
        const auto self = shared_from_this();
        std::vector<std::byte> buffer(read_size);
        const auto current = [&] { return !over_ && outbox == outbox_ && !wanted_; };
        while (current()) {
            const auto [error, size] =
                co_await outbox->socket().async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            if (!current() || error == asio::error::operation_aborted) co_return;
            if (error) {
                closed_by_ = error == asio::error::eof ? "peer" : "error";
                if (error != asio::error::eof) {
                    connection_failure_ = net::Failure::of(error, milliseconds{0});
                    for (const auto& queued : net::drain_error_queue(outbox->socket().native_handle()))
                        if (queued.icmp) connection_failure_->icmp = queued.icmp;
                }
                perform(protocol_->disconnected(Clock::now()));
                co_return;
            }
            perform(protocol_->receive({buffer.data(), size}, Clock::now()));
        }
    }

    // --- time

    // Sleeps from deadline to deadline until the session is finished or wants another connection.
    asio::awaitable<void> watch() {
        while (!over_ && !wanted_) {
            wake_at_ = next_deadline();
            wake_.expires_at(wake_at_);
            boost::system::error_code woken;
            co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
            const auto state = co_await asio::this_coro::cancellation_state;
            if (state.cancelled() != asio::cancellation_type::none)
                throw boost::system::system_error{asio::error::operation_aborted, "stopped"};
            if (over_ || wanted_ || Clock::now() < wake_at_) continue;
            if (unread() && late_ < postponed_max) {  // on a loaded machine: read first, then judge
                ++late_;
                postponed_ = Clock::now() + loaded_machine;
                continue;
            }
            late_ = 0;
            postponed_.reset();
            due(Clock::now());
        }
    }

    Clock::time_point next_deadline() const {
        auto at = protocol_->next_deadline().value_or(Clock::time_point::max());
        if (const auto end = play_end()) at = std::min(at, *end);
        return postponed_ && at < *postponed_ ? *postponed_ : at;
    }

    bool unread() const {
        int size = 0;
        return outbox_ && ::ioctl(outbox_->socket().native_handle(), FIONREAD, &size) == 0 && size > 0;
    }

    std::optional<Clock::time_point> play_end() const {
        if (!play_.duration || !media_started_ || overtime_) return std::nullopt;
        return *media_started_ + *play_.duration;
    }

    void due(Clock::time_point now) {
        if (const auto end = play_end(); end && *end <= now) {
            media_.waited_until(now);
            // What stopped coming is not called enough: another packet, or our patience, decides.
            if (!media_.behind(now)) return stop_playing(now);
            overtime_ = true;
            return;
        }
        perform(protocol_->tick(now));
    }

    void stop_playing(Clock::time_point now) {
        enough_ = true;
        perform(protocol_->stop(now));
    }

    // --- what the session wants

    void perform(const wmsp::PlayerActions& actions) {
        for (const auto& action : actions) {
            if (over_) return;
            std::visit([this](const auto& one) { act(one); }, action);
        }
        if (over_ || wanted_ || next_deadline() < wake_at_) wake_.cancel();
    }

    void act(const wmsp::Connect& action) { wanted_ = action.to; }

    void act(const wmsp::Received& action) {
        write(What::received, leg_, process::message_fields(action), local_, remote_);
    }

    void act(const wmsp::Malformed& action) {
        write(What::malformed, leg_, process::malformed_fields(action), local_, remote_);
    }

    void act(const wmsp::Send& action) {
        write(What::sent, leg_, process::message_fields(action), local_, remote_);
        outbox_->send(action.bytes);  // a broken connection is told by the read
    }

    void act(const wmsp::Answered&) {}

    void act(const wmsp::HeaderComplete& action) {
        if (action.changed) media_.new_start();
        if (const auto problem = media_.header(action.header.raw)) spdlog::warn("{}", *problem);
        protocol_->be_patient(patience_, std::max(patience_, 4 * media_.interval()), Clock::now());
    }

    void act(const wmsp::MediaReceived& action) {
        const auto now = Clock::now();
        if (!media_started_) {
            media_started_ = now;
            write(What::media_started, leg_, {}, local_, remote_);
        }
        media_.packet(action.LocationId, action.packet, now);
        if (overtime_) stop_playing(now);
    }

    void act(const wmsp::MediaStale& action) {
        boost::json::object fields;
        fields["kind"] = action.kind == wmsp::MediaStale::Kind::cached ? "cached" : "delayed";
        fields["why"] = action.why;
        if (action.delay > milliseconds{0}) fields["delay"] = action.delay.count();
        write(What::media_stale, leg_, std::move(fields), local_, remote_);
        stale_ = (action.kind == wmsp::MediaStale::Kind::cached ? "not fresh, a cache answered: " : "not in time: ") +
                 action.why;
    }

    void act(const wmsp::StreamEnded&) {}

    void act(const wmsp::Finished& action) {
        finished_ = action;
        over_ = true;
        if (action.cause != wmsp::Finished::Cause::silent || media_.packets() == 0) return;
        media_.waited_until(Clock::now());
        boost::json::object fields;
        fields["waited"] = std::chrono::duration_cast<milliseconds>(Clock::now() - media_.last()).count();
        fields["attempt"] = 0;
        write(What::media_silent, leg_, std::move(fields), local_, remote_);
    }

    // --- the journal

    void write(What what, std::string leg, boost::json::object fields = {}, std::string local = "",
               std::string remote = "") {
        client_.write(what, play_, std::move(leg), std::move(fields), std::move(local), std::move(remote));
    }

    void write_media_end() {
        if (!media_.has_header() && media_.packets() == 0) return;
        auto fields = media_.fields();
        if (protocol_) fields["largest_delay"] = protocol_->statistics().largest_delay.count();
        write(What::media_ended, leg_, std::move(fields), local_, remote_);
    }

    std::string type_name() const {
        for (const auto& flow : client_.context.flows)
            if (flow.id == play_.flow) return std::string{scenario::spec(flow.flow->type).name};
        return "http";
    }

    Client& client_;
    Play play_;
    bool proxied_;
    std::string leg_;
    ReceivedMedia media_;
    milliseconds patience_;

    std::string local_, remote_;
    std::shared_ptr<net::Outbox> outbox_;  // of the connection now open
    std::optional<wmsp::Endpoint> wanted_;
    std::optional<wmsp::PlayerSession> protocol_;

    asio::steady_timer wake_;
    Clock::time_point wake_at_ = Clock::time_point::max();
    std::optional<Clock::time_point> media_started_, postponed_;
    unsigned late_ = 0;
    bool over_ = false, enough_ = false, overtime_ = false;

    wmsp::Finished finished_;
    std::optional<std::string> stale_;
    std::string closed_by_ = "self";
    std::optional<net::Failure> connection_failure_;
    net::Tasks readers_;
};

asio::awaitable<Outcome> play(Client& client, Play wanted, bool proxied) {
    const auto one = std::make_shared<HttpPlay>(client, std::move(wanted), proxied);
    co_return co_await one->run();
}

}  // namespace

asio::awaitable<Outcome> play_http(Client& client, Play wanted) { return play(client, std::move(wanted), false); }

asio::awaitable<Outcome> play_http_proxy(Client& client, Play wanted) { return play(client, std::move(wanted), true); }

asio::awaitable<Outcome> http_flow(Client& client, scenario::FlowInstance flow) {
    auto wanted = play_of(client, flow, flow.flow->port, url::Scheme::http);
    if (!wanted.proxy) return play_http(client, std::move(wanted));
    return play_http_proxy(client, std::move(wanted));
}

}  // namespace wmlab::client_sim
