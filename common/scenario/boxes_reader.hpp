// Reads the `firewalls` of a scenario file: their places; what is inside each is read as `firewall:` is. Internal to the
// loader.
#pragma once
#include <functional>

#include "common/scenario/flow_reader.hpp"

namespace wmlab::scenario {

// `read_inside`: the keys of `firewall:`, into context.scenario.firewall. Zones and hosts are there.
void read_firewalls(ReadContext& context, const yaml::Node& node, const std::function<void(MapReader&)>& read_inside);

bool is_interface_name(std::string_view text);
inline constexpr std::size_t interface_size_max = 15;

}  // namespace wmlab::scenario
