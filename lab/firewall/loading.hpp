// Loads the user's ruleset, unmodified, into the firewall's namespace: the nftables language by libnftables in this
// process, iptables-save files (recognised by content) by iptables-nft-restore.
#pragma once
#include <filesystem>
#include <string>

#include "lab/host/namespaces.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab {

// RulesetRefused with nft's own message; SetupFailed where the system is to blame (no iptables-nft-restore, too large
// for an ordinary user). Relative includes are those of the file's directory.
// `include_path`: rules::read_source().
rules::Dialect load_ruleset(const Namespace& firewall, const std::filesystem::path& file,
                            const rules::IncludePath& include_path = {});

// Text of iptables-save in place of what is loaded. As above.
void restore_iptables(const Namespace& firewall, const std::string& text);

}  // namespace wmlab::lab
