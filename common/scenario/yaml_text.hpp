// A tree written as YAML again.
#pragma once
#include <string>

#include "common/scenario/yaml_tree.hpp"

namespace wmlab::scenario {

// The tree as one YAML document, for simulators, which get one text and no other files.
std::string to_yaml(const yaml::Node& root);

}  // namespace wmlab::scenario
