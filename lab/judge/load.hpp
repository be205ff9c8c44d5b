// What the players of a load came to together, and whether firewall or machine was the limit. Pure.
#pragma once
#include <span>

#include "lab/judge/evidence.hpp"

namespace wmlab::lab {

// Fills report.loads from the players that have been judged, where all of a load are there. A player that fell short for want of machine becomes
// inconclusive (overloaded): it says nothing of the firewall.
void judge_loads(const scenario::Scenario& scenario, const Evidence& evidence, std::span<const Event> events, Report& report);

}  // namespace wmlab::lab
