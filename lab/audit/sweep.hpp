// Sends one probe to each of 65,535 ports from one namespace and sees in another which arrived. Exact: every probe
// carries a nonce, the far end reads them from its wire, markers tell when all have come, and the kernel's counters
// whether the lab itself lost any. What may have been lost is tried again, and is `not_tested` in the end, never
// closed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/markers.hpp"
#include "lab/audit/probes.hpp"

namespace wmlab::lab {

enum class PortState : std::uint8_t { closed, open, not_tested };

struct Sweep {
    std::vector<PortState> ports;  // port_count of them; index 0 is not a port: not_tested
    unsigned rounds = 0;           // one, where nothing was lost
    std::uint16_t source_port = 0;
    double seconds = 0;
    std::string lost;  // why ports are not tested: "the lab lost packets"; empty: none are
};

// Open: the probe (a SYN, a datagram) arrived at the far end. Where packets were lost, unproven ports are tried up to
// `tries` times. SetupFailed.
Sweep sweep(const SweepEnd& from, const SweepEnd& to, const OnTheWay& between, scenario::Protocol protocol,
            unsigned tries = 6);

// So that the first probes are not held back for want of a neighbour's hardware address: every host says a word to its
// gateway, and this waits until each knows the other.
struct Neighbour {
    SweepEnd host;
    scenario::Ipv4 gateway;
};
void get_acquainted(const std::vector<Neighbour>& hosts, const Namespace& firewall);

}  // namespace wmlab::lab
