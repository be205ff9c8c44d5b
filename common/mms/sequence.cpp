#include "common/mms/sequence.hpp"

namespace wmlab::mms {

bool SequenceTracker::seen(std::uint32_t sequence) const {
    const std::uint32_t back = next_ - sequence;  // 1: the last one
    return back >= 1 && back <= window && seen_[sequence % window];
}

// The number nearest to what is expected whose low byte is AFFlags.
std::uint32_t SequenceTracker::rebuild(std::uint8_t AFFlags, std::optional<std::uint32_t> LocationId) const {
    if (base_ && LocationId) {
        const std::uint32_t from_location = *base_ + *LocationId;
        // Within reason: a hostile LocationId must not make a gap of millions.
        const auto ahead = static_cast<std::int32_t>(from_location - next_);
        constexpr auto reach = static_cast<std::int32_t>(window);
        if ((from_location & 0xFF) == AFFlags && ahead > -reach && ahead < reach) return from_location;
    }
    const auto ahead = static_cast<std::int8_t>(static_cast<std::uint8_t>(AFFlags - (next_ & 0xFF)));
    return next_ + static_cast<std::uint32_t>(static_cast<std::int32_t>(ahead));
}

SequenceTracker::Arrival SequenceTracker::arrived(std::uint8_t AFFlags, std::optional<std::uint32_t> LocationId) {
    Arrival arrival;
    // The counter starts at 0, so the first packet is the number it says (255 lost packets before it look like none).
    const bool first = !started_;
    started_ = true;
    arrival.sequence = first ? AFFlags : rebuild(AFFlags, LocationId);
    const auto ahead = static_cast<std::int32_t>(arrival.sequence - next_);
    if (ahead < 0) {
        arrival.duplicate = seen(arrival.sequence);
        // Older than the window remembers: taken for news would be wrong more often than taken for old.
        if (static_cast<std::uint32_t>(-static_cast<std::int64_t>(ahead)) > window) arrival.duplicate = true;
    } else {
        for (std::uint32_t skipped = next_; skipped != arrival.sequence; ++skipped) {
            seen_[skipped % window] = false;
            if (arrival.missing.size() < window) arrival.missing.push_back(skipped);
            ++arrival.skipped;
        }
        next_ = arrival.sequence + 1;
        if (!base_ && LocationId) base_ = arrival.sequence - *LocationId;
    }
    seen_[arrival.sequence % window] = true;
    return arrival;
}

}  // namespace wmlab::mms
