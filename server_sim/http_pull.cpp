// Pulling over HTTP (distribution): moves the bytes of wmsp::PlayerSession, which shows a server's name here, between
// its connections, one for Describe and one for Play, and the pull's intake.
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/net/connect.hpp"
#include "common/net/outbox.hpp"
#include "common/process/http_words.hpp"
#include "common/process/probe.hpp"
#include "common/wmsp/player_session.hpp"
#include "server_sim/pull.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

constexpr std::size_t requests_max = 64 * 1024;  // ours that the source leaves unread

class HttpPull : public std::enable_shared_from_this<HttpPull> {
public:
    HttpPull(Server& server, const Pull& pull, Intake& intake)
        : server_{server},
          pull_{pull},
          intake_{intake},
          timer_{server.context.io},
          patience_{pull.deadline},
          protocol_{options(server, pull)} {}

    asio::awaitable<PullEnd> run() {
        const auto self = shared_from_this();
        perform(protocol_.start(Clock::now()));
        while (wanted_ && !finished_) {
            const auto to = *std::exchange(wanted_, std::nullopt);
            const bool open = co_await connect(to);
            if (!open) break;
            perform(protocol_.connected(Clock::now()));
            co_await read();
            timer_.cancel();
            armed_ = false;
            write_closed();
            outbox_->close(false);
        }
        co_return end_;
    }

private:
    using Clock = std::chrono::steady_clock;

    static wmsp::PlayerOptions options(const Server& server, const Pull& pull) {
        wmsp::PlayerOptions options;
        options.url = pull.url;
        options.user_agent = wmsp::RequestForm::server_agent;
        const auto* scenario = server.context.scenario;
        options.guid = bytes::Guid::named(scenario && !pull.flow.empty() ? scenario->name + "/" + pull.flow
                                                                         : process::new_nonce());
        options.connect_timeout = 2 * pull.deadline;  // the connect itself keeps the time
        options.head_timeout = options.frame_timeout = std::max(pull.deadline, pull.first_header);
        options.late_max = std::max(options.late_max, pull.deadline);
        return options;
    }

    asio::awaitable<bool> connect(wmsp::Endpoint to) {
        const bool source = to.host == pull_.url.host;  // not where a redirection leads
        const auto host = source ? pull_.source.host : to.host;
        const auto address = co_await server_.context.resolve(host);
        if (!address) {
            end_.reason = address.error();
            co_return false;
        }
        const net::tcp::endpoint endpoint{*address, source ? pull_.source.port : to.port};
        intake_.local.clear();
        intake_.remote = net::text(endpoint);
        boost::json::object connecting;
        connecting["protocol"] = "tcp";
        intake_.write(What::connecting, std::move(connecting));
        std::optional<net::tcp::endpoint> from;
        if (server_.scenario_mode() && !server_.context.own_address().is_unspecified())
            from = net::tcp::endpoint{server_.context.own_address(), 0};
        auto connected = co_await net::connect(endpoint, pull_.deadline, from);
        if (!connected) {
            boost::json::object fields;
            fields["protocol"] = "tcp";
            fields["failure"] = net::to_json(connected.error());
            intake_.write(What::connect_failed, std::move(fields));
            end_.reason = "cannot connect to " + intake_.remote + ": " + connected.error().text();
            co_return false;
        }
        patience_ = net::patient(pull_.deadline, connected->round_trip);
        // The first header of a source that itself waits for its own may take longer than anything after it.
        protocol_.be_patient(std::max(patience_, pull_.first_header), patience_, Clock::now());
        outbox_.emplace(std::move(connected->socket), requests_max);
        closed_by_.clear();
        failure_.reset();
        intake_.local = net::text(outbox_->local());
        boost::json::object fields;
        fields["milliseconds"] = std::chrono::duration<double, std::milli>(connected->round_trip).count();
        intake_.write(What::connected, std::move(fields));
        co_return true;
    }

    // Until the session is finished or wants another connection.
    asio::awaitable<void> read() {
        std::vector<std::byte> buffer(read_size);
        while (!over()) {
            reading_ = true;
            const auto [error, size] =
                co_await outbox_->socket().async_read_some(asio::buffer(buffer), asio::as_tuple(asio::use_awaitable));
            reading_ = false;
            if (over()) co_return;
            if (error == asio::error::operation_aborted) {
                finish("self", "stopped before it had ended");
            } else if (error) {
                closed_by_ = error == asio::error::eof ? "peer" : "error";
                if (error != asio::error::eof) failure_ = net::Failure::of(error, milliseconds{0});
                perform(protocol_.disconnected(Clock::now()));
            } else {
                perform(protocol_.receive({buffer.data(), size}, Clock::now()));
            }
        }
    }

