// Reads `accepted` and `allow_open` of a scenario file: what may be open without a flow that needs it. Internal to the loader.
#pragma once
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "common/scenario/problems.hpp"

namespace wmlab::scenario {

void read_accepted(Problems& problems, const yaml::Node& node, const std::string& key, std::vector<Accepted>& list);

}  // namespace wmlab::scenario
