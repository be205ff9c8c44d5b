#include "common/wmsp/pragma.hpp"

#include <algorithm>
#include <charconv>

namespace wmlab::wmsp {
namespace {

void add_tokens(Pragmas& pragmas, std::string_view line) {
    while (!line.empty()) {
        bool quoted = false;
        std::size_t end = 0;
        for (; end < line.size() && (quoted || line[end] != ','); ++end)
            if (line[end] == '"') quoted = !quoted;
        const auto token = trimmed(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
        if (token.empty()) continue;
        const auto equals = token.find('=');
        auto value = equals == std::string_view::npos ? std::string_view{} : trimmed(token.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        pragmas.push_back({std::string{trimmed(token.substr(0, equals))}, std::string{value}});
    }
}

std::optional<std::uint16_t> number16(std::string_view text, int base) {
    std::uint16_t value = 0;
    const auto* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || at != end) return std::nullopt;
    return value;
}

std::optional<StreamSwitchEntry> entry_from(std::string_view text) {
    const auto first = text.find(':');
    const auto second = first == std::string_view::npos ? first : text.find(':', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    const auto destination_text = text.substr(first + 1, second - first - 1);
    const auto source = number16(text.substr(0, first), 16);
    const auto destination = number16(destination_text, 16);
    const auto thinning = number16(text.substr(second + 1), 16);
    if (!source || !destination || !thinning) return std::nullopt;
    return StreamSwitchEntry{*source, *destination, *thinning, number16(destination_text, 10)};
}

}  // namespace

Pragmas Pragmas::of(const Fields& fields) {
    Pragmas pragmas;
    for (const auto& field : fields)
        if (same_word(field.name, "Pragma")) add_tokens(pragmas, field.value);
    return pragmas;
}

std::optional<std::string_view> Pragmas::find(std::string_view name) const {
    for (auto token = rbegin(); token != rend(); ++token)
        if (same_word(token->name, name)) return token->value;
    return std::nullopt;
}

std::optional<std::uint32_t> Pragmas::number(std::string_view name) const {
    const auto value = find(name);
    const auto number = value ? decimal(*value, UINT32_MAX) : std::nullopt;
    return number ? std::optional{static_cast<std::uint32_t>(*number)} : std::nullopt;
}

std::vector<StreamSwitchEntry> stream_switch_entries(const Pragmas& pragmas) {
    std::vector<StreamSwitchEntry> entries;
    for (const auto& token : pragmas) {
        if (!same_word(token.name, "stream-switch-entry")) continue;
        std::string_view list = token.value;
        while (!list.empty() && entries.size() < stream_switch_entries_max) {
            const auto blank = list.find(' ');
            if (const auto entry = entry_from(trimmed(list.substr(0, blank)))) entries.push_back(*entry);
            list.remove_prefix(blank == std::string_view::npos ? list.size() : blank + 1);
        }
    }
    return entries;
}

std::vector<StreamChoice> resolve(const std::vector<StreamSwitchEntry>& entries,
                                  const std::vector<std::uint16_t>& streams) {
    constexpr std::uint16_t none = 0xFFFF;
    const auto known = [&](std::uint16_t stream) {
        return stream == none || std::find(streams.begin(), streams.end(), stream) != streams.end();
    };
    const bool all_hexadecimal =
        std::all_of(entries.begin(), entries.end(), [&](const auto& entry) { return known(entry.destination); });
    const bool all_decimal = std::all_of(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.decimal_reading && known(*entry.decimal_reading);
    });
    std::vector<StreamChoice> choices;
    for (const auto& entry : entries) {
        const bool as_decimal = !all_hexadecimal && all_decimal;
        choices.push_back({as_decimal ? *entry.decimal_reading : entry.destination, entry.thinning, entry.source});
    }
    return choices;
}

}  // namespace wmlab::wmsp
