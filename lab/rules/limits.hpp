// Limits in rules: rates, and counts of connections. One packet by itself comes through, a crowd does not. Pure.
#pragma once
#include <compare>
#include <vector>

#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

struct Limit {
    enum class Sort { packets, bytes, connections } sort = Sort::packets;
    double amount = 0;  // a second, or connections at a time
    double burst = 0;   // what may come at once beside it
    auto operator<=>(const Limit&) const = default;
};
// Those of nft's `limit` and `ct count`. What iptables' matches ask for is not in nft's listing.
std::vector<Limit> limits_of(const Rule& rule);

}  // namespace wmlab::lab::rules
