#include "lab/alg/packets.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>

#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds segment_patience{300};

sockaddr_in socket_address(scenario::Ipv4 address, std::uint16_t port) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    in.sin_addr.s_addr = htonl(address.value);
    return in;
}

Descriptor socket_in(const AlgHost& host, int type, std::uint16_t port) {
    const Entered inside{*host.place};
    Descriptor made{::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    const int on = 1;
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const auto at = socket_address(host.address, port);
    if (!made || ::bind(made.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
        throw SetupFailed{fmt::format("bind {}:{} on {}", host.address.text(), port, host.name), std::strerror(errno)};
    return made;
}

int left_until(steady_clock::time_point limit) {
    const auto left = std::chrono::duration_cast<milliseconds>(limit - steady_clock::now()).count();
    return left < 0 ? 0 : static_cast<int>(left) + 1;
}

bool ready(int socket, short what, steady_clock::time_point limit) {
    pollfd one{socket, what, 0};
    return ::poll(&one, 1, left_until(limit)) == 1;
}

}  // namespace

std::string Probe::words() const {
    return fmt::format("{} {}{} -> {}:{}", scenario::text(protocol), from->name, from_port == 0 ? std::string{} : fmt::format(":{}", from_port), to->name, to_port);
}

std::vector<bool> arrive(const std::vector<Probe>& probes, const std::string& text, milliseconds patience) {
    using Place = std::pair<const AlgHost*, std::uint16_t>;
    std::map<Place, Descriptor> datagram, listening;
    std::vector<Descriptor> connecting(probes.size());
    const auto datagram_at = [&](const AlgHost* host, std::uint16_t port) -> int {
        auto& socket = datagram[{host, port}];
        if (!socket) socket = socket_in(*host, SOCK_DGRAM, port);
        return socket.get();
    };
    for (const auto& probe : probes) {
        if (probe.protocol == scenario::Protocol::udp) {
            datagram_at(probe.to, probe.to_port), datagram_at(probe.from, probe.from_port);
            continue;
        }
        auto& listener = listening[{probe.to, probe.to_port}];
        if (listener) continue;
        listener = socket_in(*probe.to, SOCK_STREAM, probe.to_port);
        ::listen(listener.get(), 16);
    }
    std::vector<bool> arrived(probes.size(), false);
    for (std::size_t i = 0; i < probes.size(); ++i) {
        const auto& probe = probes[i];
        const auto to = socket_address(probe.to->address, probe.to_port);
        if (probe.protocol == scenario::Protocol::udp) {
            const auto words = fmt::format("{} #{}", text, i);
            ::sendto(datagram_at(probe.from, probe.from_port), words.data(), words.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        } else {
            connecting[i] = socket_in(*probe.from, SOCK_STREAM, probe.from_port);
            ::connect(connecting[i].get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
        }
    }
    const auto limit = steady_clock::now() + patience;
    const auto look = [&] {
        std::array<char, 512> buffer{};
        for (const auto& [place, socket] : datagram)
            for (ssize_t size = 0; (size = ::recv(socket.get(), buffer.data(), buffer.size(), 0)) > 0;) {
                const std::string_view got{buffer.data(), static_cast<std::size_t>(size)};
                for (std::size_t i = 0; i < probes.size(); ++i)
                    if (got == fmt::format("{} #{}", text, i)) arrived[i] = true;
            }
        for (std::size_t i = 0; i < probes.size(); ++i) {
            tcp_info info{};
            socklen_t size = sizeof info;
            if (connecting[i] && ::getsockopt(connecting[i].get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state == TCP_ESTABLISHED)
                arrived[i] = true;
        }
    };
    while (true) {
        look();
        if (std::ranges::all_of(arrived, [](bool one) { return one; }) || steady_clock::now() >= limit) return arrived;
        std::vector<pollfd> all;
        for (const auto& [place, socket] : datagram) all.push_back({socket.get(), POLLIN, 0});
        for (std::size_t i = 0; i < probes.size(); ++i)
            if (connecting[i] && !arrived[i]) all.push_back({connecting[i].get(), POLLOUT, 0});
        ::poll(all.data(), all.size(), std::min(left_until(limit), 10));
    }
}

struct AlgConnection::Parts {
    AlgHost client, server;
    scenario::Protocol protocol = scenario::Protocol::tcp;
    Descriptor opening, answering;
    sockaddr_in client_at{};  // as the server sees it; of UDP once it has heard from it

    // Frames of the speaking end from now on, as its own wire shows them.
    Descriptor watch(bool by_client) const {
        const Entered inside{*(by_client ? client : server).place};
        return Descriptor{::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))};
    }
    bool datagrams() const { return protocol == scenario::Protocol::udp; }
    bool send(const Announcement::Segment& segment) const {
        const auto* to = reinterpret_cast<const sockaddr*>(&client_at);
        const bool addressed = datagrams() && !segment.by_client;
        return ::sendto((segment.by_client ? opening : answering).get(), segment.bytes.data(), segment.bytes.size(), MSG_NOSIGNAL, addressed ? to : nullptr,
                        addressed ? sizeof client_at : 0) >= 0;
    }
    // So many bytes at the other end: of a stream all, of datagrams one.
    bool heard(const Announcement::Segment& segment) {
        const auto& hears = segment.by_client ? answering : opening;
        const auto limit = steady_clock::now() + segment_patience;
        std::size_t heard = 0;
        std::array<std::byte, 65536> buffer{};
        while (heard < segment.bytes.size() && ready(hears.get(), POLLIN, limit)) {
            sockaddr_in from{};
            socklen_t from_size = sizeof from;
            const auto size = ::recvfrom(hears.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_size);
            if (size <= 0) return false;
            heard += static_cast<std::size_t>(size);
            if (datagrams() && segment.by_client) client_at = from;
        }
        return heard >= segment.bytes.size();
    }
};

AlgConnection::AlgConnection(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
AlgConnection::~AlgConnection() = default;

std::unique_ptr<AlgConnection> AlgConnection::open(const AlgHost& client, const AlgHost& server, scenario::Protocol protocol, std::uint16_t port,
                                                   milliseconds patience) {
    auto parts = std::make_unique<Parts>();
    parts->client = client, parts->server = server, parts->protocol = protocol;
    const auto type = protocol == scenario::Protocol::udp ? SOCK_DGRAM : SOCK_STREAM;
    auto listener = socket_in(server, type, port);
    if (type == SOCK_STREAM) ::listen(listener.get(), 4);
    parts->opening = socket_in(client, type, 0);
    const auto to = socket_address(server.address, port);
    ::connect(parts->opening.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    socklen_t size = sizeof parts->client_at;
    if (type == SOCK_DGRAM) {
        ::getsockname(parts->opening.get(), reinterpret_cast<sockaddr*>(&parts->client_at), &size);
        parts->answering = std::move(listener);
        return std::unique_ptr<AlgConnection>{new AlgConnection{std::move(parts)}};
    }
    if (!ready(listener.get(), POLLIN, steady_clock::now() + patience)) return nullptr;
    parts->answering = Descriptor{::accept4(listener.get(), reinterpret_cast<sockaddr*>(&parts->client_at), &size, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!parts->answering) return nullptr;
    const int on = 1;
    for (const auto* socket : {&parts->opening, &parts->answering}) ::setsockopt(socket->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return std::unique_ptr<AlgConnection>{new AlgConnection{std::move(parts)}};
}

bool AlgConnection::refused(const AlgHost& client, const AlgHost& server, std::uint16_t port, milliseconds patience) {
    const auto opening = socket_in(client, SOCK_STREAM, 0);
    const auto to = socket_address(server.address, port);
    ::connect(opening.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
    if (!ready(opening.get(), POLLOUT, steady_clock::now() + patience)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(opening.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    return error == ECONNREFUSED;
}

bool AlgConnection::say(const Announcement::Segment& segment) {
    std::optional<Descriptor> wire;
    if (segment.again) wire = parts_->watch(segment.by_client);
    if (!parts_->send(segment)) return false;
    const bool heard = parts_->heard(segment);
    if (!wire) return heard;
    // The same packet once more, as it was on the speaker's wire: the one that ends with these bytes.
    std::array<std::byte, 65536> buffer{};
    sockaddr_ll about{};
    socklen_t about_size = sizeof about;
    for (ssize_t size = 0; (size = ::recvfrom(wire->get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&about), &about_size)) > 0;) {
        const auto length = static_cast<std::size_t>(size);
        if (about.sll_pkttype != PACKET_OUTGOING || length < segment.bytes.size() ||
            std::memcmp(buffer.data() + length - segment.bytes.size(), segment.bytes.data(), segment.bytes.size()) != 0)
            continue;
        ::sendto(wire->get(), buffer.data(), length, 0, reinterpret_cast<const sockaddr*>(&about), sizeof about);
        break;
    }
    return heard;
}

void AlgConnection::close() {
    parts_->opening = Descriptor{};
    parts_->answering = Descriptor{};
}

}  // namespace wmlab::lab
