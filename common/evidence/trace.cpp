#include "common/evidence/trace.hpp"

#include <algorithm>
#include <array>

namespace wmlab::evidence {
namespace {

constexpr std::array<std::string_view, 4> fates{"forwarded", "dropped", "unfinished", "unknown"};
constexpr std::array<std::string_view, 5> rewritings{"address", "port", "ttl", "header", "payload"};

template <class Word, std::size_t size>
std::optional<Word> word_in(const std::array<std::string_view, size>& words, std::string_view text) {
    const auto found = std::ranges::find(words, text);
    return found == words.end() ? std::nullopt : std::optional{static_cast<Word>(found - words.begin())};
}

}  // namespace

std::string_view text(Fate fate) { return fates[static_cast<std::size_t>(fate)]; }
std::optional<Fate> fate_of(const Event& trace) { return word_in<Fate>(fates, text_field(trace, field::fate)); }

std::string_view text(Rewritten what) { return rewritings[static_cast<std::size_t>(what)]; }
std::optional<Rewritten> rewritten_by(const Fields& rule) { return word_in<Rewritten>(rewritings, text_field(rule, field::what)); }

}  // namespace wmlab::evidence
