// Reads what `firewall:` says of the gateway besides its rules: settings of its kernel, routes, interfaces, names.
// Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_surroundings(ReadContext& context, MapReader& firewall);

}  // namespace wmlab::scenario
