// libnftables sends a whole ruleset in one go and asks for a large enough send buffer with SO_SNDBUFFORCE, which a user
// namespace does not permit; then "Message too long" is all the user would see. This definition stands in front of the
// C library's (the executable exports it, since libnftables refers to it) and asks again with SO_SNDBUF, as far as
// net.core.wmem_max allows. Every other call goes through as it is.
#include "lab/setsockopt.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

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
