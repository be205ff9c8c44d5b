// The logs of the firewalls themselves: which rule each says it was, and what a device would have to be told, in its own
// language, for the flows that its log says it stopped.
#pragma once
#include <chrono>
#include <map>
#include <span>
#include <string>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

struct DeviceLog {
    std::string name, text;  // as reports call it; what it said
};

// `device_logs`: by the firewall's name. Adds to `suggestions` where `wmlab rules` speaks the device's language, and a note
// where it does not.
void attribute_devices(Report& report, const scenario::Scenario& scenario, std::span<const evidence::Event> events,
                       const std::map<std::string, DeviceLog>& device_logs,
                       std::chrono::sys_time<std::chrono::nanoseconds> now);

}  // namespace wmlab::lab::commands