    bool over() const { return finished_ || wanted_ || protocol_.finished(); }

    void perform(const wmsp::PlayerActions& actions) {
        for (const auto& action : actions) {
            std::visit([this](const auto& one) { act(one); }, action);
            if (finished_) return;
        }
        arm();
    }

    void act(const wmsp::Connect& action) { wanted_ = action.to; }
    void act(const wmsp::Received& action) { intake_.write(What::received, process::message_fields(action)); }
    void act(const wmsp::Malformed& action) {
        intake_.write(What::malformed, process::malformed_fields(action));
        spdlog::warn("{}: malformed {}: {}", intake_.remote, action.what, action.error.text());
    }
    void act(const wmsp::Send& action) {
        intake_.write(What::sent, process::message_fields(action));
        if (!outbox_->send(action.bytes) && !outbox_->broken()) finish("self", "the source does not read");
    }
    void act(const wmsp::Answered&) {}
    void act(const wmsp::HeaderComplete& action) {
        if (!protocol_.playing()) return;  // Play brings it again
        if (const auto problem = intake_.header(action.header.raw)) finish("self", *problem);
    }
    void act(const wmsp::MediaReceived& action) {
        intake_.packet(action.LocationId, action.packet);
        if (!intake_.enough()) return;
        end_.over = true;
        finish("self", "pulled as long as was asked");
    }
    void act(const wmsp::MediaStale& action) {
        boost::json::object fields;
        fields["kind"] = action.kind == wmsp::MediaStale::Kind::cached ? "cached" : "delayed";
        fields["why"] = action.why;
        if (action.delay > milliseconds{0}) fields["delay"] = action.delay.count();
        intake_.write(What::media_stale, std::move(fields));
    }
    void act(const wmsp::StreamEnded&) { told_end_ = true; }
    void act(const wmsp::Finished& action) {
        end_.over = action.worked && told_end_;  // a connection that just ends is a loss: the source may come back
        end_.hr = action.hr;
        if (action.cause == wmsp::Finished::Cause::silent && intake_.packets() > 0) intake_.silent(patience_);
        finish(closed_by_.empty() ? "self" : closed_by_, action.reason);
    }

    void finish(std::string by, std::string reason) {
        if (finished_) return;
        finished_ = true;
        closed_by_ = std::move(by);
        end_.reason = std::move(reason);
        timer_.cancel();
        boost::system::error_code ignored;
        if (reading_) outbox_->socket().cancel(ignored);
    }

    void arm() {
        if (over() || !outbox_) return;
        const auto deadline = protocol_.next_deadline();
        if (!deadline || (armed_ && timer_.expiry() == *deadline)) return;
        armed_ = true;
        timer_.expires_at(*deadline);
        timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
            const auto self = weak.lock();
            if (!self || error || self->over()) return;
            self->armed_ = false;
            self->tick();
        });
    }

    void tick() {
        const auto now = Clock::now();
        const auto deadline = protocol_.next_deadline();
        boost::system::error_code gone;
        if (deadline && *deadline <= now && now < *deadline + loaded_machine_max &&
            outbox_->socket().available(gone) > 0 && !gone) {
            // What has arrived but was not read yet, because this machine is loaded, is not silence.
            armed_ = true;
            timer_.expires_after(loaded_machine);
            timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
                const auto self = weak.lock();
                if (!self || error || self->over()) return;
                self->armed_ = false;
                self->tick();
            });
            return;
        }
        perform(protocol_.tick(now));
    }

    void write_closed() {
        boost::json::object fields;
        fields["by"] = closed_by_.empty() ? "self" : closed_by_;
        fields["reason"] = finished_ ? end_.reason : "the answer was complete";
        if (failure_) fields["failure"] = net::to_json(*failure_);
        intake_.write(What::closed, std::move(fields));
    }

    static constexpr milliseconds loaded_machine{20}, loaded_machine_max{1000};

    Server& server_;
    const Pull& pull_;
    Intake& intake_;
    asio::steady_timer timer_;
    bool armed_ = false, reading_ = false, finished_ = false, told_end_ = false;
    milliseconds patience_;
    wmsp::PlayerSession protocol_;
    std::optional<wmsp::Endpoint> wanted_;  // the next connection
    std::optional<net::Outbox> outbox_;     // of the connection now open
    std::optional<net::Failure> failure_;
    std::string closed_by_;
    PullEnd end_;
};

}  // namespace

asio::awaitable<PullEnd> fetch_http(Server& server, const Pull& pull, Intake& intake) {
    const auto puller = std::make_shared<HttpPull>(server, pull, intake);
    co_return co_await puller->run();
}

}  // namespace wmlab::server_sim
