// The words of a verdict: closed enums, spelled in scenario files and reports exactly as text() gives them.
#pragma once
#include <array>
#include <optional>
#include <string_view>

namespace wmlab::scenario {

enum class Verdict { pass, degraded, blocked, failed, inconclusive };
enum class Cause { dropped, rejected, reset, refused, translated, starved, proxy_denied, modified, exhausted };

inline constexpr std::array<std::string_view, 5> verdict_names = {"pass", "degraded", "blocked", "failed",
                                                                  "inconclusive"};
inline constexpr std::array<std::string_view, 9> cause_names = {
    "dropped", "rejected", "reset", "refused", "translated", "starved", "proxy-denied", "modified", "exhausted"};

constexpr std::string_view text(Verdict verdict) { return verdict_names[static_cast<std::size_t>(verdict)]; }
constexpr std::string_view text(Cause cause) { return cause_names[static_cast<std::size_t>(cause)]; }
std::optional<Verdict> verdict_from(std::string_view text);
std::optional<Cause> cause_from(std::string_view text);

}  // namespace wmlab::scenario
