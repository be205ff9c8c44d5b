#include "lab/host/interruption.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

std::atomic<int> got = 0, answered = 0, last = 0;
std::atomic<int> wake = -1;
pid_t owner = 0;
static_assert(std::atomic<int>::is_always_lock_free);  // used by a signal's handler

void note_one(int number) {
    const auto before = errno;
    last = number;
    ++got;
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake, &one, sizeof one);
    errno = before;
}

}  // namespace

void Interruptions::note() {
    if (owner == ::getpid()) return;
    owner = ::getpid();
    got = answered = last = 0;  // a child's are its own
    wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake < 0) throw setup_failed("make a descriptor for signals", errno);
    struct sigaction noted = {};
    noted.sa_handler = note_one;
    ::sigemptyset(&noted.sa_mask);
    noted.sa_flags = SA_RESTART;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &noted, nullptr);
}

int Interruptions::unanswered() { return got - answered; }
int Interruptions::last_signal() { return last; }
void Interruptions::answer() {
    answered = got.load();
    forget_wake();
}

void Interruptions::check() {
    if (unanswered() > 0) throw Interrupted{};
}

int Interruptions::descriptor() { return wake; }

void Interruptions::forget_wake() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = ::read(wake, &count, sizeof count);
}

}  // namespace wmlab::lab
