// When, with what and on what a report came to be. Asks the machine; the hashes are of the files as they are now.
#pragma once
#include <filesystem>
#include <optional>
#include <string_view>

#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// `yaml`: the scenario's text as it was read. Rulesets are added by add_ruleset().
Identity identity_of(const scenario::Scenario& scenario, std::string_view yaml, std::string_view lab);
void add_ruleset(Identity& identity, const std::filesystem::path& ruleset);  // and what it includes; empty: nothing

std::string sha256(std::string_view bytes);  // 64 hexadecimal digits
std::optional<std::string> sha256_of(const std::filesystem::path& file);

}  // namespace wmlab::lab
