// The keys of a scenario about a lab that is not this machine: how hosts and firewall are reached, where the firewall's
// log is, and the tags of many sites. Internal to the loader.
#pragma once
#include <span>
#include <string_view>

#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

std::span<const std::string_view> device_log_formats();

// `launch:` of the scenario: for every host without one of its own; {address}, {host} and {zone} stand for the host's.
void read_default_launch(ReadContext& context, MapReader& top, const yaml::Node& node);
// For a host that has no `launch:` itself.
std::vector<std::string> launch_of(const Scenario& scenario, const Host& host);

// `launch` and `log` of `firewall`.
void read_staging(ReadContext& context, MapReader& firewall);

std::vector<std::string> read_tags(MapReader& flow, const yaml::Node& node);

}  // namespace wmlab::scenario
