// What the kernel makes of a ruleset file that is loaded nowhere else: to compare it with rules that run.
#pragma once
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

namespace wmlab::lab {

// `nft --stateless list ruleset` of a namespace of its own, with links of these names, where only the file is loaded;
// in a sandbox where this process may make none. SetupFailed, RulesetRefused. The caller has one thread only.
std::string listing_of_file(const std::filesystem::path& file, const std::set<std::string>& interfaces);

// The interfaces that a listing cannot be loaded without: of `iif`, `oif` and `device`.
std::set<std::string> interfaces_named(std::string_view listing);

}  // namespace wmlab::lab
