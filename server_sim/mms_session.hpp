// One player's MMS session: moves the bytes of mms::ServerSession between its control connection, the shared UDP socket
// and a publishing point, and writes the journal.
#pragma once
#include <functional>
#include <memory>
#include <set>

#include "common/mms/server_session.hpp"
#include "common/net/datagram.hpp"
#include "common/net/outbox.hpp"
#include "common/process/media_digest.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

class MmsSession : public Subscriber, public std::enable_shared_from_this<MmsSession> {
public:
    // `datagrams` is bound to the address and port that the player connected to, and outlives the session.
    MmsSession(Server& server, net::DatagramSocket& datagrams, net::tcp::socket socket, std::uint32_t client_id);
    ~MmsSession() override;

    asio::awaitable<void> run();  // from accept to close
    void datagram(std::span<const std::byte> bytes, const net::udp::endpoint& from);
    void icmp(const net::QueuedError& error);  // about a datagram of ours to this player

    std::uint32_t client_id() const { return protocol_.client_id(); }
    asio::ip::address peer() const { return remote_.address(); }
    bool sends_to(const net::udp::endpoint& at) const;

private:
    using Clock = std::chrono::steady_clock;

    void on_packet(const Packet& packet) override;
    void on_end() override;
    void on_ready() override;

    void perform(const mms::ServerActions& actions);
    void act(const mms::Received& action);
    void act(const mms::Malformed& action);
    void act(const mms::Send& action);
    void act(const mms::SendData& action);
    void act(const mms::OpenRequest& action);
    void act(const mms::StartMedia& action);
    void act(const mms::StopMedia& action);
    void act(const mms::StreamsSelected& action);
    void act(const mms::Close& action);

    void open();
    void arm();  // the timer, for the protocol's next deadline
    void abandon(std::string by, std::string reason);
    void write(evidence::What what, std::string leg, boost::json::object fields = {});
    void write(evidence::What what, std::string leg, boost::json::object fields, std::string local, std::string remote);
    void write_media_end();
    bool switched_off(const Packet& packet) const;
    std::string media_leg() const { return protocol_.udp_port() ? "media" : "control"; }
    net::udp::endpoint media_target() const;

    Server& server_;
    net::DatagramSocket& datagrams_;
    net::Outbox outbox_;
    net::tcp::endpoint local_, remote_;
    std::uint64_t connection_;
    Peers::Seat seat_;
    mms::ServerSession protocol_;
    asio::steady_timer timer_;
    bool armed_ = false;

    std::string flow_;
    std::shared_ptr<PublishingPoint> point_;
    std::unique_ptr<Subscription> subscription_;
    std::set<std::uint8_t> streams_off_;

    process::MediaDigest digest_;
    std::uint64_t datagrams_sent_ = 0, datagrams_unsent_ = 0;
    std::optional<std::chrono::nanoseconds> first_send_, last_send_;
    std::uint64_t icmp_errors_ = 0;
    std::set<std::string> icmp_seen_;
    std::string closed_by_, reason_;
};

}  // namespace wmlab::server_sim
