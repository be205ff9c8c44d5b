// What an IGMP message says about membership (RFC 2236, RFC 3376), as far as a router and the evidence need it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wmlab::lab {

struct IgmpSeen {
    std::vector<std::uint32_t> joined, left;  // groups, host byte order, sorted; both empty: a query, or unreadable
    auto operator<=>(const IgmpSeen&) const = default;
};

// `message` begins behind the IP header and may be cut short: then the groups that are there.
IgmpSeen read_igmp(std::span<const std::byte> message);

}  // namespace wmlab::lab
