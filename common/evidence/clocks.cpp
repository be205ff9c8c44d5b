#include "common/evidence/clocks.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

#include "common/evidence/fields.hpp"

namespace wmlab::evidence {
namespace {

// Whatever a journal says, times can still be reckoned with afterwards.
constexpr std::int64_t far = 3'153'600'000'000'000'000, near = std::int64_t{1} << 60;  // 100 years, 36 years

struct Measured {
    std::chrono::nanoseconds round_trip{}, utc_ahead{}, monotonic_ahead{};
};

}  // namespace

void align_clocks(std::vector<Event>& events) {
    std::map<std::string, Measured, std::less<>> clocks;
    for (const auto& event : events) {
        if (event.event != What::clock) continue;
        const auto number = [&](Number name, std::int64_t most) {
            const auto* const told = event.fields.if_contains(name);
            const auto* const value = told == nullptr ? nullptr : told->if_int64();
            return std::chrono::nanoseconds{value == nullptr ? 0 : std::clamp(*value, -most, most)};
        };
        const Measured measured{number(field::round_trip, far), number(field::utc_ahead, far), number(field::monotonic_ahead, near)};
        const auto [found, first] = clocks.emplace(event.host, measured);
        if (!first && measured.round_trip < found->second.round_trip) found->second = measured;
    }
    if (clocks.empty()) return;
    for (auto& event : events) {
        if (event.process == "wmlab") continue;
        const auto found = clocks.find(event.host);
        if (found == clocks.end()) continue;
        event.utc -= found->second.utc_ahead;
        event.monotonic -= found->second.monotonic_ahead;
    }
}

}  // namespace wmlab::evidence
