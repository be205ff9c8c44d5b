// The one way in for a user's ruleset: every command has its file examined here before anything reads it, so that what
// cannot be a ruleset is refused by all of them in the same words.
#pragma once
#include <filesystem>
#include <string>

namespace wmlab::lab {

inline constexpr std::size_t ruleset_size_max = std::size_t{256} << 20;

// The file as it is to be named in reports. A ruleset is read more than once (by nft, for its lines, for a scratch
// copy), and a second reader of a pipe gets nothing, which would be a firewall that is open. A pipe that the shell
// handed over,
// `<(...)` or /dev/stdin, is therefore read whole, and its descriptor then leads to the copy in memory.
// RulesetRefused with one sentence for each kind: missing, unreadable, a directory, a named pipe or another device,
// empty, larger than `ruleset_size_max`.
std::filesystem::path examine_ruleset(const std::filesystem::path& file);

}  // namespace wmlab::lab
