// One MSBD connection that was opened to us: moves the bytes of msbd::ServingSession between it and a publishing point,
// and writes the journal.
#pragma once
#include <memory>

#include "common/msbd/serving_session.hpp"
#include "common/net/outbox.hpp"
#include "common/process/media_digest.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

class MsbdSession : public Subscriber, public std::enable_shared_from_this<MsbdSession> {
public:
    // `usual`: what is sent to those who ask for no publishing point by its name.
    // `flow`: the only one that can have opened it; empty where that is not known.
    MsbdSession(Server& server, std::shared_ptr<PublishingPoint> usual, net::tcp::socket socket, std::string flow);
    ~MsbdSession() override;

    asio::awaitable<void> run();  // from accept to close
    void end();                   // says that nothing follows, and waits for the puller to close

    const std::string& peer() const { return peer_; }
    std::uint64_t packets() const { return digest_.packets(); }
    std::uint64_t bytes() const { return digest_.bytes(); }
    std::size_t behind() const { return outbox_.queued(); }  // bytes that the puller has not taken

private:
    using Clock = std::chrono::steady_clock;

    void on_packet(const Packet& packet) override;
    void on_end() override;
    void on_header() override;
    void on_ready() override;

    void perform(const msbd::ServingActions& actions);
    void act(const msbd::Received& action);
    void act(const msbd::Malformed& action);
    void act(const msbd::Send& action);
    void act(const msbd::SendPacket& action);
    void act(const msbd::Connected& action);
    void act(const msbd::Close& action);

    void begin();
    msbd::StreamInfo stream_info();
    void arm();
    void abandon(std::string by, std::string reason);
    void stop_reading();
    void write(evidence::What what, boost::json::object fields = {});
    void write_media_end();

    Server& server_;
    std::shared_ptr<PublishingPoint> point_;
    net::Outbox outbox_;
    std::string local_, peer_, flow_;
    std::uint64_t connection_;
    Peers::Seat seat_;
    msbd::ServingSession protocol_;
    asio::steady_timer timer_;
    bool armed_ = false, reading_ = false;
    std::unique_ptr<Subscription> subscription_;
    std::uint16_t stream_id_ = 0;

    process::MediaDigest digest_;
    bytes::Bytes sending_;  // the packet under way to SendPacket
    std::optional<std::chrono::nanoseconds> first_send_, last_send_;
    std::string closed_by_, reason_;
};

}  // namespace wmlab::server_sim
