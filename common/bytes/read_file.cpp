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

boost::system::result<std::string, FileProblem> read_file(const std::filesystem::path& file, std::size_t size_max) {
    const auto failed = [&](int error) {
        return FileProblem{file.string(), "cannot be read: " + std::generic_category().message(error)};
    };
    // O_NONBLOCK: a FIFO by that name must not hold the program up.
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return failed(errno);
    struct Closed {
        int descriptor;
        ~Closed() { ::close(descriptor); }
    } const closed{descriptor};
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return failed(errno);
    if (!S_ISREG(status.st_mode))
        return FileProblem{file.string(), S_ISDIR(status.st_mode) ? "is a directory" : "is not a file"};
    std::string octets;
    for (;;) {
        constexpr std::size_t piece = 64 * 1024;
        const auto had = octets.size();
        octets.resize(had + piece);
        ssize_t got = 0;
        do got = ::read(descriptor, octets.data() + had, piece);
        while (got < 0 && errno == EINTR);
        if (got < 0) return failed(errno);
        octets.resize(had + static_cast<std::size_t>(got));
        if (octets.size() > size_max)
            return FileProblem{file.string(), "is larger than " + std::to_string(size_max) + " bytes"};
        if (got == 0) return octets;
    }
}

}  // namespace wmlab::bytes
