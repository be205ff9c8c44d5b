// The player's view of the server's send counter (MS-MMSP 3.1.4.7): rebuilds the 32 bits from the 8 that AFFlags
// carries, notices gaps and duplicates.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace wmlab::mms {

class SequenceTracker {
public:
    static constexpr std::size_t window = 4096;  // how far back duplicates are told from news

    struct Arrival {
        std::uint32_t sequence = 0;
        bool duplicate = false;
        std::vector<std::uint32_t> missing;  // numbers skipped just now, at most `window`
        std::uint64_t skipped = 0;           // how many were skipped in all
    };

    // LocationId helps where more than half a turn of AFFlags was lost: within one play it runs with the counter. None:
    // of an earlier play.
    Arrival arrived(std::uint8_t AFFlags, std::optional<std::uint32_t> LocationId);

    // A new StartPlaying: the counter goes on, the packet numbers need not.
    void restart() { base_.reset(); }

    std::uint32_t next() const { return next_; }  // the lowest number not yet seen or skipped
    bool seen(std::uint32_t sequence) const;

private:
    std::uint32_t rebuild(std::uint8_t AFFlags, std::optional<std::uint32_t> LocationId) const;

    std::uint32_t next_ = 0;
    bool started_ = false;
    std::optional<std::uint32_t> base_;  // sequence - LocationId
    std::vector<bool> seen_ = std::vector<bool>(window);
};

}  // namespace wmlab::mms
