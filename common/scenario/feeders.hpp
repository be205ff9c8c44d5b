// Which flow plays what another one brings. Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

// Of every content that is none of the scenario's: problems where no flow brings such a stream there, or flows wait for each other.
void check_feeders(ReadContext& context);

}  // namespace wmlab::scenario
