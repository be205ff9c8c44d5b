#include "lab/audit/probes.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>

#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

using scenario::Protocol;

constexpr std::size_t probe_size_max = 20 + 20;  // IP header and TCP header, or UDP header and the nonce
constexpr std::size_t batch = 64;

std::uint16_t checksum(const void* data, std::size_t size, std::uint32_t sum = 0) {
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    for (std::size_t i = 0; i + 1 < size; i += 2) sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
    if (size % 2) sum += static_cast<std::uint32_t>(bytes[size - 1] << 8);
    while (sum >> 16) sum = (sum & 0xFFFF) + (sum >> 16);
    return htons(static_cast<std::uint16_t>(~sum));
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

std::uint16_t random_source_port() {
    std::random_device random;
    return static_cast<std::uint16_t>(49152 + random() % 16000);
}

}  // namespace

std::uint32_t nonce_of(std::uint32_t seed, std::uint16_t port) {
    std::uint32_t x = seed ^ (std::uint32_t{port} * 0x9E3779B1u);
    x ^= x >> 15, x *= 0x85EBCA77u, x ^= x >> 13;
    return x;
}

ProbeSender::ProbeSender(const SweepEnd& from, const SweepEnd& to, Protocol protocol)
    : from_{from}, to_{to}, protocol_{protocol}, source_port_{random_source_port()}, socket_{raw_sender(from)} {}

void ProbeSender::send(std::uint32_t seed, std::span<const std::uint16_t> ports,
                       std::vector<std::uint16_t>& unsent) const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(to_.address.value);
    std::array<Probe, batch> probes;
    std::array<iovec, batch> parts;
    std::array<mmsghdr, batch> messages{};
    for (std::size_t at = 0; at < ports.size(); at += batch) {
        const auto count = std::min(batch, ports.size() - at);
        for (std::size_t i = 0; i < count; ++i) {
            probes[i] = make_probe(from_, to_, protocol_, source_port_, ports[at + i], nonce_of(seed, ports[at + i]));
            parts[i] = {probes[i].bytes.data(), probes[i].size};
            messages[i].msg_hdr = {};
            messages[i].msg_hdr.msg_name = &address;
            messages[i].msg_hdr.msg_namelen = sizeof address;
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        for (std::size_t done = 0; done < count;) {
            const auto sent = ::sendmmsg(socket_.get(), messages.data() + done, static_cast<unsigned>(count - done), 0);
            if (sent > 0) {
                done += static_cast<std::size_t>(sent);
            } else if (errno == ENOBUFS || errno == EAGAIN) {
                pollfd wait{socket_.get(), POLLOUT, 0};
                ::poll(&wait, 1, 10);
            } else if (errno != EINTR) {
                unsent.push_back(ports[at + done++]);
            }
        }
    }
}

}  // namespace wmlab::lab
