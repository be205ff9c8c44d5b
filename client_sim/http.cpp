#include "client_sim/http.hpp"

#include <spdlog/spdlog.h>

#include "client_sim/play_clock.hpp"
#include "common/net/connect.hpp"
#include "common/net/tasks.hpp"
#include "common/process/http_words.hpp"
#include "common/process/outgoing.hpp"
#include "common/wmsp/player_session.hpp"

namespace wmlab::client_sim {
namespace {

using evidence::What;
using Clock = std::chrono::steady_clock;

// One attempt to play: moves the bytes of wmsp::PlayerSession, on one connection after the other, writes the journal,
// keeps the time.
class HttpPlay : private PlayClock::Player, public std::enable_shared_from_this<HttpPlay> {
public:
    HttpPlay(Client& client, Play play, bool proxied)
        : client_{client},
          play_{std::move(play)},
          proxied_{proxied},
          leg_{proxied ? "proxy" : "http"},
          media_{play_.save, play_.tally},
          patience_{play_.deadline},
          clock_{client.context.io, *this},
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
        clock_.stop();
        write_media_end();
        if (connection_) connection_->close(outcome.reason);
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
                co_await clock_.run();
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
        if (connection_) co_await connection_->outbox().flushed(patience_);
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
        if (connection_) connection_->close("the answer was complete");
        // Names of URLs lead to the scenario's hosts; the first server is where --endpoint says.
        const bool first_server = !proxied_ && to.host == play_.url.host;
        const net::HostPort at{first_server ? play_.server.host : to.host, to.port};
        connection_ = std::make_shared<process::Outgoing>(client_.context, queue_max, journal());
        const auto connection = connection_;
        if (const auto problem = co_await connection->open(at, play_.deadline, proxied_ ? "the proxy " : "")) {
            outcome.reason = *problem;
            co_return false;
        }
        patience_ = net::patient(play_.deadline, connection->round_trip());
        protocol_->be_patient(patience_, patience_, Clock::now());
        readers_.spawn(read(connection));
        perform(protocol_->connected(Clock::now()));
        co_return true;
    }

    asio::awaitable<void> read(std::shared_ptr<process::Outgoing> connection) {
        const auto self = shared_from_this();
        const auto current = [&] { return !over() && connection == connection_; };
        while (current()) {
            const auto bytes = co_await connection->receive();
            if (!current() || connection->end() == process::Outgoing::End::stopped) co_return;
            if (bytes.empty()) {
                perform(protocol_->disconnected(Clock::now()));
                co_return;
            }
            perform(protocol_->receive(bytes, Clock::now()));
        }
    }

    // --- time

    Clock::time_point next_deadline() const override {
        const auto at = protocol_->next_deadline().value_or(Clock::time_point::max());
        return std::min(at, play_end().value_or(Clock::time_point::max()));
    }

    bool over() const override { return over_ || wanted_; }  // or another connection is wanted
    bool unread() override { return connection_ && connection_->unread(); }

    std::optional<Clock::time_point> play_end() const {
        if (!play_.duration || !media_started_ || overtime_) return std::nullopt;
        return *media_started_ + *play_.duration;
    }

    void due(Clock::time_point now) override {
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
        clock_.changed();
    }

    void act(const wmsp::Connect& action) { wanted_ = action.to; }

    void act(const wmsp::Received& action) {
        write(What::received, leg_, process::message_fields(action), local(), remote());
    }

    void act(const wmsp::Malformed& action) {
        write(What::malformed, leg_, process::malformed_fields(action), local(), remote());
    }

    void act(const wmsp::Send& action) {
        write(What::sent, leg_, process::message_fields(action), local(), remote());
        connection_->outbox().send(action.bytes);  // a broken connection is told by the read
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
            write(What::media_started, leg_, {}, local(), remote());
        }
        media_.packet(action.LocationId, action.packet, now);
        if (overtime_) stop_playing(now);
    }

    void act(const wmsp::MediaStale& action) {
        boost::json::object fields;
        fields["kind"] = action.kind == wmsp::MediaStale::Kind::cached ? "cached" : "delayed";
        fields["why"] = action.why;
        if (action.delay > milliseconds{0}) fields["delay"] = action.delay.count();
        write(What::media_stale, leg_, std::move(fields), local(), remote());
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
        write(What::media_silent, leg_, std::move(fields), local(), remote());
    }

    // --- the journal

    process::Outgoing::Write journal() {
        return [this](What what, boost::json::object fields, std::string local, std::string remote) {
            write(what, leg_, std::move(fields), std::move(local), std::move(remote));
        };
    }

    std::string local() const { return connection_ ? net::text(connection_->local()) : ""; }
    std::string remote() const { return connection_ ? net::text(connection_->remote()) : ""; }

    void write(What what, std::string leg, boost::json::object fields = {}, std::string local = "",
               std::string remote = "") {
        client_.write(what, play_, std::move(leg), std::move(fields), std::move(local), std::move(remote));
    }

    void write_media_end() {
        if (!media_.has_header() && media_.packets() == 0) return;
        auto fields = media_.fields();
        if (protocol_) fields["largest_delay"] = protocol_->statistics().largest_delay.count();
        write(What::media_ended, leg_, std::move(fields), local(), remote());
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

    std::shared_ptr<process::Outgoing> connection_;  // now open
    std::optional<wmsp::Endpoint> wanted_;
    std::optional<wmsp::PlayerSession> protocol_;

    PlayClock clock_;
    std::optional<Clock::time_point> media_started_;
    bool over_ = false, enough_ = false, overtime_ = false;

    wmsp::Finished finished_;
    std::optional<std::string> stale_;
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
