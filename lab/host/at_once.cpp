#include "lab/host/at_once.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace wmlab::lab {

void at_once(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work) {
    std::atomic<std::size_t> next = 0;
    std::exception_ptr failure;
    std::mutex mutex;
    const auto take_turns = [&] {
        for (auto i = next++; i < count; i = next++) {
            try {
                work(i);
            } catch (...) {
                const std::scoped_lock lock{mutex};
                if (!failure) failure = std::current_exception();
                next = count;
            }
        }
    };
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    {
        std::vector<std::jthread> others;
        try {
            while (others.size() + 1 < std::min(threads, count)) others.emplace_back(take_turns);
        } catch (const std::system_error&) {  // no more threads to be had: those that are there do it all
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        take_turns();
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace wmlab::lab
