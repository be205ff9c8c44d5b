// The audit's probes: one SYN or one datagram to each port, each with a nonce of its own, sent by a raw socket.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

inline constexpr std::size_t port_count = 65536;  // index 0 is not a port

struct SweepEnd {
    const Namespace* place = nullptr;
    scenario::Ipv4 address;
};

// The nonce of a port: different for each sweep, round and port, so that nothing else can be taken for a probe.
std::uint32_t nonce_of(std::uint32_t seed, std::uint16_t port);

class ProbeSender {
public:
    // SetupFailed. The source port is a random one.
    ProbeSender(const SweepEnd& from, const SweepEnd& to, scenario::Protocol protocol);
    // Sends to all ports; those that could not be sent are put into `unsent`.
    void send(std::uint32_t seed, std::span<const std::uint16_t> ports, std::vector<std::uint16_t>& unsent) const;
    std::uint16_t source_port() const { return source_port_; }

private:
    SweepEnd from_, to_;
    scenario::Protocol protocol_;
    std::uint16_t source_port_;
    Descriptor socket_;
};

}  // namespace wmlab::lab
