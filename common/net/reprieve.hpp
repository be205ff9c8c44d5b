// Whether a deadline that has come counts, on a machine that is loaded or stood still: what has arrived is read first,
// and while this process had no processor its peer may have had none.
#pragma once
#include <algorithm>
#include <chrono>
#include <optional>

namespace wmlab::net {

class Reprieve {
public:
    using Time = std::chrono::steady_clock::time_point;

    // When to look again; nothing: it counts. `unread`: something has arrived that was not read yet.
    std::optional<Time> until(Time due, Time now, bool unread) {
        if (due_ != due) due_ = expected_ = due, times_ = 0;
        if (now < expected_) return expected_;
        const bool stood_still = now - expected_ > late;
        if ((!stood_still && !unread) || times_ == times_max) return std::nullopt;
        // Not for ever: a peer that never stops sending would keep us busy, and so late, as long as it likes.
        if (times_ == 0) end_ = now + std::max<Time::duration>(2 * (now - due), longest);
        if (now >= end_) return std::nullopt;
        ++times_;
        expected_ = std::min(end_, now + (stood_still ? now - expected_ : Time::duration{postponement}));
        return expected_;
    }

private:
    static constexpr std::chrono::milliseconds postponement{20}, late{200}, longest{5000};
    static constexpr unsigned times_max = 50;

    std::optional<Time> due_;
    Time expected_{}, end_{};
    unsigned times_ = 0;
};

}  // namespace wmlab::net
