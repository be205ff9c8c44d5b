// The pre-change gate: two reports of the same scenario, before and after a change of the rules. Pure.
#pragma once
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// Flows in the order of `after`. A flow that worked and no longer does is broken, also where it now only degrades; one
// that did not work and now does is repaired, or newly open where the scenario wants it shut. Without a verdict on both
// sides nothing is said about the change.
Comparison compare(const Report& before, const Report& after);

// Something that worked is broken, and the scenario does not expect it: the change must not go live.
bool stops(const Comparison& comparison);

}  // namespace wmlab::lab
