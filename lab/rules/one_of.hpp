#pragma once
#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace wmlab::lab::rules {

inline bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

}  // namespace wmlab::lab::rules
