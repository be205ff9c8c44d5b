// The one way in for a user's ruleset: every command has its file examined here before anything reads it, so that what
// cannot be a ruleset is refused by all of them in the same words.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab {

inline constexpr std::size_t ruleset_size_max = rules::text_size_max;

// The file as it is to be named in reports. A ruleset is read more than once (by nft, for its lines, for a scratch
// copy), and a second reader of a pipe gets nothing, which would be a firewall that is open. A pipe that the shell
// handed over,
// `<(...)` or /dev/stdin, is therefore read whole, and its descriptor then leads to the copy in memory.
// RulesetRefused with one sentence for each kind: missing, unreadable, a directory, a named pipe or another device,
// empty, larger than `ruleset_size_max`.
std::filesystem::path examine_ruleset(const std::filesystem::path& file);

// examine_ruleset(), and the name as seen from the working directory where it is below it.
std::filesystem::path named_ruleset(const std::filesystem::path& file);

struct BoxRules {
    scenario::Scenario view;        // of the one firewall: scenario::as_seen_by()
    std::filesystem::path ruleset;  // empty: it forwards everything
    const std::string& name() const { return view.firewall.name; }
};
// Of each firewall of the scenario. `ruleset`: of a single one, named already; several have theirs in the scenario.
// `open`: none is loaded. RulesetRefused.
std::vector<BoxRules> rules_of_boxes(const scenario::Scenario& scenario, const std::filesystem::path& ruleset, bool open = false);
bool all_open(const std::vector<BoxRules>& boxes);
std::vector<std::filesystem::path> files_of(const std::vector<BoxRules>& boxes);  // each once
// "edge: edge.nft; core: core.nft"; of a single firewall the file.
std::string rulesets_text(const std::vector<BoxRules>& boxes);

}  // namespace wmlab::lab
