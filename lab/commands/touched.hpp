// Which flows an edit touches, told from the coverage of the last run (`wmlab run --watch`). Pure.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

struct Edit {
    std::string file;  // spelled as in the coverage
    std::string before, after;
};

struct Covered {                         // what the last run of a scenario came to
    std::string scenario;                // its file
    std::vector<RuleUse> uses;           // of every rule
    struct Of {
        std::string id;
        unsigned line = 0;               // where the flow begins in the scenario; 0: it comes from elsewhere
        bool as_expected = false;
        bool operator==(const Of&) const = default;
    };
    std::vector<Of> flows;
};

// Lines of the text before, from 1: [first, last) were changed or taken away; first == last: something was put before it.
struct Lines {
    unsigned first = 0, last = 0;
    bool operator==(const Lines&) const = default;
};
Lines changed_lines(const std::string& before, const std::string& after);

// The flows to be run first: those that a changed rule decides, or one behind it in the same chain; those that no rule is
// known for; and whatever was not as expected, which the edit may be there to mend. Nothing: it cannot be told, or it is
// all of them anyhow.
std::optional<std::set<std::string>> touched(const std::vector<Edit>& edits, const Covered& before);

}  // namespace wmlab::lab::commands
