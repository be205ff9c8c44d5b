// libnftables sends a whole ruleset in one go and asks for a large enough send buffer with SO_SNDBUFFORCE, which a user
// namespace does not permit; then "Message too long" is all the user would see. This definition stands in front of the
// C library's (the executable exports it, since libnftables refers to it) and asks again with SO_SNDBUF, as far as
// net.core.wmem_max allows. Every other call goes through as it is.
//
// What is larger even so is sent in several messages (batches.hpp). It is then no longer all or nothing, which does not
// matter to a lab's firewall that has just been made.
#include "lab/host/setsockopt.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

#include "lab/host/batches.hpp"

namespace wmlab::lab {
void link_setsockopt() {}
}  // namespace wmlab::lab

extern "C" int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
    const auto call = [&](int option) {
        return static_cast<int>(::syscall(SYS_setsockopt, fd, level, option, value, size));
    };
    const auto result = call(name);
    if (result == 0 || errno != EPERM || level != SOL_SOCKET) return result;
    if (name == SO_SNDBUFFORCE) return call(SO_SNDBUF);
    if (name == SO_RCVBUFFORCE) return call(SO_RCVBUF);
    return result;
}

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    const auto call = [&](const msghdr* what) { return static_cast<ssize_t>(::syscall(SYS_sendmsg, fd, what, flags)); };
    const auto result = call(message);
    if (result >= 0 || errno != EMSGSIZE) return result;
    int domain = 0, room = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || domain != AF_NETLINK ||
        ::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, &size) != 0 || room < 4096) {
        errno = EMSGSIZE;
        return -1;
    }
    std::vector<std::byte> whole;
    for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
        const auto* bytes = static_cast<const std::byte*>(message->msg_iov[i].iov_base);
        whole.insert(whole.end(), bytes, bytes + message->msg_iov[i].iov_len);
    }
    auto parts = wmlab::lab::cut_batch(whole, static_cast<std::size_t>(room) / 2);
    for (auto& part : parts) {
        iovec bytes{part.data(), part.size()};
        msghdr one = *message;
        one.msg_iov = &bytes, one.msg_iovlen = 1;
        if (call(&one) < 0) return -1;
    }
    if (!parts.empty()) return static_cast<ssize_t>(whole.size());
    errno = EMSGSIZE;
    return -1;
}
