#include "lab/audit/witness.hpp"

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

#include <array>
#include <cerrno>
#include <cstring>

#include "lab/audit/markers.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {

using scenario::Protocol;

Witness::Witness(const SweepEnd& to, Protocol protocol)
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
    auto* const mapped =
        ::mmap(nullptr, std::size_t{block_size} * block_count, PROT_READ | PROT_WRITE, MAP_SHARED, socket_.get(), 0);
    if (mapped == MAP_FAILED) throw setup_failed("map the packet ring", errno);
    ring_ = static_cast<std::uint8_t*>(mapped);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
        throw setup_failed("bind the packet socket", errno);
    thread_ = std::thread{[this] { read(); }};
}

Witness::~Witness() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    if (ring_) ::munmap(ring_, std::size_t{block_size} * block_count);
}

bool Witness::lost() {
    tpacket_stats_v3 stats{};
    socklen_t size = sizeof stats;
    return ::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0 || stats.tp_drops > 0;
}

// Only markers, and what is for this host's address: what else crosses the wire must not fill the ring. Not by source,
// which may have been translated on the way.
void Witness::attach_filter() {
    constexpr auto ancillary = static_cast<std::uint32_t>(SKF_AD_OFF);
    std::array<sock_filter, 7> code = {{
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, ancillary + SKF_AD_PROTOCOL},
        {BPF_JMP | BPF_JEQ | BPF_K, 3, 0, marker_protocol},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ETH_P_IP},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohl(to_)},
        {BPF_RET | BPF_K, 0, 0, 96},
        {BPF_RET | BPF_K, 0, 0, 0},
    }};
    const sock_fprog program{code.size(), code.data()};
    if (::setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
        throw setup_failed("filter the packet socket", errno);
}

void Witness::read() {
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
            const auto* from = reinterpret_cast<const sockaddr_ll*>(frame + TPACKET_ALIGN(sizeof(tpacket3_hdr)));
            const auto* bytes = frame + packet->tp_net;
            if (from->sll_protocol == htons(ETH_P_IP)) {
                take(bytes, packet->tp_snaplen);
            } else if (packet->tp_snaplen >= sizeof(std::uint32_t)) {
                std::uint32_t token;
                std::memcpy(&token, bytes, sizeof token);
                if (token == token_) markers_.fetch_add(1, std::memory_order_release);
            }
            frame += packet->tp_next_offset;
        }
        __atomic_store_n(&status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
}

void Witness::take(const std::uint8_t* bytes, std::size_t size) {
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

}  // namespace wmlab::lab
