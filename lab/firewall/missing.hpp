// What a ruleset names and the lab's firewall has not: interfaces, accounts, host names, files to include.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "lab/rules/source.hpp"

namespace wmlab::lab {

// The interfaces that nft's message says do not exist.
std::vector<std::string> lacking_interfaces(std::string_view message);
// The interfaces that chains and flowtables are to be bound to (`device`, `devices`), as the files have them.
std::vector<std::string> devices_named(const rules::Source& source);
// Which key of the scenario gives what the message of nft or iptables-restore misses. Empty: none.
std::string key_that_gives(std::string_view message);
// One sentence for each include that brought nothing, or files of this machine.
std::vector<std::string> about_includes(const rules::Source& source);

}  // namespace wmlab::lab
