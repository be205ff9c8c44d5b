// The small notations of scenario files: durations, bitrates, numbers, port lists, names, command lines.
// Every reader gives nothing where the text is not in its notation; ranges are the caller's business.
#pragma once
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

std::optional<milliseconds> duration_from(std::string_view text);  // "3s", "500ms", "1m", "1.5s"
std::optional<unsigned> bitrate_from(std::string_view text);       // bit/s: "64k", "1.5M", "64000"
std::optional<unsigned> count_from(std::string_view text);         // decimal, no sign, no leading zero
std::optional<double> fraction_from(std::string_view text);        // 0 to 1: "0.05" or "5%"
bool is_name(std::string_view text);                               // [a-z][a-z0-9_-]*, at most 63 characters
std::string name_like(std::string_view text);                      // the nearest name, may be empty
std::vector<std::string> words_from(std::string_view text);        // split at blanks; '...' and "..." keep them
std::string ticked(std::string_view word);                         // `word`, as messages show what a file says
std::string text(milliseconds duration);                           // "3s", "1500ms", "10m"

// In which a swap of two neighbours is one step, as in "mms-upd".
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that `value` is most likely a slip of, if any is near enough.
std::optional<std::string> nearest(std::string_view value, const std::vector<std::string_view>& candidates);

}  // namespace wmlab::scenario
