// Pulling over HTTP (distribution): moves the bytes of wmsp::PlayerSession, which shows a server's name here, between
// its connections, one for Describe and one for Play, and the pull's intake.
#include <spdlog/spdlog.h>

#include "common/net/connect.hpp"
#include "common/net/deadline.hpp"
#include "common/net/reprieve.hpp"
#include "common/process/http_words.hpp"
#include "common/process/malformed.hpp"
#include "common/process/outgoing.hpp"
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
          deadline_{server.context.io.get_executor()},
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
            deadline_.cancel();
            connection_->close(finished_ ? end_.reason : "the answer was complete");
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
        const net::HostPort at = source ? pull_.source : net::HostPort{to.host, to.port};
        connection_.emplace(server_.context, requests_max, journal_of(intake_));
        if (const auto problem = co_await connection_->open(at, pull_.deadline)) {
            end_.reason = *problem;
            co_return false;
        }
        patience_ = net::patient(pull_.deadline, connection_->round_trip());
        // The first header of a source that itself waits for its own may take longer than anything after it.
        protocol_.be_patient(std::max(patience_, pull_.first_header), patience_, Clock::now());
        co_return true;
    }

    // Until the session is finished or wants another connection.
    asio::awaitable<void> read() {
        while (!over()) {
            const auto bytes = co_await connection_->receive();
            if (over()) co_return;
            if (!bytes.empty())
                perform(protocol_.receive(bytes, Clock::now()));
            else if (connection_->end() == process::Outgoing::End::stopped)
                finish("stopped before it had ended");
            else
                perform(protocol_.disconnected(Clock::now()));
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
        intake_.write(What::malformed, process::malformed_fields(action.what, action.error, action.head));
        spdlog::warn("{}: malformed {}: {}", intake_.remote, action.what, action.error.text());
    }
    void act(const wmsp::Send& action) {
        intake_.write(What::sent, process::message_fields(action));
        auto& outbox = connection_->outbox();
        if (!outbox.send(action.bytes) && !outbox.broken()) finish("the source does not read");
    }
    void act(const wmsp::Answered&) {}
    void act(const wmsp::HeaderComplete& action) {
        if (!protocol_.playing()) return;  // Play brings it again
        if (const auto problem = intake_.header(action.header.raw)) finish(*problem);
    }
    void act(const wmsp::MediaReceived& action) {
        intake_.packet(action.LocationId, action.packet);
        if (!intake_.enough()) return;
        end_.over = true;
        finish("pulled as long as was asked");
    }
    void act(const wmsp::MediaStale& action) { intake_.write(What::media_stale, process::stale_fields(action)); }
    void act(const wmsp::StreamEnded&) { told_end_ = true; }
    void act(const wmsp::Finished& action) {
        end_.over = action.worked && told_end_;  // a connection that just ends is a loss: the source may come back
        end_.hr = action.hr;
        if (action.cause == wmsp::Finished::Cause::silent && intake_.packets() > 0) intake_.silent(patience_);
        finish(action.reason);
    }

    void finish(std::string reason) {
        if (finished_) return;
        finished_ = true;
        end_.reason = std::move(reason);
        deadline_.cancel();
        if (connection_) connection_->stop_receiving();
    }

    void arm() {
        if (!over() && connection_) wake_at(protocol_.next_deadline());
    }

    void wake_at(std::optional<SteadyTime> time) { deadline_.set(time, weak_from_this(), &HttpPull::tick); }

    void tick() {
        if (over()) return;
        const auto now = Clock::now();
        const auto deadline = protocol_.next_deadline();
        if (deadline && *deadline <= now) {
            if (const auto later = reprieve_.until(*deadline, now, connection_->unread())) return wake_at(later);
        }
        perform(protocol_.tick(now));
    }

    Server& server_;
    const Pull& pull_;
    Intake& intake_;
    net::Deadline deadline_;
    net::Reprieve reprieve_;
    bool finished_ = false, told_end_ = false;
    milliseconds patience_;
    wmsp::PlayerSession protocol_;
    std::optional<wmsp::Endpoint> wanted_;         // the next connection
    std::optional<process::Outgoing> connection_;  // now open
    PullEnd end_;
};

}  // namespace

asio::awaitable<PullEnd> fetch_http(Server& server, const Pull& pull, Intake& intake) {
    const auto puller = std::make_shared<HttpPull>(server, pull, intake);
    co_return co_await puller->run();
}

}  // namespace wmlab::server_sim
