#include "lab/run/pace.hpp"

#include <algorithm>
#include <cmath>

namespace wmlab::lab {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds shortest{4};                     // a pause that is played
constexpr double divisor_max = 300;                // the keep-alive of 30 s is 100 ms then
constexpr double keep_alive = 30;                  // s, of an MMS server (MS-MMSP 3.2.2)
constexpr double margin = 0.5, margin_idle = 1.0;  // s
constexpr long least = 2;                          // s: packets of a slow stream are more than a second apart

// The time-out divided, in whole seconds: nothing where it would end otherwise than the real one.
bool divide(TimeOut& one, double idle, double play, double divisor) {
    const auto real = static_cast<double>(one.real.count());
    const bool outlives = real >= idle;
    const auto divided = real / divisor;
    const auto whole = static_cast<long>(outlives ? std::ceil(divided) : std::floor(divided));
    const auto needed = std::max(least, one.tcp() ? static_cast<long>(std::ceil(play)) + 1 : least);
    one.played = seconds{std::max(whole, std::min(one.real.count(), needed))};
    const auto played = static_cast<double>(one.played.count());
    if (outlives ? played < idle / divisor + (real == idle ? 0 : margin_idle) : played > idle / divisor - margin_idle) return false;
    if (!one.tcp() || real == keep_alive) return true;
    return real > keep_alive ? played >= keep_alive / divisor + margin : played <= keep_alive / divisor - margin;
}

}  // namespace

std::vector<std::string_view> idle_time_outs() {
    return {"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream", "nf_conntrack_tcp_timeout_established", "nf_flowtable_udp_timeout",
            "nf_flowtable_tcp_timeout"};
}

Pace pace(milliseconds idle, milliseconds play, std::vector<TimeOut> real) {
    const auto seconds_of = [](milliseconds time) { return std::chrono::duration<double>{time}.count(); };
    for (auto played = shortest; played < idle; played += seconds{1}) {
        const auto divisor = seconds_of(idle) / static_cast<double>(played.count());
        if (divisor > divisor_max) continue;
        auto time_outs = real;
        const auto fits = [&](TimeOut& one) { return divide(one, seconds_of(idle), seconds_of(play), divisor); };
        if (std::ranges::all_of(time_outs, fits)) return {idle, played, divisor, std::move(time_outs)};
    }
    for (auto& one : real) one.played = one.real;
    return {idle, idle, 1, std::move(real)};
}

}  // namespace wmlab::lab
