// Standard input in scenario mode: the scenario up to the line `...`, then one command a line.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/net/address.hpp"
#include "common/net/hopeless.hpp"

namespace wmlab::process {

struct Start {};
struct Stop {};
struct Endpoint {
    std::string flow;
    net::HostPort at;
};
struct Ping {  // answered at once by a `pong` event: so the runner learns how this machine's clock differs
    std::string token;
};
struct LostPackets {  // what this host sends with these addresses is dropped on the way, whatever is tried again
    net::Lost what;
};
struct Hasten {  // pauses, and the protocols' own keep-alives, take the so-manieth part: the firewall's time-outs do too
    double by = 1;
};
struct Unknown {
    std::string line;
};
using Command = std::variant<Start, Stop, Endpoint, Ping, LostPackets, Hasten, Unknown>;

Command command_from(std::string_view line);
// "FLOW=HOST:PORT"
std::optional<Endpoint> endpoint_option(std::string_view text);

// Reads the descriptor, waiting, up to and including the line `...` or the end of input.
struct ScenarioInput {
    std::string yaml;
    std::string rest;    // read already, belongs to the commands
    bool ended = false;  // no line `...`: there is no control channel
};
ScenarioInput read_scenario(int descriptor);

}  // namespace wmlab::process
