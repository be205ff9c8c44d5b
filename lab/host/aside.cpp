#include "lab/host/aside.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"

namespace wmlab::lab {
namespace {

constexpr int broke = 2;  // the exit status of a trial that came to no end

}  // namespace

Aside::Aside(const std::function<bool()>& trial) : process_{::fork()} {
    if (process_ < 0) throw setup_failed("start a process to try a rule", errno);
    if (process_ > 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int code = broke;
    try {
        Interruptions::note();
        code = trial() ? 0 : 1;
    } catch (...) {  // said where the same is tried without a process of its own
    }
    ::_exit(code);
}

std::optional<bool> Aside::result() {
    int status = broke << 8;
    if (process_ <= 0) return std::nullopt;
    const auto process = std::exchange(process_, -1);
    const Descriptor over{static_cast<int>(::syscall(SYS_pidfd_open, process, 0))};
    std::array<pollfd, 2> waits{pollfd{over.get(), POLLIN, 0}, pollfd{Interruptions::descriptor(), POLLIN, 0}};
    while (over && Interruptions::unanswered() == 0 && waits[0].revents == 0) ::poll(waits.data(), waits.size(), -1);
    if (Interruptions::unanswered() > 0) ::kill(process, SIGTERM);
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) == broke) return std::nullopt;
    return WEXITSTATUS(status) == 0;
}

}  // namespace wmlab::lab
