// Sends one probe to each of 65,535 ports from one namespace and sees in another which arrived. Exact: every probe
// carries a nonce, the far end reads them from its wire, and what the witness may have missed is `not_tested`, never
// closed.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/namespaces.hpp"

namespace wmlab::lab {

enum class PortState : std::uint8_t { closed, open, not_tested };
inline constexpr std::size_t port_count = 65536;  // index 0 is not a port: not_tested

struct SweepEnd {
    const Namespace* place = nullptr;
    scenario::Ipv4 address;
};

struct Sweep {
    std::vector<PortState> ports;  // port_count of them
    unsigned rounds = 0;           // how often unproven ports were tried
    double seconds = 0;
};

// Open: the probe (a SYN, a datagram) arrived at the far end. Unproven ports are tried up to `tries` times.
// SetupFailed.
Sweep sweep(const SweepEnd& from, const SweepEnd& to, scenario::Protocol protocol, unsigned tries = 3);

// Sends one probe to each of the ports, slowly enough for the firewall's trace to follow. The source port it used.
std::uint16_t probe_once(const SweepEnd& from, const SweepEnd& to, scenario::Protocol protocol,
                         std::span<const std::uint16_t> ports);

}  // namespace wmlab::lab
