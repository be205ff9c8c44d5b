#include "lab/audit/probes.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "lab/audit/crafted.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

using scenario::Protocol;

constexpr std::size_t batch = 64;

// A SYN, or a datagram of nothing but the nonce.
std::vector<std::uint8_t> make_probe(const SweepEnd& from, const SweepEnd& to, Protocol protocol, std::uint16_t source_port, std::uint16_t port,
                                     std::uint32_t nonce) {
    Crafted probe;
    probe.protocol = protocol == Protocol::tcp ? tcp_number : udp_number;
    probe.source = Address::of(from.address), probe.destination = Address::of(to.address);
    probe.source_port = source_port, probe.destination_port = port;
    if (protocol == Protocol::tcp) probe.flags = TH_SYN;
    return craft(probe, {}, nonce);
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
    std::array<std::vector<std::uint8_t>, batch> probes;
    std::array<iovec, batch> parts;
    std::array<mmsghdr, batch> messages{};
    for (std::size_t at = 0; at < ports.size(); at += batch) {
        const auto count = std::min(batch, ports.size() - at);
        for (std::size_t i = 0; i < count; ++i) {
            probes[i] = make_probe(from_, to_, protocol_, source_port_, ports[at + i], nonce_of(seed, ports[at + i]));
            parts[i] = {probes[i].data(), probes[i].size()};
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
