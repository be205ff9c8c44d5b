#include "server_sim/publishing_point.hpp"

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>

#include "common/asf/packet.hpp"
#include "common/bytes/crc32.hpp"
#include "common/bytes/utf16.hpp"
#include "common/url/url.hpp"

namespace wmlab::server_sim {

using std::chrono::steady_clock;

namespace {

// Of what is relayed only the header is known beforehand.
class Relayed : public asf::Content {
public:
    explicit Relayed(asf::Header header) : header_{std::move(header)} {}
    const asf::Header& header() const override { return header_; }
    std::optional<std::uint64_t> packet_count() const override { return std::nullopt; }
    std::vector<std::byte> packet(std::uint64_t) const override { return {}; }
    milliseconds send_time(std::uint64_t) const override { return milliseconds{0}; }
    std::uint64_t packet_at_time(milliseconds, const asf::StreamSet&) const override { return 0; }
    std::uint64_t packets_before(milliseconds) const override { return 0; }

private:
    asf::Header header_;
};

}  // namespace

Packet::Packet(std::uint64_t of, std::vector<std::byte> packet)
    : number{of},
      bytes{std::make_shared<const std::vector<std::byte>>(std::move(packet))},
      crc{wmlab::bytes::crc32(*bytes)} {}

class PublishingPoint::Live : public Subscription {
public:
    Live(std::shared_ptr<PublishingPoint> point, Subscriber& subscriber, const Position& from)
        : point_{std::move(point)} {
        point_->live_.push_back({&subscriber, from.backlog_max});
        at_ = std::prev(point_->live_.end());
    }
    ~Live() override {
        if (point_->delivering_)
            at_->to = nullptr;
        else
            point_->live_.erase(at_);
    }

private:
    std::shared_ptr<PublishingPoint> point_;
    std::list<Listener>::iterator at_;
};

// One subscriber's own clock over stored content.
class PublishingPoint::Stored : public Subscription {
public:
    Stored(std::shared_ptr<PublishingPoint> point, Subscriber& subscriber, const Position& from)
        : self_{std::make_shared<State>(std::move(point), subscriber, from)} {
        ++self_->point->stored_;
        self_->wait();
    }
    ~Stored() override {
        --self_->point->stored_;
        self_->subscriber = nullptr;
        self_->timer.cancel();
    }

private:
    struct State : std::enable_shared_from_this<State> {
        State(std::shared_ptr<PublishingPoint> of, Subscriber& to, const Position& from)
            : point{std::move(of)},
              subscriber{&to},
              timer{point->executor_},
              next{from.packet},
              end{from.end},
              fast_for{from.fast_for},
              speed{std::max(1.0, from.speed)},
              start{steady_clock::now()} {
            if (has_next()) first = point->content_->send_time(next);
        }
        bool has_next() const {
            const auto count = point->content_->packet_count();
            return (!count || next < *count) && (!end || next < *end);
        }
        SteadyTime due() const {
            auto offset = std::chrono::duration<double, std::milli>{point->content_->send_time(next) - first};
            const std::chrono::duration<double, std::milli> fast{fast_for};
            offset -= std::min(offset, fast) * (1 - 1 / speed);
            return start + std::chrono::duration_cast<steady_clock::duration>(offset);
        }
        void wait() {
            timer.expires_at(has_next() ? due() : steady_clock::now());
            timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
                if (!error && self->subscriber) self->guarded();
            });
        }
        void guarded() {
            try {
                deliver();
            } catch (const std::exception& error) {
                if (subscriber) subscriber->on_fault(error);
            }
        }
        void deliver() {
            while (subscriber && has_next() && due() <= steady_clock::now()) {
                auto bytes = point->content_->packet(next);
                if (bytes.empty()) {  // the file shrank or broke while it was played
                    end = next;
                    break;
                }
                const Packet packet{next++, std::move(bytes)};
                subscriber->on_packet(packet);
            }
            if (!subscriber) return;
            if (has_next()) return wait();
            subscriber->on_end();
        }

