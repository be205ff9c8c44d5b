#include "common/serving/publishing_point.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/post.hpp>

#include "common/asf/packet.hpp"
#include "common/bytes/crc32.hpp"
#include "common/bytes/utf16.hpp"
#include "common/net/datagram.hpp"
#include "common/url/url.hpp"

namespace wmlab::serving {

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
    : number{of}, bytes{std::make_shared<const std::vector<std::byte>>(std::move(packet))}, crc{wmlab::bytes::crc32(*bytes)} {}

class PublishingPoint::Live : public Subscription {
public:
    Live(std::shared_ptr<PublishingPoint> point, Subscriber& subscriber, const Position& from) : point_{std::move(point)} {
        point_->live_.push_back({&subscriber, from.backlog_max});
        at_ = std::prev(point_->live_.end());
    }
    std::uint64_t skipped() const override { return point_->skipped() - skipped_before_; }
    ~Live() override {
        if (point_->delivering())
            at_->to = nullptr;
        else
            point_->live_.erase(at_);
    }

private:
    std::shared_ptr<PublishingPoint> point_;
    const std::uint64_t skipped_before_ = point_->skipped();
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
                net::DatagramSocket::flush_all();  // what waits there keeps accounts of subscribers
                if (subscriber) subscriber->on_fault(error);
            }
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
            net::DatagramSocket::flush_all();
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
            auto* const told = std::exchange(subscriber, nullptr);
            if (!told) return;
            try {
                told->on_ready();
            } catch (const std::exception& error) {  // ends who waited, and neither the pull that began nor the others
                told->on_fault(error);
            }
        }
        Subscriber* subscriber;
        asio::steady_timer limit;
    };

    Waiting(PublishingPoint& point, Subscriber& subscriber, milliseconds limit) : state_{std::make_shared<State>(point.executor_, subscriber)} {
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

PublishingPoint::PublishingPoint(asio::any_io_executor executor, std::string name, std::shared_ptr<const asf::Content> content)
    : executor_{executor}, name_{std::move(name)}, content_{std::move(content)}, start_{steady_clock::now()}, timer_{executor} {}

PublishingPoint::PublishingPoint(asio::any_io_executor executor, std::string name) : PublishingPoint{executor, std::move(name), nullptr} { relayed_ = true; }

std::unique_ptr<Subscription> PublishingPoint::subscribe(Subscriber& subscriber, const Position& from) {
    if (!live()) return std::make_unique<Stored>(shared_from_this(), subscriber, from);
    auto subscription = std::make_unique<Live>(shared_from_this(), subscriber, from);
    if (!armed_ && !relayed_ && !delivering()) {
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
void PublishingPoint::deliver(Packet packet) {
    Delivery delivery;
    delivery.packet.emplace(std::move(packet));
    deliver(std::move(delivery));
}

void PublishingPoint::deliver(Delivery::What what) {
    Delivery delivery;
    delivery.what = what;
    deliver(std::move(delivery));
}

void PublishingPoint::deliver(Delivery delivery) {
    if (live_.empty()) {
        if (delivery.packet && relayed_) remember(*delivery.packet);
        return;
    }
    if (deliveries_.size() >= deliveries_max && delivery.packet) return skip(1);
    if (delivery.packet) keep(*delivery.packet);
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
            sweep();
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
            auto& listener = *next_to_get_;
            more = next_to_get_ != last_to_get_;
            if (listener.to) {
                try {
                    give(listener, delivery);
                } catch (const std::exception& error) {
                    if (listener.to) listener.to->on_fault(error);
                }
                ++given;
            }
            if (more) ++next_to_get_;
            if (more && given >= between_looks) {
                given = 0;
                if (steady_clock::now() < until) continue;
                net::DatagramSocket::flush_all();
                asio::post(executor_, [weak = weak_from_this()] {
                    if (const auto point = weak.lock()) point->deliver_some();
                });
                return;
            }
        }
        net::DatagramSocket::flush_all();
        if (delivery.packet && relayed_) remember(*delivery.packet);
        begun_ = false;
        deliveries_.pop_front();
    }
    sweep();
    if (!relayed_ && !armed_ && !live_.empty() && !ended_) arm();
}

void PublishingPoint::keep(const Packet& packet) {
    constexpr std::size_t packets_max = 512, size_max = 1 << 20;
    history_.push_back(packet);
    history_size_ += packet.bytes->size();
    while (history_.size() > packets_max || history_size_ > size_max) {
        history_size_ -= history_.front().bytes->size();
        history_.pop_front();
    }
}

std::shared_ptr<const std::vector<std::byte>> PublishingPoint::again(std::uint32_t number) const {
    if (!content_) return nullptr;
    if (!live()) {
        auto bytes = content_->packet(number);
        return bytes.empty() ? nullptr : std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    }
    const auto found = std::ranges::find(history_, number, [](const Packet& packet) { return static_cast<std::uint32_t>(packet.number); });
    return found == history_.end() ? nullptr : found->bytes;
}

void PublishingPoint::sweep() {
    live_.remove_if([](const Listener& one) { return one.to == nullptr; });
}

void PublishingPoint::give(Listener& listener, const Delivery& delivery) {
    if (delivery.what == Delivery::What::header) return listener.to->on_header();
    if (delivery.what == Delivery::What::end) return listener.to->on_end();
    if (!std::exchange(listener.begun, true)) begin(listener, *delivery.packet);
    if (listener.to) listener.to->on_packet(*delivery.packet);
}

void PublishingPoint::skip(std::uint64_t packets) {
    skipped_ += packets;
    constexpr auto between = std::chrono::seconds{10};
    const auto now = steady_clock::now();
    if (now - told_skip_ < between) return;
    told_skip_ = now;
    spdlog::warn("{}: too slow for {} players: {} packets were skipped so far", name_, live_.size(), skipped_);
}

// What a player needs to show `packet`, its first one: all since the key frame.
void PublishingPoint::begin(Listener& listener, const Packet& packet) {
    if (listener.backlog_max == 0 || !header().has_video()) return;
    if (relayed_) {
        // Where all is too much, from the key frame of the first stream that is not.
        std::vector<std::uint64_t> starts;
        for (const auto& [stream, at] : recent_keys_) starts.push_back(at);
        std::ranges::sort(starts);
        auto size = recent_size_;
        std::size_t next = 0;
        for (const auto start : starts) {
            for (; recent_first_ + next < start; ++next) size -= recent_[next].bytes->size();
            if (size > listener.backlog_max) continue;
            for (; next < recent_.size() && listener.to; ++next) listener.to->on_packet(recent_[next]);
            return;
        }
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
    if (const auto parsed = asf::parse_packet(*packet.bytes, header().packet_size))
        for (const auto& payload : parsed->payloads) {
            const auto* const stream = header().stream(payload.stream);
            if (payload.key_frame && payload.offset == 0 && stream && stream->type == asf::StreamType::video)
                recent_keys_[payload.stream] = recent_first_ + recent_.size();
        }
    if (recent_keys_.empty()) return;
    recent_size_ += packet.bytes->size();
    recent_.push_back(packet);
    for (;;) {
        const auto oldest = std::ranges::min_element(recent_keys_, {}, [](const auto& key) { return key.second; });
        const auto from = oldest == recent_keys_.end() ? recent_first_ + recent_.size() : oldest->second;
        for (; recent_first_ < from; ++recent_first_) {
            recent_size_ -= recent_.front().bytes->size();
            recent_.pop_front();
        }
        if (recent_size_ <= size_max) return;
        recent_keys_.erase(oldest);  // its next key frame is waited for; the other streams' are still here
    }
}

void PublishingPoint::forget_recent() {
    recent_.clear();
    recent_keys_.clear();
    recent_size_ = 0;
}

// One packet, so that what else has come has its turn. Too late for what was due: goes on from the present.
void PublishingPoint::tick() {
    const auto self = shared_from_this();
    armed_ = false;
    if (live_.empty() || delivering()) return;  // the end of the delivery goes on
    const auto now = steady_clock::now();
    if (now - (start_ + content_->send_time(next_)) > late_max) {
        const auto present = content_->packets_before(std::chrono::duration_cast<milliseconds>(now - start_));
        if (present > next_) skip(present - next_);
        next_ = std::max(next_, present);
    }
    auto bytes = content_->packet(next_);
    if (bytes.empty()) {  // the file shrank or broke: nothing follows, and nobody waits for it
        ended_ = true;
        return deliver(Delivery::What::end);
    }
    deliver(Packet{next_++, std::move(bytes)});
}

void PublishingPoint::begin(const asf::Header& header) {
    auto live = header.broadcast ? header : asf::live_header(header);
    const bool other = content_ != nullptr && content_->header().raw != live.raw;
    const bool goes_on = content_ != nullptr && !other && !ended_;
    if (!goes_on) content_ = std::make_shared<const Relayed>(std::move(live));
    ended_ = false;
    if (other || !goes_on) forget_recent();
    if (other) deliver(Delivery::What::header);
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
    deliver(Delivery::What::end);
}

std::unique_ptr<Subscription> PublishingPoint::wait(Subscriber& subscriber, milliseconds limit) { return std::make_unique<Waiting>(*this, subscriber, limit); }

std::size_t PublishingPoint::subscribers() const {
    const auto left = std::ranges::count(live_, nullptr, &Listener::to);
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
    while (!requested.empty() && requested.front() == '/') requested.remove_prefix(1);
    // As it stands first: a name may itself look like an escape. Players send either form.
    if (auto point = named(requested)) return point;
    const auto decoded = url::decoded(requested);
    if (decoded != requested)
        if (auto point = named(decoded)) return point;
    // Decoded once more on the way than it was encoded: MPlayer does so, and a name that looks like an escape loses it.
    const auto once_more = std::ranges::find_if(names_, [&](const auto& name) { return name.first != decoded && url::decoded(name.first) == decoded; });
    return once_more != names_.end() ? once_more->second : nullptr;
}

bool PublishingPoints::has(const std::string& name) const { return std::ranges::find(names_, name, &Name::first) != names_.end(); }

std::shared_ptr<PublishingPoint> PublishingPoints::named(std::string_view wanted) const {
    const auto exact = std::ranges::find(names_, wanted, &Name::first);
    if (exact != names_.end()) return exact->second;
    const auto text = bytes::as_utf8(wanted);
    const auto similar = std::ranges::find_if(names_, [&](const auto& name) { return boost::algorithm::iequals(bytes::as_utf8(name.first), text); });
    return similar != names_.end() ? similar->second : nullptr;
}

}  // namespace wmlab::serving
