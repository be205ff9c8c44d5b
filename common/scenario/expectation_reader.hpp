// Reads `expect` of a flow. Internal to the loader.
#pragma once
#include "common/scenario/problems.hpp"

namespace wmlab::scenario {

// `map`: the flow's, all of whose other options `flow` has already.
void read_expectation(MapReader& map, Flow& flow);

}  // namespace wmlab::scenario
