// One HTTP connection: moves the bytes of wmsp::ServerSession between it and a publishing point, and writes the
// journal.
#pragma once
#include <functional>
#include <memory>
#include <set>

#include "common/net/outbox.hpp"
#include "common/net/tasks.hpp"
#include "common/process/media_digest.hpp"
#include "common/wmsp/server_session.hpp"
#include "server_sim/server.hpp"

namespace wmlab::server_sim {

class HttpSession;

// What the sessions of one service share.
class HttpHall {
public:
    virtual ~HttpHall() = default;
    // The packet as a $D frame, made once for all players of a live stream.
    virtual std::shared_ptr<const std::vector<std::byte>> frame_of(const Packet& packet) = 0;
    virtual std::uint32_t new_client_id() = 0;
    virtual HttpSession* session(std::uint32_t client_id) = 0;  // null: there is none
    virtual void spawn(asio::awaitable<void> task) = 0;
};

class HttpSession : public Subscriber, public std::enable_shared_from_this<HttpSession> {
public:
    HttpSession(Server& server, HttpHall& hall, net::tcp::socket socket);
    ~HttpSession() override;

    asio::awaitable<void> run();  // from accept to close

    std::uint32_t client_id() const { return protocol_.client_id(); }
    bool streaming() const { return protocol_.streaming(); }
    asio::ip::address peer() const { return remote_.address(); }
    void select(std::vector<wmsp::StreamSwitchEntry> entries);

private:
    using Clock = std::chrono::steady_clock;

    void on_packet(const Packet& packet) override;
    void on_end() override;
    void on_ready() override;

    void perform(const wmsp::ServerActions& actions);
    void act(const wmsp::Received& action);
    void act(const wmsp::Malformed& action);
    void act(const wmsp::Send& action);
    void act(const wmsp::SendData& action);
    void act(const wmsp::OpenRequest& action);
    void act(const wmsp::StartMedia& action);
    void act(const wmsp::StopMedia& action);
    void act(const wmsp::SelectStreams& action);
    void act(const wmsp::StreamsSelected& action);
    void act(const wmsp::LogUploaded& action);
    void act(const wmsp::Close& action);

    void open(wmsp::Purpose purpose);
    asio::awaitable<void> download();  // stored content, as fast as the connection takes it
    asio::awaitable<void> linger();
    std::string index() const;
    void set_streams(const std::vector<wmsp::StreamChoice>& streams);
    bool switched_off(const Packet& packet) const;
    void arm();
    void abandon(std::string by, std::string reason);
    void stop_reading();
    void write(evidence::What what, boost::json::object fields = {});
    void write_media_end();

    Server& server_;
    HttpHall& hall_;
    net::Outbox outbox_;
    net::tcp::endpoint local_, remote_;
    std::uint64_t connection_;
    Peers::Seat seat_;
    bool full_;
    wmsp::ServerSession protocol_;
    asio::steady_timer timer_;
    bool armed_ = false;

    std::string flow_;
    std::shared_ptr<PublishingPoint> point_;
    wmsp::Purpose purpose_{};  // of the request that waits for the point's stream
    std::unique_ptr<Subscription> subscription_;
    std::set<std::uint8_t> streams_off_;

    process::MediaDigest digest_;
    std::optional<std::uint32_t> crc_;  // of the packet now given to the protocol
    std::optional<std::chrono::nanoseconds> first_send_, last_send_;
    bool reading_ = false, download_ = false;
    std::string closed_by_, reason_;
};

}  // namespace wmlab::server_sim
