#include "common/scenario/verdict.hpp"

#include <algorithm>

namespace wmlab::scenario {
namespace {

template <class Word, std::size_t size>
std::optional<Word> word_from(const std::array<std::string_view, size>& names, std::string_view text) {
    const auto found = std::ranges::find(names, text);
    if (found == names.end()) return std::nullopt;
    return static_cast<Word>(found - names.begin());
}

}  // namespace

std::optional<Verdict> verdict_from(std::string_view text) { return word_from<Verdict>(verdict_names, text); }
std::optional<Cause> cause_from(std::string_view text) { return word_from<Cause>(cause_names, text); }

}  // namespace wmlab::scenario
