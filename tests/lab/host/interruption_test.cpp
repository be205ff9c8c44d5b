#include "lab/host/interruption.hpp"

#include <csignal>

#include "tests/catch.hpp"

namespace wmlab::lab {
namespace {

TEST_CASE("host: an end that is asked for is an exception where nobody listens otherwise, and the handlers before come back", "[host]") {
    static volatile std::sig_atomic_t before = 0;
    const auto handler = std::signal(SIGTERM, [](int) { before = before + 1; });
    CHECK_NOTHROW(Interruption::check());
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        const Interruption listening;
        CHECK_NOTHROW(Interruption::check());
        std::raise(number);
        CHECK_THROWS_AS(Interruption::check(), Interrupted);
        CHECK_THROWS_AS(Interruption::check(), Interrupted);  // it is not forgotten
    }
    CHECK_NOTHROW(Interruption::check());
    CHECK(before == 0);
    std::raise(SIGTERM);
    CHECK(before == 1);
    std::signal(SIGTERM, handler);
}

}  // namespace
}  // namespace wmlab::lab
