// While a load is played: once a second, what its players received, and whether this process and this machine keep up.
// Written as `load-second` into the journal (docs/journal.md), by whoever takes part in the load.
#pragma once
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "common/process/context.hpp"

namespace wmlab::process {

class LoadWatch {
public:
    explicit LoadWatch(Context& context);
    ~LoadWatch();
    LoadWatch(const LoadWatch&) = delete;
    LoadWatch& operator=(const LoadWatch&) = delete;

    void start();   // nothing where no flow of this process is a load
    void finish();  // what came since the last second

private:
    using Clock = std::chrono::steady_clock;
    struct Ticks {
        std::uint64_t busy = 0, all = 0;
    };
    std::optional<Ticks> machine() const;
    void wait();
    void write(Clock::time_point now);

    Context& context_;
    boost::asio::steady_timer timer_;
    std::set<std::string> loads_;
    int statistics_ = -1;  // of the machine's processors
    bool running_ = false;
    Clock::time_point since_{}, due_{};
    std::chrono::nanoseconds used_{0};  // processor time of this process until `since_`
    std::optional<Ticks> ticks_;
    std::chrono::nanoseconds late_{0};
};

}  // namespace wmlab::process
