// Scenario files that are made of others and of tables: `variables`, `include`, `for_each`, `hosts_from`. Works on the
// tree of the file, before anything in it is understood; every node keeps the file, line and row it came from. Internal
// to the loader.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "common/scenario/problems.hpp"
#include "common/scenario/yaml_tree.hpp"

namespace wmlab::scenario {

inline constexpr std::size_t rows_max = 10'000, includes_max = 64;

// Replaces those keys of `root` by what they stand for; true where there were any. What is wrong becomes a problem.
// `files` gets every file that it looked for, also in vain.
bool expand(yaml::Node& root, const std::filesystem::path& directory, Problems& problems,
            std::vector<std::filesystem::path>* files = nullptr);

}  // namespace wmlab::scenario
