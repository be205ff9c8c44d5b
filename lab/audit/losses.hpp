// Packets that a lab loses without any rule having a part in it: full queues of interfaces, a full connection table.
#pragma once
#include <cstdint>
#include <optional>

#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

// What the kernel has counted in this namespace since it began. Nothing: it does not say.
std::optional<std::uint64_t> packets_lost(const Namespace& place);

// Whether the namespace knows the hardware address of this neighbour: before it does, it holds packets back, few of
// them.
bool knows_neighbour(const Namespace& place, const char* address);

}  // namespace wmlab::lab
