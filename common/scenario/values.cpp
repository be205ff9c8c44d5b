#include "common/scenario/values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace wmlab::scenario {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

// Digits with at most one point between them; at most 12 characters, so that nothing overflows.
std::optional<double> plain_decimal(std::string_view text) {
    if (text.empty() || text.size() > 12 || !is_digit(text.front()) || !is_digit(text.back())) return std::nullopt;
    if (std::ranges::count(text, '.') > 1) return std::nullopt;
    if (!std::ranges::all_of(text, [](char c) { return is_digit(c) || c == '.'; })) return std::nullopt;
    double value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::optional<milliseconds> duration_from(std::string_view text) {
    struct Unit {
        std::string_view name;
        double factor;
    };
    for (const auto& [name, factor] : {Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000}, Unit{"h", 3'600'000}}) {
        if (!text.ends_with(name)) continue;
        const auto number = plain_decimal(text.substr(0, text.size() - name.size()));
        if (!number) continue;
        return milliseconds{std::llround(*number * factor)};
    }
    return std::nullopt;
}

std::optional<unsigned> bitrate_from(std::string_view text) {
    double factor = 1;
    if (text.ends_with('k')) factor = 1'000;
    if (text.ends_with('M')) factor = 1'000'000;
    if (factor > 1) text.remove_suffix(1);
    const auto number = plain_decimal(text);
    if (!number || *number * factor > 4e9) return std::nullopt;
    return static_cast<unsigned>(std::llround(*number * factor));
}

std::optional<unsigned> count_from(std::string_view text) {
    if (text.empty() || text.size() > 9 || !std::ranges::all_of(text, is_digit)) return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    unsigned value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::optional<double> fraction_from(std::string_view text) {
    const bool percent = text.ends_with('%');
    if (percent) text.remove_suffix(1);
    const auto number = plain_decimal(text);
    const auto value = number ? *number / (percent ? 100 : 1) : 2;
    return value <= 1 ? std::optional{value} : std::nullopt;
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 63 && is_lower(text.front()) &&
           std::ranges::all_of(text, [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; });
}

std::string name_like(std::string_view text) {
    std::string name;
    for (char c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        if (static_cast<unsigned char>(c) >= 0x80) return {};
        if (!is_lower(c) && !is_digit(c) && c != '_') c = '-';
        if (name.empty() ? !is_lower(c) : c == '-' && name.back() == '-') continue;
        name += c;
    }
    while (name.ends_with('-')) name.pop_back();
    return is_name(name) ? name : std::string{};
}

std::vector<std::string> words_from(std::string_view text) {
    std::vector<std::string> words;
    bool in_word = false;
    char quote = 0;
    for (const char c : text) {
        if (quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            in_word = false;
            continue;
        }
        if (!in_word) words.emplace_back();
        in_word = true;
        if (c == quote) {
            quote = 0;
        } else if (quote == 0 && (c == '\'' || c == '"')) {
            quote = c;
        } else {
            words.back() += c;
        }
    }
    return words;
}

std::string ticked(std::string_view word) { return '`' + std::string{word} + '`'; }

std::string text(milliseconds duration) {
    const auto count = duration.count();
    if (count > 0 && count % 3'600'000 == 0) return std::to_string(count / 3'600'000) + 'h';
    if (count > 0 && count % 60'000 == 0) return std::to_string(count / 60'000) + 'm';
    return count % 1000 == 0 ? std::to_string(count / 1000) + 's' : std::to_string(count) + "ms";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::optional<std::string> nearest(std::string_view value, const std::vector<std::string_view>& candidates) {
    if (value.empty() || value.size() > 64) return std::nullopt;
    std::optional<std::string> best;
    auto best_distance = std::max<std::size_t>(1, value.size() / 3) + 1;
    for (const auto candidate : candidates) {
        const bool cut_short = value.size() >= 3 && candidate.starts_with(value);
        const auto steps = cut_short ? 1 : edit_distance(value, candidate);
        if (steps >= best_distance || steps >= candidate.size()) continue;
        best_distance = steps;
        best = candidate;
    }
    return best;
}

}  // namespace wmlab::scenario
