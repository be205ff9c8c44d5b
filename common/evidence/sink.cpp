#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "common/evidence/journal.hpp"

namespace wmlab::evidence {
namespace {

constexpr int writable_wait_ms = 10'000;  // for a reader of our pipe that does not read

// Writes lines to a descriptor. A line that broke off in the middle is ended before the next one, so that it spoils
// no other.
class Lines {
public:
    Lines(int descriptor, bool owned) : descriptor_{descriptor}, owned_{owned} {}
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;
    ~Lines() {
        if (owned_) ::close(descriptor_);
    }

    void write(std::string_view line) {
        if (broken_) write_all("\n");
        broken_ = false;
        write_all(line);
    }

private:
    void write_all(std::string_view rest) {
        bool begun = false;
        while (!rest.empty()) {
            const auto written = ::write(descriptor_, rest.data(), rest.size());
            if (written >= 0) {
                begun = begun || written > 0;
                rest.remove_prefix(static_cast<std::size_t>(written));
                continue;
            }
            if (errno == EINTR) continue;
            if ((errno == EAGAIN || errno == EWOULDBLOCK) && wait()) continue;
            broken_ = broken_ || begun;
            throw std::system_error{errno, std::generic_category()};
        }
    }
    // Standard output may be non-blocking because it shares its description with standard input.
    bool wait() {
        pollfd writable{descriptor_, POLLOUT, 0};
        int ready = 0;
        do ready = ::poll(&writable, 1, writable_wait_ms);
        while (ready < 0 && errno == EINTR);
        if (ready == 0) errno = ETIMEDOUT;
        return ready > 0;
    }

    int descriptor_;
    bool owned_, broken_ = false;
};

Sink lines_to(int descriptor, bool owned) {
    return [lines = std::make_shared<Lines>(descriptor, owned)](std::string_view line) { lines->write(line); };
}

}  // namespace

Sink file_sink(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) throw std::system_error{errno, std::generic_category(), file.string()};
    return lines_to(descriptor, true);
}

Sink descriptor_sink(int descriptor) { return lines_to(descriptor, false); }
Sink sink_for(const std::string& where) { return where == "-" ? descriptor_sink(STDOUT_FILENO) : file_sink(where); }

}  // namespace wmlab::evidence
