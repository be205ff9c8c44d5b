// What a player over UDP misses and asks for again (MS-MMSP 2.2.5, RequestPacketListResend): which packets, when, how
// often.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/mms/session.hpp"

namespace wmlab::mms {

class Resends {
public:
    static constexpr std::size_t missing_max = 1024;  // waited for at a time

    struct Timing {
        std::chrono::milliseconds delay;  // a gap may be mere reordering
        std::chrono::milliseconds wait;   // for an answer, before asking again
        unsigned attempts;                // 0: never ask
    };
    explicit Resends(Timing timing) : timing_{timing} {}

    bool miss(std::uint32_t sequence, TimePoint now);       // false: too many are waited for, it is lost
    bool miss_tail(std::uint32_t sequence, TimePoint now);  // likewise, at the end, where nothing is to be waited for
    void ask_on_purpose(std::uint32_t sequence);            // a packet that has come already
    // True: it was asked for.
    bool arrived(std::uint32_t sequence, bool duplicate);

    struct Due {
        std::vector<std::uint32_t> ask, lost;
    };
    Due due(TimePoint now, bool may_ask);

    bool none() const { return missing_.empty(); }
    std::optional<TimePoint> next() const;  // when something is due
    std::optional<TimePoint> last() const;  // when everything is
    void clear() { missing_.clear(); }

private:
    struct Missing {
        TimePoint due;
        unsigned attempts = 0;
    };
    Timing timing_;
    std::map<std::uint32_t, Missing> missing_;  // by the send counter
    std::set<std::uint32_t> on_purpose_;
};

}  // namespace wmlab::mms
