// Reads `events:` of a scenario file, and how its gateway gets a new ruleset. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_events(ReadContext& context, const yaml::Node& events);
// `apply:` of the firewall or of one event; empty: what is there is no way to load a ruleset.
std::vector<std::string> read_apply(MapReader& map, const yaml::Node& node);

}  // namespace wmlab::scenario
