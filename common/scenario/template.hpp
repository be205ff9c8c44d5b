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

// The tree as one YAML document, for simulators, which get one text and no other files.
std::string to_yaml(const yaml::Node& root);

// A table with a head line, separated by commas, or by semicolons where the head has no comma.
struct Csv {
    struct Row {
        std::vector<std::string> fields;
        unsigned line = 0;  // of the file, from 1
    };
    std::vector<std::string> head;
    std::vector<Row> rows;
    std::string problem;  // empty: it is one
    unsigned problem_line = 0;
};
Csv read_csv(std::string_view text);

}  // namespace wmlab::scenario
