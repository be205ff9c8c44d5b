// Rules put into the text of a user's file, and the difference as patch(1) takes it. Pure.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wmlab::lab::rules {

struct Put {
    unsigned line = 0;  // of the text, before which the rule goes; one more than it has: at the end
    std::string rule;   // may be several lines
};
struct Patched {
    std::string text;
    std::vector<unsigned> original;  // by line of `text`, from 1 at index 0: the line of the original it stands at
};
// Of several at one line the first comes first. Indented as what is around, with the file's own ends of lines.
Patched with_rules(const std::string& text, const std::vector<Put>& rules);

// What turns `before` into `after`, as unified diff with `name` for both; empty: nothing.
std::string unified_diff(const std::string& name, std::string_view before, std::string_view after);

}  // namespace wmlab::lab::rules
