// A rule of the user's that becomes right by one more value in one of its lists, so that no rule of its own has to be written. Pure.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::rules {

struct TextEdit {  // within a line of a text: no line more, none less
    std::size_t offset = 0, length = 0;
    std::string text;  // in place of what is there
};
// The change of `text` after which the rule that stands on this line also accepts what `more` does, and nothing else: a port or an
// address more in its list, or in the set or define that it alone uses (`all`: every text of the ruleset). Nothing: there is no such
// change, or the rule asks for what an AcceptRule does not. `same_ways`: the packets come and go by the rule's interfaces, whether `more`
// says so or not.
std::optional<TextEdit> widened(const std::string& text, unsigned line, const AcceptRule& more, Dialect dialect, const std::vector<std::string_view>& all,
                                bool same_ways = false);
std::string with_edit(std::string text, const TextEdit& edit);

}  // namespace wmlab::lab::rules
