#include "lab/host/interruption.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/catch.hpp"

namespace wmlab::lab {
namespace {

bool woken() {
    pollfd wait{Interruptions::descriptor(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
}

// In a process of its own: signals are noted for the rest of it.
TEST_CASE("host: an end that is asked for is not forgotten until it is answered, and wakes who waits", "[host]") {
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        bool good = Interruptions::unanswered() == 0;
        Interruptions::note();
        good &= Interruptions::unanswered() == 0 && !woken();
        int count = 0;
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            std::raise(number);
            good &= Interruptions::unanswered() == ++count && Interruptions::last_signal() == number && woken();
            try {
                Interruptions::check();
                good = false;
            } catch (const Interrupted&) {
            }
        }
        Interruptions::note();  // again: nothing
        good &= Interruptions::unanswered() == 3;
        Interruptions::forget_wake();
        good &= !woken() && Interruptions::unanswered() == 3;
        std::raise(SIGINT);
        Interruptions::answer();
        good &= Interruptions::unanswered() == 0 && !woken();
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace wmlab::lab
