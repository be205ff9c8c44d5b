// nftables sends a ruleset as one batch of netlink messages, which must fit into the socket's buffer. Cuts a batch that
// does not into several that do, where the kernel does not need the messages together. Pure.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace wmlab::lab {

// Each of `size_max` bytes or less. Empty: `batch` is none, or cannot be cut so small.
std::vector<std::vector<std::byte>> cut_batch(std::span<const std::byte> batch, std::size_t size_max);

}  // namespace wmlab::lab
