// The files that a scenario consists of, for whoever waits for them to change.
#pragma once
#include <filesystem>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

// The scenario's own file and what it includes: other scenarios, tables, inventories; also those that are missing.
// Of a file that cannot be read: itself.
std::vector<std::filesystem::path> files_read_for(const std::filesystem::path& file);

// The rulesets that a scenario names - its firewall's, those of its `events:` - and the registries of its flows.
std::vector<std::filesystem::path> rulesets_of(const Scenario& scenario);
std::vector<std::filesystem::path> registries_of(const Scenario& scenario);

}  // namespace wmlab::scenario
