// Journals of several machines have the times of several clocks. The runner measures how far each is ahead of its own
// (`clock` events, docs/journal.md); here the difference is taken out.
#pragma once
#include <vector>

#include "common/evidence/event.hpp"

namespace wmlab::evidence {

// Puts every host's events on the runner's clock, by the measurement of that host with the shortest round trip. Hosts
// without one, and the runner itself, keep their times.
void align_clocks(std::vector<Event>& events);

}  // namespace wmlab::evidence
