#include "common/mms/resends.hpp"

#include <algorithm>

namespace wmlab::mms {

constexpr std::size_t on_purpose_max = 256;  // remembered

bool Resends::miss(std::uint32_t sequence, TimePoint now) { return miss_tail(sequence, now + timing_.delay); }

bool Resends::miss_tail(std::uint32_t sequence, TimePoint now) {
    if (missing_.size() >= missing_max) return false;
    missing_[sequence] = {now, 0};
    return true;
}

void Resends::ask_on_purpose(std::uint32_t sequence) {
    if (on_purpose_.size() < on_purpose_max) on_purpose_.insert(sequence);
}

bool Resends::arrived(std::uint32_t sequence, bool duplicate) {
    bool asked = false;
    if (const auto missed = missing_.find(sequence); missed != missing_.end()) {
        asked = missed->second.attempts > 0;
        missing_.erase(missed);
    }
    return (duplicate && on_purpose_.erase(sequence) != 0) || asked;
}

Resends::Due Resends::due(TimePoint now, bool may_ask) {
    Due out;
    for (auto at = missing_.begin(); at != missing_.end();) {
        auto& [sequence, missed] = *at;
        if (missed.due > now) {
            ++at;
        } else if (may_ask && missed.attempts < timing_.attempts) {
            ++missed.attempts;
            missed.due = now + timing_.wait;
            out.ask.push_back(sequence);
            ++at;
        } else {
            out.lost.push_back(sequence);
            at = missing_.erase(at);
        }
    }
    return out;
}

std::optional<TimePoint> Resends::next() const {
    const auto first = std::ranges::min_element(missing_, {}, [](const auto& one) { return one.second.due; });
    return first == missing_.end() ? std::nullopt : std::optional{first->second.due};
}

std::optional<TimePoint> Resends::last() const {
    const auto last = std::ranges::max_element(missing_, {}, [](const auto& one) { return one.second.due; });
    return last == missing_.end() ? std::nullopt : std::optional{last->second.due};
}

}  // namespace wmlab::mms
