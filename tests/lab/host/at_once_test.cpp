#include "lab/host/at_once.hpp"

#include <signal.h>

#include <atomic>
#include <latch>
#include <stdexcept>
#include <thread>

#include "tests/catch.hpp"

using namespace wmlab::lab;

TEST_CASE("work at once: each piece once, so many at a time, and the first failure is told", "[lab]") {
    for (const std::size_t count : {0U, 1U, 2U, 7U, 100U})
        for (const std::size_t threads : {1U, 2U, 16U}) {
            std::vector<std::atomic<int>> done(count);
            std::atomic<std::size_t> now = 0, most = 0;
            at_once(count, threads, [&](std::size_t i) {
                const auto running = ++now;
                for (auto seen = most.load(); seen < running && !most.compare_exchange_weak(seen, running);) {
                }
                ++done[i];
                --now;
            });
            for (const auto& times : done) CHECK(times == 1);
            CHECK(most <= threads);
        }

    std::latch both{2};  // that never opens, if one waited for the other
    at_once(2, 2, [&](std::size_t) { both.arrive_and_wait(); });

    std::atomic<int> begun = 0;
    CHECK_THROWS_AS(at_once(1000, 1, [&](std::size_t) { ++begun, throw std::runtime_error{"no"}; }), std::runtime_error);
    CHECK(begun == 1);
}

TEST_CASE("work at once: signals are left to this thread", "[lab]") {
    const auto own = std::this_thread::get_id();
    std::latch both{2};
    std::atomic<bool> blocked = false;
    at_once(2, 2, [&](std::size_t) {
        both.arrive_and_wait();
        if (std::this_thread::get_id() == own) return;
        sigset_t mask;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1;
    });
    CHECK(blocked);
    sigset_t after;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &after);
    CHECK(sigismember(&after, SIGINT) == 0);
}
