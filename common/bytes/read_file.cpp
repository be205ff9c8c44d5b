#include "common/bytes/read_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace wmlab::bytes {

void throw_exception_from_error(const FileProblem& problem, const boost::source_location&) {
    throw std::runtime_error{problem.text()};
}

namespace {

struct Opened {
    int descriptor = -1;
    std::size_t size = 0;  // of a file
    std::string problem;
    explicit Opened(const std::filesystem::path& file) {
        // O_NONBLOCK: a named pipe that nobody writes to must not hold the program up.
        descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat status {};
        if (descriptor < 0 || ::fstat(descriptor, &status) != 0) {
            problem = "cannot be read: " + std::generic_category().message(errno);
            return;
        }
        const auto name = file.string();
        const bool handed_over = name == "/dev/stdin" || name.starts_with("/dev/fd/") || name.starts_with("/proc/self/fd/");
        if (S_ISDIR(status.st_mode))
            problem = "is a directory";
        else if (!S_ISREG(status.st_mode) && !(S_ISFIFO(status.st_mode) && handed_over))
            problem = "is not a file";
        if (!problem.empty()) return;
        if (S_ISREG(status.st_mode)) size = static_cast<std::size_t>(status.st_size);
        ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) & ~O_NONBLOCK);
    }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ~Opened() {
        if (descriptor >= 0) ::close(descriptor);
    }
};

}  // namespace

std::string problem_with(const std::filesystem::path& file) { return Opened{file}.problem; }

boost::system::result<std::string, FileProblem> read_file(const std::filesystem::path& file, std::size_t size_max) {
    const Opened opened{file};
    if (!opened.problem.empty()) return FileProblem{file.string(), opened.problem};
    const FileProblem too_large{file.string(), "is larger than " + std::to_string(size_max) + " bytes"};
    if (opened.size > size_max) return too_large;
    std::string octets;
    for (;;) {
        constexpr std::size_t piece = 64 * 1024;
        const auto had = octets.size();
        octets.resize(had + piece);
        ssize_t got = 0;
        do got = ::read(opened.descriptor, octets.data() + had, piece);
        while (got < 0 && errno == EINTR);
        if (got < 0) return FileProblem{file.string(), "cannot be read: " + std::generic_category().message(errno)};
        octets.resize(had + static_cast<std::size_t>(got));
        if (octets.size() > size_max) return too_large;
        if (got == 0) return octets;
    }
}

}  // namespace wmlab::bytes
