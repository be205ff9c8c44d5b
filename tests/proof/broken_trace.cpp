// Loaded into wmlab by LD_PRELOAD (broken.py): breaks the kernel's trace in the way that WMLAB_BREAK_TRACE names.
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

constexpr std::uint16_t trace_message = 0x0a11;  // NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE
constexpr std::size_t headers = 20;              // nlmsghdr and nfgenmsg
constexpr std::uint16_t rule_handle = 3;         // NFTA_TRACE_RULE_HANDLE

std::uint16_t u16(const unsigned char* at) {
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// Each rule becomes the one behind it.
void shift_handles(unsigned char* message, std::size_t size) {
    for (std::size_t at = headers; at + 4 <= size;) {
        const std::size_t length = u16(message + at);
        if (length < 4 || at + length > size) return;
        if ((u16(message + at + 2) & 0x3fff) == rule_handle && length == 12) ++message[at + 11];
        at += (length + 3) / 4 * 4;
    }
}

ssize_t broken(unsigned char* message, ssize_t size) {
    static unsigned seen = 0;
    const auto* const wish = std::getenv("WMLAB_BREAK_TRACE");
    if (wish == nullptr || size < static_cast<ssize_t>(headers) || u16(message + 4) != trace_message) return size;
    const std::string_view mode{wish};
    const auto fail = [](int error) -> ssize_t {
        errno = error;
        return -1;
    };
    ++seen;
    if (mode == "overflow") return seen % 7 == 3 ? fail(ENOBUFS) : size;
    if (mode == "lost") return seen % 2 == 0 ? fail(EAGAIN) : size;
    if (mode == "silent") return fail(EAGAIN);
    if (mode == "killed") return seen > 1 ? fail(EIO) : size;
    if (mode == "garbage") std::memset(message + headers, 0xA5, static_cast<std::size_t>(size) - headers);
    if (mode == "cut") return size - 5;
    if (mode == "handles") shift_handles(message, static_cast<std::size_t>(size));
    return size;
}

}  // namespace

extern "C" ssize_t recv(int socket, void* buffer, std::size_t size, int flags) {
    static const auto real = reinterpret_cast<ssize_t (*)(int, void*, std::size_t, int)>(::dlsym(RTLD_NEXT, "recv"));
    const auto got = real(socket, buffer, size, flags);
    return got > 0 ? broken(static_cast<unsigned char*>(buffer), got) : got;
}

extern "C" ssize_t __recv_chk(int socket, void* buffer, std::size_t size, std::size_t, int flags) {
    return recv(socket, buffer, size, flags);
}
