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

// One way a flow may get its media through. Every type but mms-auto has exactly one; mms-auto tries them in order.
struct TransportSpec {
    std::string_view
        name;  // "udp", "tcp", "http", "http-proxy"; empty where the word means nothing (probe, command ...)
    std::vector<std::string_view> legs;  // in order
};

struct FlowTypeSpec {
    FlowType type;
    std::string_view name;          // "mms-udp"
    std::string_view summary;       // for tables: "MMS over UDP: ..."
    Program from, to;               // what runs on each host; msbd and http-distribution: `to` depends on `source`
    std::span<const LegSpec> legs;  // without `proxy:` and with `transport: tcp`; leg_specs(flow) knows better
};

std::span<const FlowTypeSpec> catalogue();
const FlowTypeSpec& spec(FlowType type);
const FlowTypeSpec* spec(std::string_view name);  // null: unknown

// The legs of one flow as its options (proxy, transport, protocol) make them. mms-auto: those of all its transports.
std::vector<LegSpec> leg_specs(const Flow& flow);
std::vector<TransportSpec> transports(const Flow& flow);  // in the order in which they are tried

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

// The program that speaks for the flow on one of its hosts; none for proxy and group, for `command`'s from (the
// command itself is the program) and for hosts that run a program of their own (`run:`).
Program program_at(const Flow& flow, End end);
Program program_at(const Scenario& scenario, const FlowInstance& instance, End end);
// The end whose journal tells when the flow is over. Of a multicast it is the player; its sender serves others too.
End telling_end(const Flow& flow);

inline constexpr std::uint16_t mms_port = 1755, http_port = 80, mapper_port = 135, msbd_port = 7007;
inline constexpr PortRange player_ports{1024, 5000};         // a player's UDP port, and the fallback of MSBD
inline constexpr PortRange server_media_ports{1024, 65535};  // where a server sends media over UDP from

}  // namespace wmlab::scenario
