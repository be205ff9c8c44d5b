// Which rules kept packets of a load, those of players that worked all the same included. Pure.
#pragma once
#include <span>

#include "common/evidence/event.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

// Fills `dropped` of report.loads from `trace` events.
void attribute_loads(Report& report, std::span<const evidence::Event> events);

}  // namespace wmlab::lab::rules
