// Reads the rules the firewall's kernel holds, joined with the user's file, and loads rules of our own beside them.
#pragma once
#include <filesystem>
#include <string>

#include "lab/namespaces.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab {

// After load_ruleset(): `file` is what was loaded. SetupFailed.
rules::Ruleset read_ruleset(const Namespace& firewall, const std::filesystem::path& file);

// Loads nftables text (the trace table). SetupFailed: the kernel lacks something; the user's rules are untouched.
void load_rules(const Namespace& firewall, const std::string& nft);

}  // namespace wmlab::lab
