// One MSBD connection that was opened to us: moves the bytes of msbd::ServingSession between it and a publishing point,
// and writes the journal.
#pragma once
#include "common/msbd/serving_session.hpp"
#include "common/serving/session.hpp"

namespace wmlab::serving {

class MsbdSession : public Session {
public:
    // `usual`: what is sent to those who ask for no publishing point by its name.
    // `flow`: the only one that can have opened it; empty where that is not known.
    MsbdSession(Server& server, std::shared_ptr<PublishingPoint> usual, net::tcp::socket socket, std::string flow);

    void end();  // says that nothing follows, and waits for the puller to close

    std::uint64_t packets() const { return digest_.packets(); }
    std::uint64_t bytes() const { return digest_.bytes(); }
    std::size_t behind() const { return outbox_.queued(); }  // bytes that the puller has not taken

private:
    void receive(std::span<const std::byte> bytes) override;
    void disconnected() override { perform(protocol_.disconnected(Clock::now())); }
    void tick() override { perform(protocol_.tick(Clock::now())); }
    std::optional<SteadyTime> next_deadline() const override { return protocol_.next_deadline(); }
    bool finished() const override { return protocol_.finished(); }
    void closed() override;

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
    void act(const msbd::Close& action) { close(action.reason); }

    void begin();
    msbd::StreamInfo stream_info();

    std::shared_ptr<PublishingPoint> point_;
    msbd::ServingSession protocol_;
    std::uint16_t stream_id_ = 0;
    bytes::Bytes sending_;  // the packet under way to SendPacket
};

}  // namespace wmlab::serving
