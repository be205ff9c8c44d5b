// What the sessions of all protocols have in common: the connection with its place in the limits, its deadlines, the
// subscription to a publishing point, the account of what was sent, and the events from `accepted` to `closed`.
#pragma once
#include <memory>
#include <span>

#include "common/net/deadline.hpp"
#include "common/net/outbox.hpp"
#include "common/process/media_digest.hpp"
#include "common/serving/server.hpp"

namespace wmlab::serving {

class Session : public Subscriber, public std::enable_shared_from_this<Session> {
public:
    asio::awaitable<void> run();  // from accept to close
    asio::ip::address peer() const { return remote_.address(); }
    std::string peer_text() const { return net::text(remote_); }  // with the port

protected:
    using Clock = std::chrono::steady_clock;

    Session(Server& server, Seats& seats, net::tcp::socket socket, std::string leg);

    // --- the protocol

    virtual void receive(std::span<const std::byte> bytes) = 0;
    virtual void disconnected() = 0;  // the peer has closed the connection
    virtual void tick() = 0;          // next_deadline() has come
    virtual std::optional<SteadyTime> next_deadline() const = 0;
    virtual bool finished() const = 0;
    virtual asio::awaitable<void> farewell();  // the last bytes on their way to a peer that may still read
    virtual void write_media_end();
    virtual void closed() {}  // after the last event

    // --- for its actions

    void arm();                                        // after every step
    void abandon(std::string by, std::string reason);  // before the protocol is finished
    void close(std::string reason);                    // when it is
    bool abandoned() const { return !closed_by_.empty(); }
    bool too_many() const { return !seat_.granted(); }  // this session is above the limits
    void media_sent(SteadyTime now);                    // writes media-started at the first packet
    void stops_playing();                               // ends the subscription
    std::unique_ptr<Subscription> played_out();         // it has ended by itself

    void on_fault(const std::exception& error) override;
    // What a socket, a timer or another session calls: a fault in one session ends that session.
    template <class Step>
    void guarded(Step step) {
        try {
            step();
        } catch (const std::exception& error) {
            on_fault(error);
        }
    }

    void write(evidence::What what, boost::json::object fields = {});
    void write(evidence::What what, std::string leg, boost::json::object fields, std::string local, std::string remote);
    boost::json::object media_fields() const;  // of media-ended

    Server& server_;
    net::Outbox outbox_;
    net::tcp::endpoint local_, remote_;
    std::string flow_;
    std::unique_ptr<Subscription> subscription_;
    process::MediaDigest digest_;

private:
    virtual void media_begins();
    void unsubscribe();
    void make_room();
    void due();
    void stop_reading();

    std::string leg_;
    std::uint64_t connection_;
    Seats::Seat seat_;
    net::Deadline deadline_;
    std::optional<SteadyTime> first_send_, last_send_;
    std::uint64_t skipped_ = 0;
    bool reading_ = false, peer_closed_ = false, made_room_ = false;
    std::string closed_by_, reason_;
};

}  // namespace wmlab::serving
