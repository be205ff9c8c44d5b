// The picture of a run for the html report: topology, the ruleset's text, and for each flow the ladder of what crossed.
// Pure: reads the evidence a second time, concludes nothing.
#pragma once
#include <memory>
#include <span>

#include "common/evidence/event.hpp"
#include "lab/verdict/picture.hpp"

namespace wmlab::lab {

std::shared_ptr<Picture> picture_of(const Report& report, const scenario::Scenario& scenario,
                                    std::span<const evidence::Event> events);

// How long each flow took by its own end's journal: FlowResult::seconds.
void time_flows(Report& report, std::span<const evidence::Event> events);

}  // namespace wmlab::lab
