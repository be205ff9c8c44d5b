#include "lab/capture/wire.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <spdlog/fmt/fmt.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <boost/json/array.hpp>
#include <cerrno>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>

#include "common/evidence/fields.hpp"
#include "common/scenario/model.hpp"
#include "lab/capture/packet.hpp"
#include "lab/host/at_once.hpp"
#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::nanoseconds;

// A ring of frames shared with the kernel (packet_mmap, TPACKET_V2: each frame is there as soon as it was sent). The
// summary needs headers and the beginning of the payload only, so many small frames; a capture needs whole ones.
struct RingSize {
    unsigned frame, count;
    unsigned bytes() const { return frame * count; }
};
constexpr unsigned ring_block = 1U << 16;
RingSize ring_size(bool whole_frames, std::size_t taps) {
    constexpr std::size_t memory_max = 64U << 20;  // of all rings together
    const unsigned frame = whole_frames ? 2048 : 512;
    const auto bytes = std::clamp<std::size_t>(memory_max / std::max<std::size_t>(taps, 1), ring_block * 4, 8U << 20);
    return {frame, static_cast<unsigned>(bytes / ring_block * ring_block / frame)};
}

constexpr std::size_t rings_at_once = 16;  // made and unmade: each waits some 20 ms for the kernel's grace period, which all can share

constexpr std::size_t rows_max = 1'000'000;  // an audit of all ports needs some 500,000
constexpr std::size_t fragments_max = 4096;  // remembered to join later fragments to their first

class Ring {
public:
    Ring(const Tap& tap, RingSize size) : size_{size} {
        const Entered entered{*tap.place};
        const auto fail = [&](int error) {
            throw setup_failed("watch the interface of " + tap.host, error, remedy(Privilege::packet_capture, error));
        };
        // bound to no protocol yet: nothing arrives before the ring is there
        socket_ = Descriptor{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        if (!socket_) fail(errno);
        const int version = TPACKET_V2;
        if (::setsockopt(socket_.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) fail(errno);
        tpacket_req request{};
        request.tp_block_size = ring_block;
        request.tp_frame_size = size.frame;
        request.tp_block_nr = size.bytes() / ring_block;
        request.tp_frame_nr = size.count;
        if (::setsockopt(socket_.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) fail(errno);
        auto* const memory = ::mmap(nullptr, size.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
        if (memory == MAP_FAILED) fail(errno);
        memory_ = static_cast<std::byte*>(memory);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(::if_nametoindex(tap.interface.c_str()));
        if (address.sll_ifindex == 0) fail(errno);
        if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(errno);
    }
    ~Ring() {
        if (memory_ != nullptr) ::munmap(memory_, size_.bytes());
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    int fd() const { return socket_.get(); }

    template <class Each>
    void drain(Each each) {
        while (true) {
            auto* const slot = memory_ + std::size_t{size_.frame} * next_;
            auto* const head = reinterpret_cast<tpacket2_hdr*>(slot);
            std::atomic_ref status{head->tp_status};
            if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0) return;
            const auto* const from = reinterpret_cast<const sockaddr_ll*>(slot + TPACKET_ALIGN(sizeof(tpacket2_hdr)));
            CapturedFrame frame;
            frame.outgoing = from->sll_pkttype == PACKET_OUTGOING;
            frame.time =
                std::chrono::sys_time<nanoseconds>{std::chrono::seconds{head->tp_sec} + nanoseconds{head->tp_nsec}};
            frame.length = head->tp_len;
            frame.frame = {slot + head->tp_mac, head->tp_snaplen};
            each(frame);
            status.store(TP_STATUS_KERNEL, std::memory_order_release);
            next_ = (next_ + 1) % size_.count;
        }
    }

    unsigned lost() {  // since the last call
        tpacket_stats stats{};
        socklen_t length = sizeof stats;
        if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &length) != 0) return 0;
        return stats.tp_drops;
    }

private:
    RingSize size_;
    Descriptor socket_;
    std::byte* memory_ = nullptr;
    unsigned next_ = 0;
};

nanoseconds now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::chrono::seconds{time.tv_sec} + nanoseconds{time.tv_nsec};
}

struct Row {  // of the summary; ordered as printed
    std::size_t tap;
    bool outgoing;
    PacketSort sort;
    auto operator<=>(const Row&) const = default;
};

// A packet by itself, as docs/journal.md writes it: found again on another wire by it.
struct Identity {
    std::uint16_t id;
    std::uint32_t sequence, bytes, hash;
    nanoseconds time;
};
constexpr std::size_t identities_max = 2'000'000;  // of all rows together; beyond it a row only counts

struct Count {
    std::uint64_t packets = 0, bytes = 0;
    std::uint8_t ttl = 0;
    nanoseconds first{}, last{};  // monotonic
    std::vector<Identity> each;
};

struct FragmentKey {
    std::size_t tap;
    bool outgoing;
    std::uint32_t source, destination;
    std::uint16_t id;
    std::uint8_t protocol;
    auto operator<=>(const FragmentKey&) const = default;
};

std::string address(std::uint32_t host, std::uint16_t port, bool with_port) {
    auto text = scenario::Ipv4{host}.text();
    if (with_port) text += ":" + std::to_string(port);
    return text;
}

// "4711:9af03c21:5b4:811c9dc5@12 ...": IP id, sequence, bytes, hash, all hexadecimal; microseconds since the first.
std::string listed(const Count& count) {
    fmt::memory_buffer text;
    for (const auto& one : count.each) {
        fmt::format_to(std::back_inserter(text), "{}{:x}:{:x}:{:x}:{:x}@{}", text.size() == 0 ? "" : " ", one.id,
                       one.sequence, one.bytes, one.hash,
                       std::chrono::duration_cast<std::chrono::microseconds>(one.time - count.first).count());
    }
    return fmt::to_string(text);
}

boost::json::array addresses(const std::vector<std::uint32_t>& hosts) {
    boost::json::array all;
    for (const auto host : hosts) all.emplace_back(scenario::Ipv4{host}.text());
    return all;
}

}  // namespace

