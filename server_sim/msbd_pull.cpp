// Pulling by MSBD: moves the bytes of msbd::PullingSession between one connection and the pull's intake.
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/bytes/utf16.hpp"
#include "common/msbd/pulling_session.hpp"
#include "common/net/connect.hpp"
#include "common/net/outbox.hpp"
#include "common/process/msbd_words.hpp"
#include "server_sim/pull.hpp"

namespace wmlab::server_sim {
namespace {

using evidence::What;

constexpr std::size_t answers_max = 64 * 1024;  // ours that the source leaves unread

class MsbdPull : public std::enable_shared_from_this<MsbdPull> {
public:
    MsbdPull(Server& server, const Pull& pull, Intake& intake)
        : server_{server}, pull_{pull}, intake_{intake}, timer_{server.context.io} {}

    asio::awaitable<PullEnd> run() {
        const auto self = shared_from_this();
        if (co_await connect()) {
            perform(protocol_->start(Clock::now()));
            co_await read();
            timer_.cancel();
            write_closed();
        }
        co_return end_;
    }

private:
    using Clock = std::chrono::steady_clock;

    asio::awaitable<bool> connect() {
        const auto address = co_await server_.context.resolve(pull_.source.host);
        if (!address) {
            end_.reason = address.error();
            co_return false;
        }
        const net::tcp::endpoint to{*address, pull_.source.port};
        intake_.remote = net::text(to);
        boost::json::object connecting;
        connecting["protocol"] = "tcp";
        intake_.write(What::connecting, std::move(connecting));
        std::optional<net::tcp::endpoint> from;
        if (server_.scenario_mode() && !server_.context.own_address().is_unspecified())
            from = net::tcp::endpoint{server_.context.own_address(), 0};
        auto connected = co_await net::connect(to, pull_.deadline, from);
        if (!connected) {
            boost::json::object fields;
            fields["protocol"] = "tcp";
            fields["failure"] = net::to_json(connected.error());
            intake_.write(What::connect_failed, std::move(fields));
            end_.reason = "cannot connect to " + intake_.remote + ": " + connected.error().text();
            co_return false;
        }
        msbd::PullingOptions options;
        options.connect_timeout = net::patient(pull_.deadline, connected->round_trip);
        options.stream_timeout = net::patient(pull_.first_header, connected->round_trip);
        patience_ = options.connect_timeout;
        if (!pull_.channel.empty()) options.channel = bytes::to_utf16(pull_.channel);
        protocol_.emplace(std::move(options));
        outbox_.emplace(std::move(connected->socket), answers_max);
        intake_.local = net::text(outbox_->local());
        boost::json::object fields;
        fields["milliseconds"] = std::chrono::duration<double, std::milli>(connected->round_trip).count();
        intake_.write(What::connected, std::move(fields));
        co_return true;
    }

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
            } else if (error == asio::error::eof) {
                closed_by_ = "peer";
                perform(protocol_->disconnected(Clock::now()));
            } else if (error) {
                failure_ = net::Failure::of(error, milliseconds{0});
                finish("error", "the connection broke: " + failure_->text());
            } else {
                perform(protocol_->receive({buffer.data(), size}, Clock::now()));
            }
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
        if (action.other_version) fields["other_version"] = true;
        intake_.write(What::received, std::move(fields));
    }
    void act(const msbd::Malformed& action) {
        intake_.write(What::malformed, process::malformed_fields(action));
        spdlog::warn("{}: malformed message: {}", intake_.remote, action.error.text());
    }
    void act(const msbd::Send& action) {
        intake_.write(What::sent, process::message_fields(action.message, action.bytes.size()));
        if (!outbox_->send(action.bytes) && !outbox_->broken()) finish("self", "the source does not read");
    }
    void act(const msbd::JoinGroup&) {}  // multicast is not asked for
    void act(const msbd::StreamStarted& action) {
        silent_at_ = Clock::now() + patience_;
        if (const auto problem = intake_.header(action.stream.header)) finish("self", *problem);
    }
    void act(const msbd::PacketReceived& action) {
        silent_at_ = Clock::now() + patience_;
        intake_.packet(action.dwPacketId, action.payload);
        if (!intake_.enough()) return;
        end_.over = true;
        finish("self", "pulled as long as was asked");
    }
    void act(const msbd::StreamEnded&) { silent_at_.reset(); }  // the session waits for what follows
    void act(const msbd::Finished& action) {
        end_.over = action.worked;
        end_.hr = action.hr == bytes::S_OK || !bytes::is_failure(action.hr) ? 0 : action.hr;
        if (closed_by_ == "peer") end_.hr = 0;  // nobody said a code
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
        if (over()) return;
        auto deadline = protocol_->next_deadline();
        if (silent_at_ && (!deadline || *silent_at_ < *deadline)) deadline = silent_at_;
        if (!deadline) return;
        if (armed_ && timer_.expiry() == *deadline) return;
        armed_ = true;
        timer_.expires_at(*deadline);
        timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
            const auto self = weak.lock();
            if (!self || error || self->finished_) return;
            self->armed_ = false;
            self->tick();
        });
    }

    void tick() {
        const auto now = Clock::now();
        if (silent_at_ && *silent_at_ <= now) {
            // What has arrived but was not read yet, because this machine is loaded, is not silence.
            boost::system::error_code gone;
            if (outbox_->socket().available(gone) > 0 && !gone) {
                silent_at_ = now + loaded_machine;
            } else {
                intake_.silent(patience_);
                return finish("self", "the source sent nothing for " + std::to_string(patience_.count()) + " ms");
            }
        }
        perform(protocol_->tick(now));
    }

    void write_closed() {
        boost::json::object fields;
        fields["by"] = closed_by_;
        fields["reason"] = end_.reason;
        if (failure_) fields["failure"] = net::to_json(*failure_);
        intake_.write(What::closed, std::move(fields));
    }

    static constexpr milliseconds loaded_machine{20};

    Server& server_;
    const Pull& pull_;
    Intake& intake_;
    asio::steady_timer timer_;
    bool armed_ = false, reading_ = false, finished_ = false;
    std::optional<net::Outbox> outbox_;
    std::optional<msbd::PullingSession> protocol_;
    milliseconds patience_{0};
    std::optional<Clock::time_point> silent_at_;  // a packet is late by then
    std::optional<net::Failure> failure_;
    std::string closed_by_;
    PullEnd end_;
};

}  // namespace

asio::awaitable<PullEnd> fetch_msbd(Server& server, const Pull& pull, Intake& intake) {
    const auto puller = std::make_shared<MsbdPull>(server, pull, intake);
    co_return co_await puller->run();
}

}  // namespace wmlab::server_sim
