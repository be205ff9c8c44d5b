// The flow catalogue: Microsoft KB189416 as data. The single source for what a flow type needs; expected evidence,
// diagnosis, generated rules and the documentation's table all derive from it.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

enum class Program { none, server_sim, client_sim, encoder_sim };
std::string_view text(Program program);

enum class End { from, to, proxy, group };  // of a flow

struct LegSpec {
    std::string_view name;  // contract: "control", "media", ...
    Protocol protocol;
    End source, destination;
    bool optional = false;  // its block degrades the flow, does not block it
};

struct FlowTypeSpec {
    FlowType type;
    std::string_view name;     // "mms-udp"
    std::string_view summary;  // for tables: "MMS over UDP: ..."
    Program from, to;          // what runs on each host; msbd and http-distribution: `to` depends on `source`
    bool simulated;            // false: `run` refuses the type, `check` and `list` take it
    std::span<const LegSpec> legs;
};

std::span<const FlowTypeSpec> catalogue();
const FlowTypeSpec& spec(FlowType type);
const FlowTypeSpec* spec(std::string_view name);  // null: unknown

// A leg with the addresses and ports of one flow instance.
struct Leg {
    std::string name;
    Protocol protocol = Protocol::tcp;
    bool optional = false;
    std::string source, destination;  // host names; destination is the group's address for multicast
    Ipv4 source_address, destination_address;
    PortList source_ports, destination_ports;  // empty: any (ephemeral)
};
std::vector<Leg> legs(const Scenario& scenario, const FlowInstance& instance);

// The program that speaks for the flow on one of its hosts; none for hosts that only run `run:` programs.
Program program_at(const Flow& flow, End end);

}  // namespace wmlab::scenario
