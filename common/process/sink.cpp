#include "common/process/sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>

#include "common/process/context.hpp"

namespace wmlab::process {

std::function<void(std::string_view)> sink_to(int descriptor) {
    return [descriptor](std::string_view line) {
        while (!line.empty()) {
            const auto written = ::write(descriptor, line.data(), line.size());
            if (written >= 0) {
                line.remove_prefix(static_cast<std::size_t>(written));
            } else if (errno == EAGAIN) {
                pollfd full{descriptor, POLLOUT, 0};
                ::poll(&full, 1, 1000);
            } else if (errno != EINTR) {
                throw std::system_error{errno, std::generic_category(), "journal"};
            }
        }
    };
}

std::function<void(std::string_view)> sink_to_file(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0)
        throw EnvironmentError{"cannot write " + file.string() + ": " + std::generic_category().message(errno)};
    const std::shared_ptr<int> owner{new int{descriptor}, [](const int* held) {
                                         ::close(*held);
                                         delete held;
                                     }};
    return [owner, sink = sink_to(descriptor)](std::string_view line) { sink(line); };
}

}  // namespace wmlab::process
