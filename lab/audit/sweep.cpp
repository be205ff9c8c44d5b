#include "lab/audit/sweep.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "lab/descriptor.hpp"
#include "lab/error.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;
using scenario::Protocol;

constexpr std::size_t probe_size_max = 20 + 20;  // IP header and TCP header, or UDP header and the nonce
constexpr std::size_t batch = 64;
constexpr auto quiet = std::chrono::milliseconds{60};  // nothing has come for so long: the round is over

std::uint16_t checksum(const void* data, std::size_t size, std::uint32_t sum = 0) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    for (std::size_t i = 0; i + 1 < size; i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    if (size % 2) sum += static_cast<std::uint32_t>(bytes[size - 1] << 8);
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
}

// The nonce of a port: different for each sweep, round and port, so that nothing else can be taken for a probe.
std::uint32_t nonce_of(std::uint32_t seed, std::uint16_t port) {
    std::uint32_t x = seed ^ (std::uint32_t{port} * 0x9E3779B1u);
    x ^= x >> 15, x *= 0x85EBCA77u, x ^= x >> 13;
    return x;
}

struct Probe {
    std::array<std::uint8_t, probe_size_max> bytes{};
    std::size_t size = 0;
};

Probe make_probe(const SweepEnd& from, const SweepEnd& to, Protocol protocol, std::uint16_t source_port,
                 std::uint16_t port, std::uint32_t nonce) {
    Probe probe;
    const bool tcp = protocol == Protocol::tcp;
    const std::size_t transport = tcp ? sizeof(tcphdr) : sizeof(udphdr) + sizeof nonce;
    probe.size = sizeof(iphdr) + transport;
    iphdr ip{};
    ip.version = 4, ip.ihl = 5, ip.ttl = 64;
    ip.tot_len = htons(static_cast<std::uint16_t>(probe.size));
    ip.id = htons(static_cast<std::uint16_t>(nonce));
    ip.protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
    ip.saddr = htonl(from.address.value), ip.daddr = htonl(to.address.value);
    ip.check = checksum(&ip, sizeof ip);
    std::memcpy(probe.bytes.data(), &ip, sizeof ip);
    const auto halves = [](scenario::Ipv4 address) { return (address.value >> 16) + (address.value & 0xFFFF); };
    const auto pseudo_header =
        halves(from.address) + halves(to.address) + ip.protocol + static_cast<std::uint32_t>(transport);
    auto* at = probe.bytes.data() + sizeof ip;
    if (tcp) {
        tcphdr header{};
        header.th_sport = htons(source_port), header.th_dport = htons(port);
        header.th_seq = htonl(nonce);
        header.th_off = 5;
        header.th_flags = TH_SYN;
        header.th_win = htons(64240);
        header.th_sum = checksum(&header, sizeof header, pseudo_header);
        std::memcpy(at, &header, sizeof header);
    } else {
        std::array<std::uint8_t, sizeof(udphdr) + sizeof nonce> datagram{};
        udphdr header{};
        header.uh_sport = htons(source_port), header.uh_dport = htons(port);
        header.uh_ulen = htons(static_cast<std::uint16_t>(transport));
        std::memcpy(datagram.data(), &header, sizeof header);
        const auto wire_nonce = htonl(nonce);
        std::memcpy(datagram.data() + sizeof header, &wire_nonce, sizeof wire_nonce);
        header.uh_sum = checksum(datagram.data(), datagram.size(), pseudo_header);
        std::memcpy(datagram.data(), &header, sizeof header);
        std::memcpy(at, datagram.data(), datagram.size());
    }
    return probe;
}

Descriptor raw_sender(const SweepEnd& from) {
    const Entered inside{*from.place};
    Descriptor sender{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)};
    if (!sender) throw setup_failed("open a raw socket for the sweep", errno);
    const int size = 4 * 1024 * 1024;
    ::setsockopt(sender.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return sender;
}

