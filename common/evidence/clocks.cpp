#include "common/evidence/clocks.hpp"

#include <map>

namespace wmlab::evidence {
namespace {

struct Measured {
    std::chrono::nanoseconds round_trip{}, utc_ahead{}, monotonic_ahead{};
};

}  // namespace

void align_clocks(std::vector<Event>& events) {
    std::map<std::string, Measured, std::less<>> clocks;
    for (const auto& event : events) {
        if (event.event != What::clock) continue;
        const auto number = [&](const char* name) {
            const auto* const field = event.fields.if_contains(name);
            const auto* const value = field == nullptr ? nullptr : field->if_int64();
            return std::chrono::nanoseconds{value == nullptr ? 0 : *value};
        };
        const Measured measured{number("round_trip"), number("utc_ahead"), number("monotonic_ahead")};
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
