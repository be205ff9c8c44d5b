#include "lab/host/namespaces.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <exception>
#include <string_view>

#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"

namespace wmlab::lab {

Namespace Namespace::current() {
    // thread-self, not self: setns moves one thread, and /proc/self is the first thread's
    Descriptor fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
    if (!fd) throw setup_failed("open the current network namespace", errno);
    return Namespace{std::move(fd)};
}

Namespace Namespace::create(const std::string& what_for) {
    const auto home = current();
    if (::unshare(CLONE_NEWNET) != 0) {
        const auto error = errno;
        throw setup_failed("create a network namespace for " + what_for, error,
                           remedy(Privilege::other_namespace, error));
    }
    auto created = current();
    if (::setns(home.fd(), CLONE_NEWNET) != 0) std::terminate();  // nothing sensible can follow in the wrong place
    return created;
}

bool is_here(int network_namespace) {
    struct stat there {
    }, here{};
    return ::fstat(network_namespace, &there) == 0 && ::stat("/proc/thread-self/ns/net", &here) == 0 &&
           there.st_dev == here.st_dev && there.st_ino == here.st_ino;
}

Entered::Entered(const Namespace& place) : home_{Namespace::current()} {
    if (!is_here(place.fd()) && ::setns(place.fd(), CLONE_NEWNET) != 0) {
        const auto error = errno;
        throw setup_failed("enter a network namespace", error, remedy(Privilege::other_namespace, error));
    }
}

Entered::~Entered() {
    if (!is_here(home_.fd()) && ::setns(home_.fd(), CLONE_NEWNET) != 0) std::terminate();
}

std::vector<std::string> interfaces_in(const Namespace& place) {
    const Entered inside{place};
    std::vector<std::string> names;
    auto* const all = ::if_nameindex();
    if (all == nullptr) return names;
    for (const auto* one = all; one->if_index != 0; ++one)
        if (std::string_view{one->if_name} != "lo") names.emplace_back(one->if_name);
    ::if_freenameindex(all);
    return names;
}

}  // namespace wmlab::lab