// The far end: a ring of received packets that needs no large socket buffer, read by a thread of its own.
class Watcher {
public:
    Watcher(const SweepEnd& to, Protocol protocol)
        : protocol_{protocol}, to_{htonl(to.address.value)}, seen_(port_count) {
        const Entered inside{*to.place};
        socket_ = Descriptor{::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        if (!socket_) throw setup_failed("open a packet socket for the sweep", errno);
        const int version = TPACKET_V3;
        if (::setsockopt(socket_.get(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0)
            throw setup_failed("set the packet ring's version", errno);
        attach_filter();
        tpacket_req3 request{};
        request.tp_block_size = block_size;
        request.tp_block_nr = block_count;
        request.tp_frame_size = 256;
        request.tp_frame_nr = block_size / request.tp_frame_size * block_count;
        request.tp_retire_blk_tov = 5;
        if (::setsockopt(socket_.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
            throw setup_failed("make the packet ring", errno);
        ring_ = static_cast<std::uint8_t*>(::mmap(nullptr, std::size_t{block_size} * block_count,
                                                  PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0));
        if (ring_ == MAP_FAILED) throw setup_failed("map the packet ring", errno);
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_IP);
        if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
            throw setup_failed("bind the packet socket", errno);
        thread_ = std::thread{[this] { read(); }};
    }
    ~Watcher() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        if (ring_ && ring_ != MAP_FAILED) ::munmap(ring_, std::size_t{block_size} * block_count);
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

    void expect(std::uint32_t seed) { seed_ = seed; }
    bool seen(std::uint16_t port) const { return seen_[port].load(std::memory_order_relaxed); }
    std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
    bool lost() {  // since the last call
        tpacket_stats_v3 stats{};
        socklen_t size = sizeof stats;
        return ::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0 || stats.tp_drops > 0;
    }
    // Returns when nothing has arrived for a while: what is on the way has come.
    void wait_until_quiet() const {
        auto last = count();
        auto since = Clock::now();
        while (Clock::now() - since < quiet) {
            std::this_thread::yield();
            ::poll(nullptr, 0, 5);
            if (const auto now = count(); now != last) last = now, since = Clock::now();
        }
    }

private:
    static constexpr unsigned block_size = 1u << 20, block_count = 16;

    void attach_filter() {
        // Only what is for this host's address: what else crosses the wire must not fill the ring. Not by source, which
        // may have been translated on the way.
        std::array<sock_filter, 4> code = {{
            {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
            {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohl(to_)},
            {BPF_RET | BPF_K, 0, 0, 96},
            {BPF_RET | BPF_K, 0, 0, 0},
        }};
        const sock_fprog program{code.size(), code.data()};
        if (::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
            throw setup_failed("filter the packet socket", errno);
    }
    void read() {
        for (std::size_t block = 0;; block = (block + 1) % block_count) {
            auto* header = reinterpret_cast<tpacket_block_desc*>(ring_ + block * block_size);
            auto& status = header->hdr.bh1.block_status;
            while ((__atomic_load_n(&status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
                if (stop_) return;
                pollfd wait{socket_.get(), POLLIN | POLLERR, 0};
                ::poll(&wait, 1, 20);
            }
            auto* frame = reinterpret_cast<std::uint8_t*>(header) + header->hdr.bh1.offset_to_first_pkt;
            for (std::uint32_t i = 0; i < header->hdr.bh1.num_pkts; ++i) {
                const auto* packet = reinterpret_cast<const tpacket3_hdr*>(frame);
                take(frame + packet->tp_net, packet->tp_snaplen);
                frame += packet->tp_next_offset;
            }
            __atomic_store_n(&status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        }
    }
    void take(const std::uint8_t* bytes, std::size_t size) {
        if (size < sizeof(iphdr)) return;
        iphdr ip;
        std::memcpy(&ip, bytes, sizeof ip);
        const std::size_t at = ip.ihl * 4u;
        std::uint16_t destination_port = 0;
        std::uint32_t nonce = 0;
        if (protocol_ == Protocol::tcp) {
            if (ip.protocol != IPPROTO_TCP || size < at + sizeof(tcphdr)) return;
            tcphdr header;
            std::memcpy(&header, bytes + at, sizeof header);
            if ((header.th_flags & (TH_SYN | TH_ACK)) != TH_SYN) return;
            destination_port = ntohs(header.th_dport), nonce = ntohl(header.th_seq);
        } else {
            if (ip.protocol != IPPROTO_UDP || size < at + sizeof(udphdr) + sizeof nonce) return;
            udphdr header;
            std::memcpy(&header, bytes + at, sizeof header);
            std::memcpy(&nonce, bytes + at + sizeof header, sizeof nonce);
            destination_port = ntohs(header.uh_dport), nonce = ntohl(nonce);
        }
        // A port translated on the way has another port's nonce: not the port that was probed.
        if (nonce != nonce_of(seed_, destination_port)) return;
        seen_[destination_port].store(true, std::memory_order_relaxed);
        count_.fetch_add(1, std::memory_order_relaxed);
    }

    Protocol protocol_;
    std::uint32_t to_;
    Descriptor socket_;
    std::uint8_t* ring_ = nullptr;
    std::vector<std::atomic<bool>> seen_;
    std::atomic<std::uint64_t> count_ = 0;
    std::atomic<std::uint32_t> seed_ = 0;
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

// Sends to all ports; those that could not be sent are put into `unsent`.
void send_probes(int sender, const SweepEnd& from, const SweepEnd& to, Protocol protocol, std::uint16_t source_port,
                 std::uint32_t seed, std::span<const std::uint16_t> ports, std::vector<std::uint16_t>& unsent,
                 std::chrono::microseconds pause = {}) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(to.address.value);
    std::array<Probe, batch> probes;
    std::array<iovec, batch> parts;
    std::array<mmsghdr, batch> messages{};
    for (std::size_t at = 0; at < ports.size(); at += batch) {
        const auto count = std::min(batch, ports.size() - at);
        for (std::size_t i = 0; i < count; ++i) {
            probes[i] = make_probe(from, to, protocol, source_port, ports[at + i], nonce_of(seed, ports[at + i]));
            parts[i] = {probes[i].bytes.data(), probes[i].size};
            messages[i].msg_hdr = {};
            messages[i].msg_hdr.msg_name = &address;
            messages[i].msg_hdr.msg_namelen = sizeof address;
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        for (std::size_t done = 0; done < count;) {
            const auto sent = ::sendmmsg(sender, messages.data() + done, static_cast<unsigned>(count - done), 0);
            if (sent > 0) {
                done += static_cast<std::size_t>(sent);
            } else if (errno == ENOBUFS || errno == EAGAIN) {
                pollfd wait{sender, POLLOUT, 0};
                ::poll(&wait, 1, 10);
            } else if (errno != EINTR) {
                unsent.push_back(ports[at + done++]);
            }
        }
        if (pause.count() > 0) std::this_thread::sleep_for(pause);  // a pace, not a wait for anything
    }
}

std::uint16_t random_source_port() {
    std::random_device random;
    return static_cast<std::uint16_t>(49152 + random() % 16000);
}

}  // namespace

Sweep sweep(const SweepEnd& from, const SweepEnd& to, Protocol protocol, unsigned tries) {
    const auto start = Clock::now();
    Sweep result;
    result.ports.assign(port_count, PortState::not_tested);
    std::vector<std::uint16_t> unproven;
    unproven.reserve(port_count);
    for (unsigned port = 1; port < port_count; ++port) unproven.push_back(static_cast<std::uint16_t>(port));

    const auto source_port = random_source_port();
    const auto sender = raw_sender(from);
    Watcher watcher{to, protocol};
    std::random_device random;
    bool lost = false;
    std::vector<std::uint16_t> unsent;
    while (result.rounds < tries && !unproven.empty()) {
        ++result.rounds;
        unsent.clear();
        const auto seed = static_cast<std::uint32_t>(random());
        watcher.expect(seed);
        send_probes(sender.get(), from, to, protocol, source_port, seed, unproven, unsent);
        watcher.wait_until_quiet();
        lost = watcher.lost();
        for (unsigned port = 1; port < port_count; ++port)
            if (watcher.seen(static_cast<std::uint16_t>(port))) result.ports[port] = PortState::open;
        std::erase_if(unproven, [&](std::uint16_t port) { return result.ports[port] == PortState::open; });
    }
    for (const auto port : unproven) result.ports[port] = lost ? PortState::not_tested : PortState::closed;
    for (const auto port : unsent)
        if (result.ports[port] != PortState::open) result.ports[port] = PortState::not_tested;
    result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return result;
}

std::uint16_t probe_once(const SweepEnd& from, const SweepEnd& to, Protocol protocol,
                         std::span<const std::uint16_t> ports) {
    const auto source_port = random_source_port();
    const auto sender = raw_sender(from);
    std::vector<std::uint16_t> unsent;
    // 64 probes every 32 ms: 2,000 a second, which the trace follows without loss.
    send_probes(sender.get(), from, to, protocol, source_port, 1, ports, unsent, std::chrono::milliseconds{32});
    return source_port;
}

}  // namespace wmlab::lab
