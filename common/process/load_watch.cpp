#include "common/process/load_watch.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cmath>
#include <sstream>
#include <thread>
#include <utility>

#include "common/evidence/fields.hpp"
#include "common/process/received_media.hpp"

namespace wmlab::process {
namespace {

constexpr std::chrono::seconds stretch{1};
constexpr std::chrono::milliseconds beat{50};  // how late a beat comes is how long everything else waits

std::chrono::nanoseconds processor_time() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto of = [](const timeval& time) { return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec}; };
    return of(used.ru_utime) + of(used.ru_stime);
}

double rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

LoadWatch::LoadWatch(Context& context) : context_{context}, timer_{context.io} {
    for (const auto& flow : context.flows)
        if (flow.flow->load) loads_.insert(flow.load());
    if (!loads_.empty()) statistics_ = ::open("/proc/stat", O_RDONLY | O_CLOEXEC);  // before the process is confined
}

LoadWatch::~LoadWatch() {
    if (statistics_ >= 0) ::close(statistics_);
}

// proc(5): user nice system idle iowait irq softirq steal, of all processors together.
std::optional<LoadWatch::Ticks> LoadWatch::machine() const {
    std::array<char, 512> text{};
    const auto size = statistics_ < 0 ? -1 : ::pread(statistics_, text.data(), text.size() - 1, 0);
    if (size <= 0) return std::nullopt;
    std::istringstream line{std::string{text.data(), static_cast<std::size_t>(size)}};
    std::string name;
    line >> name;
    Ticks ticks;
    constexpr int columns = 8, idle = 3, waiting = 4;
    for (int column = 0; column < columns; ++column) {
        std::uint64_t value = 0;
        if (!(line >> value)) return std::nullopt;
        ticks.all += value;
        if (column != idle && column != waiting) ticks.busy += value;
    }
    return ticks;
}

void LoadWatch::start() {
    if (loads_.empty() || running_) return;
    running_ = true;
    since_ = Clock::now();
    used_ = processor_time();
    ticks_ = machine();
    wait();
}

void LoadWatch::wait() {
    due_ = Clock::now() + beat;
    timer_.expires_at(due_);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        const auto now = Clock::now();
        late_ = std::max<std::chrono::nanoseconds>(late_, now - due_);
        if (now - since_ >= stretch) write(now);
        wait();
    });
}

void LoadWatch::finish() {
    if (!running_) return;
    running_ = false;
    timer_.cancel();
    write(Clock::now());
}

void LoadWatch::write(Clock::time_point now) {
    const auto seconds = std::chrono::duration<double>{now - since_}.count();
    const auto used = processor_time();
    const auto ticks = machine();
    boost::json::object fields;
    fields[field::seconds] = rounded(seconds);
    fields[field::late] = rounded(std::chrono::duration<double, std::milli>{late_}.count());
    fields[field::cpu] = rounded(std::chrono::duration<double>{used - used_}.count() / std::max(seconds, 0.001));
    if (ticks && ticks_ && ticks->all > ticks_->all)
        fields[field::busy] = rounded(static_cast<double>(ticks->busy - ticks_->busy) / static_cast<double>(ticks->all - ticks_->all));
    fields[field::processors] = std::thread::hardware_concurrency();
    boost::json::array loads;
    for (const auto& name : loads_) {
        boost::json::object load{{field::load, name}};
        if (const auto found = context_.tallies.find(name); found != context_.tallies.end()) {  // those who play
            const auto tally = std::exchange(*found->second, {});
            load[field::packets] = tally.packets;
            load[field::lost] = tally.lost;
            load[field::gaps] = tally.gaps;
            load[field::jitter] = rounded(tally.jitter);
        }
        loads.push_back(std::move(load));
    }
    fields[field::loads] = std::move(loads);
    context_.write(evidence::What::load_second, "", "", std::move(fields));
    since_ = now, used_ = used, ticks_ = ticks;
    late_ = {};
}

}  // namespace wmlab::process
