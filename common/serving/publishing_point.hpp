// Publishing points: what a server offers by name, and how its packets reach the sessions of every protocol, each at
// its time. Live: one clock, all subscribers get the same packets. Stored: each subscriber has its own position and
// pace. Relayed: live, what a pull hands over, when it hands it over. Everything runs on one thread.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/asf/content.hpp"

namespace wmlab::serving {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;

struct Packet {
    Packet(std::uint64_t of, std::vector<std::byte> packet);
    std::uint64_t number = 0;
    std::shared_ptr<const std::vector<std::byte>> bytes;  // whole ASF packet, shared by all who send it
    std::uint32_t crc = 0;                                // reckoned once for all of them
    SteadyTime made = std::chrono::steady_clock::now();   // likewise
};

class Subscriber {
public:
    virtual ~Subscriber() = default;
    virtual void on_packet(const Packet& packet) = 0;
    virtual void on_end() = 0;              // nothing comes after it: stored content is over, or what is relayed
    virtual void on_header() { on_end(); }  // relayed: another stream follows, header() has its header
    virtual void on_ready() {}              // of PublishingPoint::wait: the stream is there, or the wait was in vain
    // One of these failed: it ends this subscriber and no other.
    virtual void on_fault(const std::exception&) { on_end(); }
};

// Ends the deliveries when it is destroyed, also from within on_packet.
class Subscription {
public:
    virtual ~Subscription() = default;
    virtual std::uint64_t skipped() const { return 0; }  // packets that were never made, since there was no time
};

struct Position {  // of stored content; live content starts now
    std::uint64_t packet = 0;
    std::optional<std::uint64_t> end;  // first packet not to be sent; none: all
    // The first part faster than real time (a player's buffer): so much of the media at so many times its speed.
    milliseconds fast_for{0};
    double speed = 1;
    // Live video starts with the key frame before now, unless more bytes than this have been sent since.
    std::size_t backlog_max = 0;
};

class PublishingPoint : public std::enable_shared_from_this<PublishingPoint> {
public:
    PublishingPoint(asio::any_io_executor executor, std::string name, std::shared_ptr<const asf::Content> content);

    // Relayed: empty until begin() was called. content() then only has the header.
    PublishingPoint(asio::any_io_executor executor, std::string name);

    const std::string& name() const { return name_; }
    bool ready() const { return content_ != nullptr && !ended_; }  // content() and header() may be asked for
    const asf::Content& content() const { return *content_; }
    const asf::Header& header() const { return content_->header(); }
    bool live() const { return relayed_ || content_->live(); }
    bool relayed() const { return relayed_; }
    std::uint64_t next_number() const { return next_; }  // live: of the packet that comes next
    // Live: packets that nobody got, since this process could not keep up with the clock and went on from the present.
    std::uint64_t skipped() const { return skipped_; }
    // A packet once more, for whoever has lost it; null: it is too long ago.
    std::shared_ptr<const std::vector<std::byte>> again(std::uint32_t number) const;

    // `subscriber` must outlive the subscription. The first packet comes in a later turn of the loop.
    [[nodiscard]] std::unique_ptr<Subscription> subscribe(Subscriber& subscriber, const Position& from = {});
    // Until ready() or the limit has passed: on_ready() comes once, unless the subscription is destroyed before.
    static constexpr milliseconds late_max{2000};      // later than that nothing is made up for
    static constexpr milliseconds slice{4};            // of one turn of the loop
    static constexpr std::size_t deliveries_max = 64;  // waiting: what comes beyond is skipped
    [[nodiscard]] std::unique_ptr<Subscription> wait(Subscriber& subscriber, milliseconds limit);
    std::size_t subscribers() const;

    // What a pull hands over, whatever its protocol. A connection that is lost is no end: what comes after it goes on.
    void begin(const asf::Header& header);      // the stream's header, also when it is the same as before
    void relay(std::vector<std::byte> packet);  // an ASF packet; padding that was not sent is added
    void end();                                 // the source says that nothing follows; begin() may all the same

private:
    class Live;
    class Stored;
    class Waiting;
    struct Listener {
        Subscriber* to = nullptr;  // null: left during a delivery
        std::size_t backlog_max = 0;
        bool begun = false;
    };
    struct Delivery {
        enum class What { packet, header, end };
        What what = What::packet;
        std::optional<Packet> packet = std::nullopt;
    };
    void tick();
    void arm();
    void skip(std::uint64_t packets);
    void deliver(Delivery::What what);
    void deliver(Packet packet);
    void deliver(Delivery delivery);
    void deliver_some();
    void give(Listener& listener, const Delivery& delivery);
    void begin(Listener& listener, const Packet& packet);
    void remember(const Packet& packet);
    void forget_recent();
    void sweep();
    void keep(const Packet& packet);
    bool delivering() const { return !deliveries_.empty(); }

    asio::any_io_executor executor_;
    std::string name_;
    std::shared_ptr<const asf::Content> content_;
    SteadyTime start_;          // of the live clock
    asio::steady_timer timer_;  // live: until the next packet is due
    std::uint64_t next_ = 0;    // live: its number
    std::list<Listener> live_;
    // One after the other, each to all who were there when it began, in slices between which others have their turn.
    std::deque<Delivery> deliveries_;
    std::list<Listener>::iterator next_to_get_, last_to_get_;
    std::deque<Packet> history_;  // of what is live: one for all who may ask again
    std::size_t history_size_ = 0;
    // Relayed video: since the last key frame of each of its streams.
    std::deque<Packet> recent_;
    std::map<std::uint8_t, std::uint64_t> recent_keys_;  // by stream: where it is, counted from the first packet kept ever
    std::uint64_t recent_first_ = 0;                     // of recent_, counted likewise
    std::size_t recent_size_ = 0;
    bool begun_ = false, armed_ = false;
    std::uint64_t skipped_ = 0;
    SteadyTime told_skip_{};
    std::size_t stored_ = 0;
    bool relayed_ = false, ended_ = false;
    std::vector<std::weak_ptr<void>> waiting_;  // Waiting::State
    std::size_t waiting_max_ = 16;              // then those are taken out that wait no longer
};

class PublishingPoints {
public:
    void add(std::shared_ptr<PublishingPoint> point, std::vector<std::string> more_names = {});
    void remove(const std::shared_ptr<PublishingPoint>& point);  // whoever has it keeps it
    // By a name as a URL's path has it, leading slashes ignored, then without regard to letter case; then percent-decoded.
    // Null: unknown.
    std::shared_ptr<PublishingPoint> find(std::string_view requested) const;
    bool has(const std::string& name) const;  // this very name
    const std::vector<std::shared_ptr<PublishingPoint>>& all() const { return all_; }

private:
    std::shared_ptr<PublishingPoint> named(std::string_view wanted) const;

    std::vector<std::shared_ptr<PublishingPoint>> all_;
    using Name = std::pair<std::string, std::shared_ptr<PublishingPoint>>;
    std::vector<Name> names_;
};

}  // namespace wmlab::serving
