// Reads what `firewall:` says of the gateway besides its rules: settings of its kernel, routes, interfaces, names.
// Internal to the loader.
#pragma once
#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

void read_surroundings(ReadContext& context, MapReader& firewall);
// "net/ipv4/ip_forward" for a key of a map; nothing, and a problem: it names no network setting of the kernel.
std::optional<std::string> sysctl_from(ReadContext& context, const yaml::Node& key);

}  // namespace wmlab::scenario
