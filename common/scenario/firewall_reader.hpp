// Reads what is inside `firewall`, or inside an entry of `firewalls`. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_firewall(ReadContext& context, MapReader& firewall);

}  // namespace wmlab::scenario
