// What may be said of a flow, as data: the loader, the JSON Schema's test and the reference's table hold on to it.
#pragma once
#include <span>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

struct OptionSpec {
    std::string_view name;
    std::vector<FlowType> types;  // that take it; empty: every type
    bool taken_by(FlowType type) const;
};
std::span<const OptionSpec> flow_options();
const OptionSpec* flow_option(std::string_view name);          // null: no type takes it
std::vector<std::string_view> flow_options_of(FlowType type);  // names, in the table's order
std::string types_text(const OptionSpec& option);              // "`mms-udp` and `mms-auto`"

// Ranges; KB189416's where it gives one.
inline constexpr std::uint16_t configured_port_max = 65000;  // msbd, multicast
inline constexpr unsigned count_max = 10'000, processes_max = 1'000, instances_max = 20'000, zones_max = 32, samples_max = 64;
inline constexpr milliseconds deadline_min{50}, deadline_max{600'000}, play_min{10}, play_max{86'400'000}, idle_min{1000};
inline constexpr unsigned bitrate_min = 8'000, bitrate_max = 20'000'000;

}  // namespace wmlab::scenario