struct Wire::Parts {
    std::vector<Tap> taps;
    std::function<void(const CapturedFrame&)> every_frame;
    std::vector<std::unique_ptr<Ring>> rings;
    ~Parts() {
        at_once(rings.size(), rings_at_once, [this](std::size_t i) { rings[i].reset(); });
    }
    Descriptor epoll, wake;
    std::thread thread;

    // everything below belongs to the thread except under `mutex`
    std::map<Row, Count> rows;
    struct Begun {  // a packet of which further fragments may come
        std::map<Row, Count>::iterator row;
        std::size_t packet;  // its index in the row's list
    };
    std::map<FragmentKey, Begun> fragments;
    std::size_t identities = 0;
    std::vector<std::uint64_t> refused;  // by tap: packets for which there was no row left

    std::mutex mutex;
    std::condition_variable taken;
    bool stop = false, take = false;
    std::size_t wave = 0;
    std::vector<evidence::Event> summary;

    void count(const CapturedFrame& frame, nanoseconds realtime_minus_monotonic) {
        const auto seen = read_packet(frame.frame);
        if (!seen) return;
        const Row row{frame.tap, frame.outgoing, seen->sort};
        const FragmentKey key{frame.tap, frame.outgoing,     seen->sort.source, seen->sort.destination,
                              seen->id,  seen->sort.protocol};
        if (seen->later_fragment) {
            // belongs to the packet whose first fragment was counted
            if (const auto first = fragments.find(key); first != fragments.end()) {
                auto& whole = first->second.row->second;
                whole.bytes += seen->payload;
                if (first->second.packet < whole.each.size()) whole.each[first->second.packet].bytes += seen->payload;
                return;
            }
        }
        auto found = rows.find(row);
        if (found == rows.end()) {
            if (rows.size() >= rows_max) {
                ++refused[frame.tap];
                return;
            }
            found = rows.emplace(row, Count{}).first;
        }
        auto& count = found->second;
        const auto time = frame.time.time_since_epoch() - realtime_minus_monotonic;
        if (count.packets++ == 0) {
            count.first = time;
            count.ttl = seen->ttl;
        }
        count.last = time;
        count.bytes += seen->payload;
        if (taps[frame.tap].each && identities < identities_max) {
            count.each.push_back({seen->id, seen->sequence, seen->payload, seen->hash, time});
            ++identities;
        }
        if (seen->first_fragment) {
            if (fragments.size() >= fragments_max) fragments.clear();
            fragments.insert_or_assign(key, Begun{found, count.each.size() - 1});
        }
    }

