// Pulling by MSBD: moves the bytes of msbd::PullingSession between one connection and the pull's intake.
#include <spdlog/spdlog.h>

#include "common/bytes/utf16.hpp"
#include "common/msbd/pulling_session.hpp"
#include "common/net/connect.hpp"
#include "common/net/deadline.hpp"
#include "common/net/reprieve.hpp"
#include "common/process/malformed.hpp"
#include "common/process/msbd_words.hpp"
#include "common/process/outgoing.hpp"
#include "server_sim/pull.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

constexpr std::size_t answers_max = 64 * 1024;  // ours that the source leaves unread

class MsbdPull : public std::enable_shared_from_this<MsbdPull> {
public:
    MsbdPull(Server& server, const Pull& pull, Intake& intake)
        : pull_{pull},
          intake_{intake},
          connection_{server.context, answers_max, journal_of(intake)},
          deadline_{server.context.io.get_executor()} {}

    asio::awaitable<PullEnd> run() {
        const auto self = shared_from_this();
        if (co_await connect()) {
            perform(protocol_->start(Clock::now()));
            co_await read();
            deadline_.cancel();
            connection_.close(end_.reason);
        }
        co_return end_;
    }

private:
    using Clock = std::chrono::steady_clock;

    asio::awaitable<bool> connect() {
        if (const auto problem = co_await connection_.open(pull_.source, pull_.deadline)) {
            end_.reason = *problem;
            co_return false;
        }
        msbd::PullingOptions options;
        options.connect_timeout = net::patient(pull_.deadline, connection_.round_trip());
        options.stream_timeout = net::patient(pull_.first_header, connection_.round_trip());
        patience_ = options.connect_timeout;
        if (!pull_.channel.empty()) options.channel = bytes::to_utf16(pull_.channel);
        protocol_.emplace(std::move(options));
        co_return true;
    }

    asio::awaitable<void> read() {
        using End = process::Outgoing::End;
        while (!over()) {
            const auto bytes = co_await connection_.receive();
            if (over()) co_return;
            if (!bytes.empty())
                perform(protocol_->receive(bytes, Clock::now()));
            else if (connection_.end() == End::stopped)
                finish("stopped before it had ended");
            else if (connection_.end() == End::by_peer)
                perform(protocol_->disconnected(Clock::now()));
            else
                finish("the connection broke: " + connection_.failure()->text());
        }
    }

    bool over() const { return finished_ || protocol_->finished(); }

    void perform(const msbd::PullingActions& actions) {
        for (const auto& action : actions) {
            std::visit([this](const auto& one) { act(one); }, action);
            if (finished_) return;
        }
        arm();
    }

    void act(const msbd::Received& action) {
        auto fields = process::message_fields(action.message, action.size);
        if (action.other_version) fields[field::other_version] = true;
        intake_.write(What::received, std::move(fields));
    }
    void act(const msbd::Malformed& action) {
        intake_.write(What::malformed, process::malformed_fields("MSBD message", action.error, action.head));
        spdlog::warn("{}: malformed message: {}", intake_.remote, action.error.text());
    }
    void act(const msbd::Send& action) {
        intake_.write(What::sent, process::message_fields(action.message, action.bytes.size()));
        auto& outbox = connection_.outbox();
        if (!outbox.send(action.bytes) && !outbox.broken()) finish("the source does not read");
    }
    void act(const msbd::JoinGroup&) {}  // multicast is not asked for
    void act(const msbd::StreamStarted& action) {
        silent_at_ = Clock::now() + patience_;
        if (const auto problem = intake_.header(action.stream.header)) finish(*problem);
    }
    void act(const msbd::PacketReceived& action) {
        silent_at_ = Clock::now() + patience_;
        intake_.packet(action.dwPacketId, action.payload);
        if (!intake_.enough()) return;
        end_.over = true;
        finish("pulled as long as was asked");
    }
    void act(const msbd::StreamEnded&) { silent_at_.reset(); }  // the session waits for what follows
    void act(const msbd::Finished& action) {
        end_.over = action.worked;
        end_.hr = action.hr == bytes::S_OK || !bytes::is_failure(action.hr) ? 0 : action.hr;
        if (connection_.end() == process::Outgoing::End::by_peer) end_.hr = 0;  // nobody said a code
        finish(action.reason);
    }

    void finish(std::string reason) {
        if (finished_) return;
        finished_ = true;
        end_.reason = std::move(reason);
        deadline_.cancel();
        connection_.stop_receiving();
    }

    void arm() {
        if (over()) return;
        auto at = protocol_->next_deadline();
        if (silent_at_ && (!at || *silent_at_ < *at)) at = silent_at_;
        deadline_.set(at, weak_from_this(), &MsbdPull::tick);
    }

    void tick() {
        if (finished_) return;
        const auto now = Clock::now();
        if (silent_at_ && *silent_at_ <= now) {
            if (const auto later = reprieve_.until(*silent_at_, now, connection_.unread())) {
                silent_at_ = later;
            } else {
                intake_.silent(patience_);
                return finish("the source sent nothing for " + std::to_string(patience_.count()) + " ms");
            }
        }
        perform(protocol_->tick(now));
    }

    const Pull& pull_;
    Intake& intake_;
    process::Outgoing connection_;
    net::Deadline deadline_;
    net::Reprieve reprieve_;
    bool finished_ = false;
    std::optional<msbd::PullingSession> protocol_;
    milliseconds patience_{0};
    std::optional<Clock::time_point> silent_at_;  // a packet is late by then
    PullEnd end_;
};

}  // namespace

asio::awaitable<PullEnd> fetch_msbd(Server& server, const Pull& pull, Intake& intake) {
    const auto puller = std::make_shared<MsbdPull>(server, pull, intake);
    co_return co_await puller->run();
}

}  // namespace wmlab::server_sim
