// One player's MMS session: moves the bytes of mms::ServerSession between its control connection, the shared UDP socket
// and a publishing point, and writes the journal.
#pragma once
#include "common/asf/selection.hpp"
#include "common/mms/server_session.hpp"
#include "common/net/datagram.hpp"
#include "common/serving/session.hpp"

namespace wmlab::server_sim {

class MmsSession;

// Finds the session of an ICMP message by the address and port that it is about.
class MmsTargets {
public:
    virtual void sends_to(MmsSession& session, const net::udp::endpoint& target) = 0;
    virtual void sends_no_longer_to(MmsSession& session, const net::udp::endpoint& target) = 0;

protected:
    ~MmsTargets() = default;
};

class MmsSession : public Session {
public:
    // `datagrams` is bound to the address and port that the player connected to, and outlives the session.
    MmsSession(Server& server, MmsTargets& targets, net::DatagramSocket& datagrams, net::tcp::socket socket, std::uint32_t client_id);

    void datagram(std::span<const std::byte> bytes, const net::udp::endpoint& from);
    void icmp(const net::QueuedError& error);  // about a datagram of ours to this player

    std::uint32_t client_id() const { return protocol_.client_id(); }
    void left();  // it is no longer to be found

private:
    void receive(std::span<const std::byte> bytes) override;
    void disconnected() override;
    void tick() override { perform(protocol_.tick(Clock::now())); }
    std::optional<SteadyTime> next_deadline() const override { return protocol_.next_deadline(); }
    bool finished() const override { return protocol_.finished(); }
    void media_begins() override;
    void write_media_end() override;

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
    void act(const mms::Close& action) { close(action.reason); }

    void open();
    void asked_again(std::span<const std::byte> bytes, const net::udp::endpoint& from);
    bool fits_transport() const;
    std::string media_leg() const { return protocol_.udp_port() ? "media" : "control"; }
    net::udp::endpoint media_target() const;
    std::string media_remote() const;

    void note_target();
    std::shared_ptr<const std::vector<std::byte>> again(std::uint32_t LocationId) const;
    mms::ServerOptions with_again(mms::ServerOptions options) const;

    MmsTargets& targets_;
    net::DatagramSocket& datagrams_;
    std::optional<net::udp::endpoint> target_;  // as MmsTargets knows it
    mms::ServerSession protocol_;
    std::shared_ptr<PublishingPoint> point_;
    asf::Selection selection_;

    net::DatagramSocket::Account datagrams_account_;
    void tell_icmp(const net::QueuedError& error);

    std::uint64_t icmp_errors_ = 0;
    std::vector<net::QueuedError> icmp_seen_;  // one of each sort
};

}  // namespace wmlab::server_sim
