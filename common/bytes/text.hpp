// Bytes that are text, text as bytes, and words whose letter case does not matter.
#pragma once
#include <algorithm>
#include <string_view>
#include <vector>

#include "common/bytes/reader.hpp"

namespace wmlab::bytes {

inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline std::vector<std::byte> to_bytes(std::string_view text) {
    const auto view = std::as_bytes(std::span{text.data(), text.size()});
    return {view.begin(), view.end()};
}

// Letters of ASCII only, whatever the locale.
inline bool same_word(std::string_view a, std::string_view b) {
    constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace wmlab::bytes
