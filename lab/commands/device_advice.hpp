// What a device would have to be told, in its own language, for the flows that its log says it stopped.
#pragma once
#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

// Adds to `suggestions` where `wmlab rules` speaks the device's language, and a note where it does not.
void advise_device(Report& report, const scenario::Scenario& scenario);

}  // namespace wmlab::lab::commands
