// Which line of a device's log is about which leg of which flow, and so which rule of the device's stopped it. Pure. A
// line names a rule and never changes a verdict; where two rules could be meant, none is named.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "common/evidence/event.hpp"
#include "lab/logs/log.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::logs {

// `name`: what the report calls the log. Legs that have a rule already keep it.
void attribute(Report& report, std::span<const evidence::Event> events, const Log& log, std::string_view name);

}  // namespace wmlab::lab::logs
