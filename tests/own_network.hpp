// Ports below 1024 for the tests of an ordinary user: the process moves to a user and a network namespace of its own.
#pragma once
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/catch.hpp"

namespace wmlab::tests {

// Before any thread or socket of the test. Nothing for root.
inline void own_network() {
    if (::geteuid() == 0) return;
    const auto uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
    REQUIRE(::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0);
    std::ofstream{"/proc/self/setgroups"} << "deny";
    std::ofstream{"/proc/self/uid_map"} << "0 " << uid << " 1";
    std::ofstream{"/proc/self/gid_map"} << "0 " << gid << " 1";
    const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq loopback{};
    loopback.ifr_name[0] = 'l', loopback.ifr_name[1] = 'o';
    loopback.ifr_flags = IFF_UP;
    const bool up = ::ioctl(any, SIOCSIFFLAGS, &loopback) == 0;
    ::close(any);
    REQUIRE(up);
}

}  // namespace wmlab::tests
