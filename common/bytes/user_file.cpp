#include "common/bytes/user_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace wmlab::bytes {
namespace {

struct Opened {
    int fd = -1;
    std::string problem;
    Opened() = default;
    Opened(Opened&& other) noexcept : fd{std::exchange(other.fd, -1)}, problem{std::move(other.problem)} {}
    Opened& operator=(Opened&&) = delete;
    ~Opened() {
        if (fd >= 0) ::close(fd);
    }
};

Opened open_user_file(const std::filesystem::path& file) {
    Opened opened;
    // Without O_NONBLOCK a named pipe that nobody writes to would be waited for.
    opened.fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status {};
    if (opened.fd < 0 || ::fstat(opened.fd, &status) != 0) {
        opened.problem = errno == ENOENT ? "no such file" : "cannot be read: " + std::generic_category().message(errno);
        return opened;
    }
    const auto text = file.string();
    const bool handed_over = text == "/dev/stdin" || text.starts_with("/dev/fd/") || text.starts_with("/proc/");
    if (S_ISDIR(status.st_mode))
        opened.problem = "is a directory, not a file";
    else if (S_ISFIFO(status.st_mode) && !handed_over)
        opened.problem = "is a named pipe, not a file";
    else if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
        opened.problem = "is a device, not a file";
    else
        ::fcntl(opened.fd, F_SETFL, ::fcntl(opened.fd, F_GETFL) & ~O_NONBLOCK);
    return opened;
}

}  // namespace

UserFile read_user_file(const std::filesystem::path& file, std::size_t size_max) {
    UserFile result;
    const auto opened = open_user_file(file);
    result.problem = opened.problem;
    if (!result.ok()) return result;
    std::array<char, 65536> part{};
    while (result.octets.size() <= size_max) {
        const auto got = ::read(opened.fd, part.data(), part.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) result.problem = "cannot be read: " + std::generic_category().message(errno);
        if (got <= 0) return result;
        result.octets.append(part.data(), static_cast<std::size_t>(got));
    }
    result.octets.clear();
    result.problem = "is larger than " + std::to_string(size_max >> 10) + " KiB";
    return result;
}

std::string problem_with_user_file(const std::filesystem::path& file) { return open_user_file(file).problem; }

}  // namespace wmlab::bytes
