// Who listens on which port of a host: read from the kernel's socket tables of the host's namespace.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "common/scenario/model.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct Listener {
    scenario::Ipv4 address;  // 0.0.0.0: any
    std::uint16_t port = 0;
    std::uint64_t inode = 0;
};
// A TCP listener, or a UDP socket bound to the port. Nothing: there is none.
std::optional<Listener> find_listener(const Namespace& place, scenario::Protocol protocol, std::uint16_t port);

// "tinyproxy (pid 12)"; empty: not among the processes that can be seen.
std::string holder(const Listener& listener);

}  // namespace wmlab::lab
