// What wmlab ends with, ranked in one place: of two answers the worse one counts.
#pragma once
#include <algorithm>
#include <array>

namespace wmlab::lab {

namespace ends {
inline constexpr int as_expected = 0;
inline constexpr int not_as_expected = 1;  // also: a report that could not be written
inline constexpr int misused = 2;          // wrong words, a scenario or ruleset that cannot be one
inline constexpr int not_set_up = 3;       // the lab could not be built, or broke
inline constexpr int undecided = 4;        // something is inconclusive, and nothing is worse
inline constexpr int interrupted = 130;
}  // namespace ends

constexpr int worse(int one, int other) {
    constexpr std::array order{ends::as_expected, ends::undecided, ends::not_as_expected, ends::misused, ends::not_set_up, ends::interrupted};
    const auto rank = [&](int code) { return std::find(order.begin(), order.end(), code) - order.begin(); };
    return rank(one) < rank(other) ? other : one;
}

}  // namespace wmlab::lab
