// What a ruleset names and the lab's firewall has not: interfaces, accounts, host names, files to include.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"
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

// load_ruleset() for a scenario. Interfaces that rules ask for by number, and that neither a zone nor `interfaces:`
// has, are made by `add`; that is said in `notes`, as is what includes brought. RulesetRefused, SetupFailed.
rules::Dialect load_for(const scenario::Scenario& scenario, const Namespace& firewall,
                        const std::filesystem::path& ruleset, const std::function<void(const std::string&)>& add,
                        std::vector<std::string>& notes);

}  // namespace wmlab::lab
