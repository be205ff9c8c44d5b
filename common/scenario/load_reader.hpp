// Reads the `load` of a flow. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

// `flow` has its type, content and `play`. With a `rate` its content is one made for it.
void read_load(ReadContext& context, MapReader& owner, const yaml::Node& node, Flow& flow);
// When hosts and ports are known: each player over UDP needs a port of its own, and all play at the same time.
void check_load_ports(MapReader& owner, const Flow& flow);

}  // namespace wmlab::scenario