    void drain() {
        const auto difference = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC);
        for (std::size_t tap = 0; tap < rings.size(); ++tap)
            rings[tap]->drain([&](CapturedFrame& frame) {
                frame.tap = tap;
                if (every_frame) every_frame(frame);
                count(frame, difference);
            });
    }

    evidence::Event event(std::size_t tap) const {
        evidence::Event event;
        event.event = evidence::What::wire;
        event.process = "wmlab";
        event.host = taps[tap].host;
        if (!taps[tap].zone.empty()) event.fields[field::zone] = taps[tap].zone;
        event.monotonic = now(CLOCK_MONOTONIC);
        event.utc = std::chrono::sys_time<nanoseconds>{now(CLOCK_REALTIME)};
        if (wave != 0) event.fields[field::wave] = wave;
        return event;
    }

    std::vector<evidence::Event> summarise() {
        std::vector<evidence::Event> events;
        events.reserve(rows.size() + rings.size());
        std::vector<std::uint64_t> totals(rings.size());
        for (const auto& [row, count] : rows) {
            auto line = event(row.tap);
            totals[row.tap] += count.packets;
            const auto& sort = row.sort;
            auto& fields = line.fields;
            fields[field::direction] = row.outgoing ? "out" : "in";
            fields[field::protocol] = evidence::protocol_name(sort.protocol);
            fields[field::kind] = text(sort.kind);
            fields[field::source] = address(sort.source, sort.source_port, sort.ports);
            fields[field::destination] = address(sort.destination, sort.destination_port, sort.ports);
            if (sort.kind == PacketKind::icmp) {
                fields[field::icmp_type] = sort.icmp_type;
                fields[field::icmp_code] = sort.icmp_code;
                fields[field::sender] = address(sort.sender, 0, false);
                if (sort.quoted_protocol != 0) fields[field::quotes] = evidence::protocol_name(sort.quoted_protocol);
            }
            if (!sort.igmp.joined.empty()) fields[field::joins] = addresses(sort.igmp.joined);
            if (!sort.igmp.left.empty()) fields[field::leaves] = addresses(sort.igmp.left);
            fields[field::packets] = count.packets;
            fields[field::bytes] = count.bytes;
            fields[field::ttl] = count.ttl;
            fields[field::first] = count.first.count();
            fields[field::last] = count.last.count();
            if (count.each.size() == count.packets) fields[field::each] = listed(count);
            events.push_back(std::move(line));
        }
        for (std::size_t tap = 0; tap < rings.size(); ++tap) {
            auto line = event(tap);
            line.fields[field::kind] = "total";
            line.fields[field::packets] = totals[tap];
            line.fields[field::dropped] = rings[tap]->lost() + std::exchange(refused[tap], 0);
            events.push_back(std::move(line));
        }
        rows.clear();
        fragments.clear();
        identities = 0;
        return events;
    }

    void watch() {
        std::vector<epoll_event> happened(taps.size() + 1);
        while (true) {
            const auto count = ::epoll_wait(epoll.get(), happened.data(), static_cast<int>(happened.size()), -1);
            if (count < 0 && errno != EINTR) return;
            std::uint64_t woken = 0;
            const bool asked = ::read(wake.get(), &woken, sizeof woken) > 0;
            drain();
            if (!asked) continue;
            const std::lock_guard lock{mutex};
            if (take) {
                summary = summarise();
                take = false;
                taken.notify_one();
            }
            if (stop) return;
        }
    }

    void ask() const {
        const std::uint64_t one = 1;
        while (::write(wake.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
};

Wire::Wire(std::vector<Tap> taps, std::function<void(const CapturedFrame&)> every_frame)
    : parts_{std::make_unique<Parts>()} {
    auto& parts = *parts_;
    parts.taps = std::move(taps);
    parts.every_frame = std::move(every_frame);
    parts.refused.resize(parts.taps.size());
    parts.epoll = Descriptor{::epoll_create1(EPOLL_CLOEXEC)};
    parts.wake = Descriptor{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (!parts.epoll || !parts.wake) throw setup_failed("watch the wires", errno);
    const auto add = [&](int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        if (::epoll_ctl(parts.epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            throw setup_failed("watch the wires", errno);
    };
    add(parts.wake.get());
    const auto size = ring_size(bool(parts.every_frame), parts.taps.size());
    parts.rings.resize(parts.taps.size());
    at_once(parts.taps.size(), rings_at_once, [&](std::size_t i) { parts.rings[i] = std::make_unique<Ring>(parts.taps[i], size); });
    for (const auto& ring : parts.rings) add(ring->fd());
    // signals are the runner's: this thread must not take them
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    parts.thread = std::thread{[&parts] { parts.watch(); }};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Wire::~Wire() { stop(); }

void Wire::stop() {
    if (!parts_->thread.joinable()) return;
    {
        const std::lock_guard lock{parts_->mutex};
        parts_->stop = true;
    }
    parts_->ask();
    parts_->thread.join();
}

std::vector<evidence::Event> Wire::take(std::size_t wave) {
    std::unique_lock lock{parts_->mutex};
    parts_->take = true;
    parts_->wave = wave;
    parts_->ask();
    parts_->taken.wait(lock, [&] { return !parts_->take; });
    return std::move(parts_->summary);
}

}  // namespace wmlab::lab
