// The pre-change gate: two reports of the same scenario, before and after a change of the rules. Pure.
#pragma once
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// Flows in the order of `after`. All that a flow came to is compared: the verdict, the transport of a rollover, the
// ports of a probe one by one, where and how it was stopped, loss, the time until it played. A flow that worked and no
// longer does is broken; what works but less well is worse; one that did not work and now does is repaired, or newly
// open where the scenario wants it shut. Without a verdict on both sides nothing is said about the change.
Comparison compare(const Report& before, const Report& after);

// The flows whose change may be chance: no rule need have changed for it (loss, time), so that they are run again.
std::vector<std::string> by_chance(const Comparison& comparison);
// After both were run again: a change that did not come again is no change, and is told as chance.
void confirm(Comparison& comparison, const Comparison& again);

// The change must not go live: something that worked is broken or worse, and the scenario does not expect it, or
// something opens that no flow needs and nobody accepts, or a stream that the new rules allow dies of the change itself.
bool stops(const Comparison& comparison);
// Nothing like that is known, but something that the change lets through could not be tried.
bool doubts(const Comparison& comparison);
int exit_code(const Comparison& comparison);

}  // namespace wmlab::lab
