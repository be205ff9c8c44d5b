// Reads the rules the firewall's kernel holds, joined with the user's file, and loads rules of our own beside them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "lab/host/namespaces.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab {

// After load_ruleset(): `file` is what was loaded. SetupFailed.
rules::Ruleset read_ruleset(const Namespace& firewall, const std::filesystem::path& file);

// nft's listing, without handles, counters and what else changes.
std::string list_rules(const Namespace& firewall);

// What the trace table has counted: packets that came too fast to be traced.
std::uint64_t untraced_packets(const Namespace& firewall);

// Takes rules out, as read_ruleset() has read them. SetupFailed.
void take_out(const Namespace& firewall, std::span<const rules::Rule* const> rules);

// Loads nftables text (the trace table). SetupFailed: the kernel lacks something; the user's rules are untouched.
void load_rules(const Namespace& firewall, const std::string& nft);

}  // namespace wmlab::lab
