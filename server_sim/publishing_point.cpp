#include "server_sim/publishing_point.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/post.hpp>

#include "common/asf/packet.hpp"
#include "common/bytes/crc32.hpp"

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
    std::uint64_t packet_at_time(milliseconds) const override { return 0; }

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
    Live(std::shared_ptr<PublishingPoint> point, Subscriber& subscriber) : point_{std::move(point)} {
        point_->live_.push_back(&subscriber);
        at_ = std::prev(point_->live_.end());
    }
    std::uint64_t skipped() const override { return point_->skipped() - skipped_before_; }
    ~Live() override {
        if (point_->delivering())
            *at_ = nullptr;
        else
            point_->live_.erase(at_);
    }

private:
    std::shared_ptr<PublishingPoint> point_;
    const std::uint64_t skipped_before_ = point_->skipped();
    std::list<Subscriber*>::iterator at_;
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
                if (!error && self->subscriber) self->deliver();
            });
        }
        // Some of what is due; the rest in a later turn. What is very late stays late: the stream then takes longer.
        void deliver() {
            const auto begun = steady_clock::now();
            if (has_next() && begun - due() > late_max) start += begun - due();
            while (subscriber && has_next() && due() <= steady_clock::now() && steady_clock::now() - begun < slice) {
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
        if (point.waiting_.size() >= point.waiting_max_) {
            std::erase_if(point.waiting_, [](const auto& one) { return one.expired(); });
            point.waiting_max_ = 2 * point.waiting_.size() + 16;
        }
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
    auto subscription = std::make_unique<Live>(shared_from_this(), subscriber);
    if (!armed_ && !relayed_ && !delivering()) {
        // While nobody listened the clock went on, and no packet was made.
        next_ = content_->packet_at_time(std::chrono::duration_cast<milliseconds>(steady_clock::now() - start_));
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
void PublishingPoint::deliver(Delivery delivery) {
    if (live_.empty()) return;
    if (deliveries_.size() >= deliveries_max && delivery.what == Delivery::What::packet) return skip(1);
    deliveries_.push_back(std::move(delivery));
    if (deliveries_.size() == 1) deliver_some();
}

// As much as fits a slice. Thousands of subscribers and slow sends do not keep connections, signals and each other
// from their turn.
void PublishingPoint::deliver_some() {
    const auto self = shared_from_this();  // the last subscriber may be the last owner
    const auto until = steady_clock::now() + slice;
    constexpr std::size_t between_looks = 4;  // at the clock
    std::size_t given = 0;
    while (delivering()) {
        if (!begun_) {
            live_.remove(nullptr);
            if (live_.empty()) {
                deliveries_.clear();
                break;
            }
            next_to_get_ = live_.begin();
            last_to_get_ = std::prev(live_.end());
            begun_ = true;
        }
        const auto& delivery = deliveries_.front();
        for (bool more = true; more;) {
            auto* const subscriber = *next_to_get_;
            more = next_to_get_ != last_to_get_;
            if (subscriber) {
                if (delivery.what == Delivery::What::packet)
                    subscriber->on_packet(*delivery.packet);
                else if (delivery.what == Delivery::What::header)
                    subscriber->on_header();
                else
                    subscriber->on_end();
                ++given;
            }
            if (more) ++next_to_get_;
            if (more && given >= between_looks) {
                given = 0;
                if (steady_clock::now() < until) continue;
                asio::post(executor_, [weak = weak_from_this()] {
                    if (const auto point = weak.lock()) point->deliver_some();
                });
                return;
            }
        }
        begun_ = false;
        deliveries_.pop_front();
    }
    live_.remove(nullptr);
    if (!relayed_ && !armed_ && !live_.empty()) arm();
}

void PublishingPoint::skip(std::uint64_t packets) {
    skipped_ += packets;
    constexpr auto between = std::chrono::seconds{10};
    const auto now = steady_clock::now();
    if (now - told_skip_ < between) return;
    told_skip_ = now;
    spdlog::warn("{}: too slow for {} players: {} packets were skipped so far", name_, live_.size(), skipped_);
}

// One packet, so that what else has come has its turn. Too late for what was due: goes on from the present.
void PublishingPoint::tick() {
    const auto self = shared_from_this();
    armed_ = false;
    if (live_.empty() || delivering()) return;  // the end of the delivery goes on
    const auto now = steady_clock::now();
    if (now - (start_ + content_->send_time(next_)) > late_max) {
        const auto present = content_->packet_at_time(std::chrono::duration_cast<milliseconds>(now - start_));
        if (present > next_) skip(present - next_);
        next_ = std::max(next_, present);
    }
    auto bytes = content_->packet(next_);
    Delivery delivery;
    if (bytes.empty())
        delivery.what = Delivery::What::end;  // the file shrank or broke
    else
        delivery.packet.emplace(next_++, std::move(bytes));
    deliver(std::move(delivery));
}

void PublishingPoint::begin(const asf::Header& header) {
    auto live = header.broadcast ? header : asf::live_header(header);
    const bool other = content_ != nullptr && content_->header().raw != live.raw;
    const bool goes_on = content_ != nullptr && !other && !ended_;
    if (!goes_on) content_ = std::make_shared<const Relayed>(std::move(live));
    ended_ = false;
    if (other) {
        Delivery delivery;
        delivery.what = Delivery::What::header;
        deliver(std::move(delivery));
    }
    for (const auto& one : std::exchange(waiting_, {}))
        if (const auto state = one.lock()) std::static_pointer_cast<Waiting::State>(state)->over();
}

void PublishingPoint::relay(std::vector<std::byte> packet) {
    if (!ready() || packet.size() > header().packet_size) return;
    if (packet.size() < header().packet_size) packet = asf::padded(packet, header().packet_size);
    Delivery delivery;
    delivery.packet.emplace(next_++, std::move(packet));
    deliver(std::move(delivery));
}

void PublishingPoint::end() {
    if (!ready()) return;
    ended_ = true;
    Delivery delivery;
    delivery.what = Delivery::What::end;
    deliver(std::move(delivery));
}

std::unique_ptr<Subscription> PublishingPoint::wait(Subscriber& subscriber, milliseconds limit) {
    return std::make_unique<Waiting>(*this, subscriber, limit);
}

std::size_t PublishingPoint::subscribers() const {
    const auto left = std::ranges::count(live_, static_cast<Subscriber*>(nullptr));
    return live_.size() - static_cast<std::size_t>(left) + stored_;
}

void PublishingPoints::add(std::shared_ptr<PublishingPoint> point, std::vector<std::string> more_names) {
    names_.emplace_back(point->name(), point);
    for (auto& name : more_names) names_.emplace_back(std::move(name), point);
    all_.push_back(std::move(point));
}

void PublishingPoints::remove(const std::shared_ptr<PublishingPoint>& point) {
    const auto kept = point;
    std::erase_if(names_, [&](const auto& name) { return name.second == kept; });
    std::erase(all_, kept);
}

std::shared_ptr<PublishingPoint> PublishingPoints::find(std::string_view requested) const {
    using Name = std::pair<std::string, std::shared_ptr<PublishingPoint>>;
    while (!requested.empty() && requested.front() == '/') requested.remove_prefix(1);
    const auto exact = std::ranges::find(names_, requested, &Name::first);
    if (exact != names_.end()) return exact->second;
    const auto similar = std::ranges::find_if(
        names_, [&](const auto& name) { return boost::algorithm::iequals(name.first, requested); });
    return similar != names_.end() ? similar->second : nullptr;
}

}  // namespace wmlab::server_sim