        std::shared_ptr<PublishingPoint> point;
        Subscriber* subscriber;
        asio::steady_timer timer;
        std::uint64_t next;
        std::optional<std::uint64_t> end;
        milliseconds fast_for;
        double speed;
        SteadyTime start;
        milliseconds first{0};
    };
    std::shared_ptr<State> self_;
};

class PublishingPoint::Waiting : public Subscription {
public:
    struct State {
        State(const asio::any_io_executor& executor, Subscriber& of) : subscriber{&of}, limit{executor} {}
        void over() {
            limit.cancel();
            if (auto* const told = std::exchange(subscriber, nullptr)) told->on_ready();
        }
        Subscriber* subscriber;
        asio::steady_timer limit;
    };

    Waiting(PublishingPoint& point, Subscriber& subscriber, milliseconds limit)
        : state_{std::make_shared<State>(point.executor_, subscriber)} {
        std::erase_if(point.waiting_, [](const auto& one) { return one.expired(); });
        point.waiting_.push_back(state_);
        state_->limit.expires_after(point.ready() ? milliseconds{0} : limit);
        state_->limit.async_wait([state = state_](boost::system::error_code error) {
            if (!error) state->over();
        });
    }
    ~Waiting() override {
        state_->subscriber = nullptr;
        state_->limit.cancel();
    }

private:
    std::shared_ptr<State> state_;
};

PublishingPoint::PublishingPoint(asio::any_io_executor executor, std::string name,
                                 std::shared_ptr<const asf::Content> content)
    : executor_{executor},
      name_{std::move(name)},
      content_{std::move(content)},
      start_{steady_clock::now()},
      timer_{executor} {}

PublishingPoint::PublishingPoint(asio::any_io_executor executor, std::string name)
    : PublishingPoint{executor, std::move(name), nullptr} {
    relayed_ = true;
}

std::unique_ptr<Subscription> PublishingPoint::subscribe(Subscriber& subscriber, const Position& from) {
    if (!live()) return std::make_unique<Stored>(shared_from_this(), subscriber, from);
    auto subscription = std::make_unique<Live>(shared_from_this(), subscriber, from);
    if (!armed_ && !relayed_) {
        // While nobody listened the clock went on, and no packet was made.
        next_ = content_->packets_before(std::chrono::duration_cast<milliseconds>(steady_clock::now() - start_));
        arm();
    }
    return subscription;
}

void PublishingPoint::arm() {
    armed_ = true;
    timer_.expires_at(start_ + content_->send_time(next_));
    timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
        if (const auto self = weak.lock(); self && !error) self->tick();
    });
}

// To everybody who is there; who comes during the delivery starts with the next.
void PublishingPoint::deliver(const std::function<void(Listener&)>& give) {
    if (live_.empty()) return;
    const auto self = shared_from_this();  // the last subscriber may be the last owner
    delivering_ = true;
    const auto last = std::prev(live_.end());
    for (auto at = live_.begin();; ++at) {
        try {
            if (at->to) give(*at);
        } catch (const std::exception& error) {
            if (at->to) at->to->on_fault(error);
        }
        if (at == last) break;
    }
    live_.remove_if([](const Listener& one) { return one.to == nullptr; });
    delivering_ = false;
}

void PublishingPoint::deliver(const Packet& packet) {
    deliver([&](Listener& one) {
        if (!std::exchange(one.begun, true)) begin(one, packet);
        if (one.to) one.to->on_packet(packet);
    });
    if (relayed_) remember(packet);
}

// What a player needs to show `packet`, its first one: all since the key frame.
void PublishingPoint::begin(Listener& listener, const Packet& packet) {
    if (listener.backlog_max == 0 || !header().has_video()) return;
    if (relayed_) {
        if (recent_size_ > listener.backlog_max) return;
        for (std::size_t i = 0; i < recent_.size() && listener.to; ++i) listener.to->on_packet(recent_[i]);
        return;
    }
    auto number = content_->start_for_packet(packet.number, asf::every_stream());
    if ((packet.number - number) * header().packet_size > listener.backlog_max) return;
    for (; number < packet.number && listener.to; ++number) {
        auto bytes = content_->packet(number);
        if (!bytes.empty()) listener.to->on_packet({number, std::move(bytes)});
    }
}

