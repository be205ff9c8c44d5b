// Which flows may run at the same time: what each binds on which host, and groups of flows that do not get in each
// other's way. Each wave starts fresh processes in the same lab.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

// A listener (`needed` is 0: every port of `ports`), or `needed` ports out of the pool `ports`, whichever are free.
// Two bindings of one host and protocol that overlap may only be held together when they have the same owner (they
// share the listener) or when the pool has ports enough for both.
struct Binding {
    std::string host;
    Protocol protocol = Protocol::tcp;
    PortList ports;
    unsigned needed = 0;
    std::string owner;  // "server_sim mms", "probe no-telnet", "rpc 3001-3010", ...
    bool operator==(const Binding&) const = default;
};
std::vector<Binding> bindings(const Scenario& scenario, const FlowInstance& instance);

// The ports on a host that these flows need and have little or no choice about. Who has a wide choice (a player of 1024-5000,
// MSBD's fallback) takes one of the others, so that all of them can run at the same time.
std::set<std::uint16_t> ports_to_spare(const Scenario& scenario, const std::vector<FlowInstance>& flows,
                                       std::string_view host, Protocol protocol);

// Every instance is in exactly one wave; earlier instances come into earlier waves where there is room.
std::vector<std::vector<FlowInstance>> waves(const Scenario& scenario, const std::vector<FlowInstance>& instances);

}  // namespace wmlab::scenario
