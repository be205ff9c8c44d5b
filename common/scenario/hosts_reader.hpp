// Reads the `hosts` of a scenario file. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_hosts(ReadContext& context, const yaml::Node& node);  // zones are there

}  // namespace wmlab::scenario
