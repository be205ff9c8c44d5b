// Reads the `content` of a scenario file. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_contents(ReadContext& context, const yaml::Node& node);

}  // namespace wmlab::scenario
