#include "lab/audit/markers.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>
#include <random>

#include "lab/network/network.hpp"

namespace wmlab::lab {
namespace {

using Clock = std::chrono::steady_clock;

struct MarkerSocket {
    Descriptor socket;      // without a value: not possible here
    sockaddr_ll address{};  // of the interface it is on
    ifreq hardware{};
};

MarkerSocket marker_socket(const Namespace& place, const std::string& interface) {
    const Entered inside{place};
    MarkerSocket made;
    Descriptor socket{::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(marker_protocol))};
    auto& address = made.address;
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(marker_protocol);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
    interface.copy(made.hardware.ifr_name, sizeof made.hardware.ifr_name - 1);
    if (!socket || address.sll_ifindex == 0 || ::ioctl(socket.get(), SIOCGIFHWADDR, &made.hardware) < 0 ||
        ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return made;
    made.socket = std::move(socket);
    return made;
}

// To that one only: a frame for everyone would be counted as lost where nobody wants it.
sockaddr_ll towards(const MarkerSocket& from, const MarkerSocket& to) {
    auto address = from.address;
    address.sll_halen = 6;
    std::memcpy(address.sll_addr, to.hardware.ifr_hwaddr.sa_data, 6);
    return address;
}

// One marker from each processor this thread may use: each has a queue of its own. How many; 0: it failed.
unsigned send_markers(int socket, const sockaddr_ll& address, std::uint32_t token) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
    unsigned sent = 0;
    bool failed = false;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        failed = failed || ::sched_setaffinity(0, sizeof one, &one) != 0 ||
                 ::sendto(socket, &token, sizeof token, 0, reinterpret_cast<const sockaddr*>(&address),
                          sizeof address) != static_cast<ssize_t>(sizeof token);
        ++sent;
    }
    ::sched_setaffinity(0, sizeof allowed, &allowed);
    return failed ? 0 : sent;
}

}  // namespace

bool all_has_arrived(const SweepEnd& from, const SweepEnd& to, const OnTheWay& between, Witness& witness,
                     std::chrono::milliseconds limit) {
    const auto deadline = Clock::now() + limit;
    std::random_device random;
    const auto token = static_cast<std::uint32_t>(random());
    const auto at_source = marker_socket(*from.place, host_interface);
    const auto at_firewall = marker_socket(*between.firewall, between.in);
    const auto onward = marker_socket(*between.firewall, between.out);
    const auto far_end = marker_socket(*to.place, host_interface);
    for (const auto* end : {&at_source, &at_firewall, &onward, &far_end})
        if (!end->socket) return false;

    auto awaited = send_markers(at_source.socket.get(), towards(at_source, at_firewall), token);
    if (awaited == 0) return false;
    while (awaited > 0) {
        std::uint32_t read = 0;
        sockaddr_ll by{};
        socklen_t size = sizeof by;
        if (::recvfrom(at_firewall.socket.get(), &read, sizeof read, 0, reinterpret_cast<sockaddr*>(&by), &size) ==
            static_cast<ssize_t>(sizeof read)) {
            if (read == token && by.sll_pkttype != PACKET_OUTGOING) --awaited;
            continue;
        }
        if (Clock::now() > deadline) return false;
        pollfd wait{at_firewall.socket.get(), POLLIN, 0};
        ::poll(&wait, 1, 10);
    }
    witness.expect_markers(token + 1);
    const auto sent = send_markers(onward.socket.get(), towards(onward, far_end), token + 1);
    if (sent == 0) return false;
    while (witness.markers() < sent) {
        if (Clock::now() > deadline) return false;
        ::poll(nullptr, 0, 1);
    }
    return true;
}

}  // namespace wmlab::lab
