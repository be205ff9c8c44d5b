// One HTTP connection: moves the bytes of wmsp::ServerSession between it and a publishing point, and writes the
// journal.
#pragma once
#include "common/asf/selection.hpp"
#include "common/serving/session.hpp"
#include "common/wmsp/server_session.hpp"

namespace wmlab::serving {

class HttpSession;

// What the sessions of one service share.
class HttpHall {
public:
    virtual ~HttpHall() = default;
    // The packet as a $D frame, made once for all players of a live stream.
    virtual std::shared_ptr<const std::vector<std::byte>> frame_of(const Packet& packet) = 0;
    virtual std::uint32_t new_client_id() = 0;
    virtual HttpSession* session(std::uint32_t client_id) = 0;  // null: there is none
    // Sessions outlive their connections: a Play on another one may go on with it.
    virtual void remember(std::uint32_t client_id) = 0;
    virtual bool remembers(std::uint32_t client_id) const = 0;
    virtual void spawn(asio::awaitable<void> task) = 0;
};

class HttpSession : public Session {
public:
    HttpSession(Server& server, HttpHall& hall, net::tcp::socket socket);

    std::uint32_t client_id() const { return protocol_.client_id(); }
    bool streaming() const { return protocol_.streaming(); }
    void select(std::vector<wmsp::StreamSwitchEntry> entries);

private:
    void receive(std::span<const std::byte> bytes) override;
    void disconnected() override { perform(protocol_.disconnected(Clock::now())); }
    void tick() override { perform(protocol_.tick(Clock::now())); }
    std::optional<SteadyTime> next_deadline() const override { return protocol_.next_deadline(); }
    bool finished() const override { return protocol_.finished(); }
    asio::awaitable<void> farewell() override;

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
    void act(const wmsp::Close& action) { close(action.reason); }

    void open(wmsp::Purpose purpose);
    asio::awaitable<void> download();  // stored content, as fast as the connection takes it
    asio::awaitable<void> send_file();
    std::string index() const;
    void choose(const std::vector<wmsp::StreamChoice>& streams);

    HttpHall& hall_;
    wmsp::ServerSession protocol_;
    std::shared_ptr<PublishingPoint> point_;
    wmsp::Purpose purpose_{};  // of the request that waits for the point's stream
    asf::Selection selection_;
    std::optional<std::uint32_t> crc_;  // of the packet now given to the protocol
    bool download_ = false;
};

}  // namespace wmlab::serving