void PublishingPoint::remember(const Packet& packet) {
    constexpr std::size_t size_max = 2 << 20;
    if (!header().has_video()) return;
    const auto parsed = asf::parse_packet(*packet.bytes, header().packet_size);
    const bool key_frame = parsed && asf::starts_key_frame(*parsed, header());
    if (key_frame) recent_.clear(), recent_size_ = 0;
    if (recent_.empty() && !key_frame) return;
    recent_size_ += packet.bytes->size();
    if (recent_size_ <= size_max) return recent_.push_back(packet);
    recent_.clear();
    recent_size_ = 0;
}

void PublishingPoint::tick() {
    const auto self = shared_from_this();
    while (start_ + content_->send_time(next_) <= steady_clock::now() && !live_.empty()) {
        auto bytes = content_->packet(next_);
        if (bytes.empty()) {  // the file shrank or broke: nothing follows, and nobody waits for it
            armed_ = false;
            return deliver([](Listener& one) { one.to->on_end(); });
        }
        deliver(Packet{next_++, std::move(bytes)});
    }
    armed_ = false;
    if (!live_.empty()) arm();
}

void PublishingPoint::begin(const asf::Header& header) {
    auto live = header.broadcast ? header : asf::live_header(header);
    const bool other = content_ != nullptr && content_->header().raw != live.raw;
    const bool goes_on = content_ != nullptr && !other && !ended_;
    if (!goes_on) content_ = std::make_shared<const Relayed>(std::move(live));
    ended_ = false;
    if (other || !goes_on) recent_.clear(), recent_size_ = 0;
    if (other) deliver([](Listener& one) { one.to->on_header(); });
    for (const auto& one : std::exchange(waiting_, {}))
        if (const auto state = one.lock()) std::static_pointer_cast<Waiting::State>(state)->over();
}

void PublishingPoint::relay(std::vector<std::byte> packet) {
    if (!ready() || packet.size() > header().packet_size) return;
    if (packet.size() < header().packet_size) packet = asf::padded(packet, header().packet_size);
    deliver(Packet{next_++, std::move(packet)});
}

void PublishingPoint::end() {
    if (!ready()) return;
    ended_ = true;
    deliver([](Listener& one) { one.to->on_end(); });
}

std::unique_ptr<Subscription> PublishingPoint::wait(Subscriber& subscriber, milliseconds limit) {
    return std::make_unique<Waiting>(*this, subscriber, limit);
}

std::size_t PublishingPoint::subscribers() const { return live_.size() + stored_; }

void PublishingPoints::add(std::shared_ptr<PublishingPoint> point, std::vector<std::string> more_names) {
    names_.emplace_back(point->name(), all_.size());
    for (auto& name : more_names) names_.emplace_back(std::move(name), all_.size());
    all_.push_back(std::move(point));
}

std::shared_ptr<PublishingPoint> PublishingPoints::find(std::string_view requested) const {
    while (!requested.empty() && requested.front() == '/') requested.remove_prefix(1);
    // As it stands first: a name may itself look like an escape. Players send either form.
    if (auto point = named(requested)) return point;
    if (const auto decoded = url::decoded(requested); decoded != requested) return named(decoded);
    return nullptr;
}

bool PublishingPoints::has(const std::string& name) const {
    return std::ranges::find(names_, name, &std::pair<std::string, std::size_t>::first) != names_.end();
}

std::shared_ptr<PublishingPoint> PublishingPoints::named(std::string_view wanted) const {
    const auto exact = std::ranges::find(names_, wanted, &std::pair<std::string, std::size_t>::first);
    if (exact != names_.end()) return all_[exact->second];
    const auto text = bytes::as_utf8(wanted);
    const auto similar = std::ranges::find_if(names_, [&](const auto& name) {
        return boost::algorithm::iequals(bytes::as_utf8(name.first), text);
    });
    return similar != names_.end() ? all_[similar->second] : nullptr;
}

}  // namespace wmlab::server_sim
