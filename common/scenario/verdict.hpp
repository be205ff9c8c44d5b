// The words of a verdict: closed enums, spelled in scenario files and reports exactly as text() gives them.
#pragma once
#include <array>
#include <optional>
#include <string_view>

namespace wmlab::scenario {

// not_tested: what the flow needs was to come by another flow that did not work; counts like inconclusive.
enum class Verdict { pass, degraded, blocked, failed, inconclusive, not_tested };
enum class Cause { dropped, rejected, reset, refused, translated, starved, proxy_denied, modified, exhausted };

inline constexpr std::array<std::string_view, 6> verdict_names = {"pass",   "degraded",     "blocked",
                                                                  "failed", "inconclusive", "not tested"};
inline constexpr std::array<std::string_view, 9> cause_names = {
    "dropped", "rejected", "reset", "refused", "translated", "starved", "proxy-denied", "modified", "exhausted"};

constexpr std::string_view text(Verdict verdict) { return verdict_names[static_cast<std::size_t>(verdict)]; }
constexpr std::string_view text(Cause cause) { return cause_names[static_cast<std::size_t>(cause)]; }
constexpr bool says_nothing(Verdict verdict) {  // about the firewall
    return verdict == Verdict::inconclusive || verdict == Verdict::not_tested;
}
std::optional<Verdict> verdict_from(std::string_view text);
std::optional<Cause> cause_from(std::string_view text);

}  // namespace wmlab::scenario
