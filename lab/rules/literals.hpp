// The ports and addresses a ruleset names. Between two neighbours of them no rule can tell one port (or address) from
// another: what is true of one is true of all. Pure.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "common/scenario/model.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

struct Literals {
    std::set<std::uint32_t> ports, addresses;  // where something new begins
    bool ports_opaque = false,
         addresses_opaque = false;                    // masks, hashes, raw bytes, hardware addresses: all may differ
    std::set<std::string, std::less<>> dynamic_sets;  // filled by packets, so that what they hold depends on the past
    bool same_address(scenario::Ipv4 a, scenario::Ipv4 b) const;
};
// `text`: nft's listing of the ruleset. Again for the user's own files, where the listing may hide what is in them.
void collect_literals(std::string_view text, Literals& literals);

}  // namespace wmlab::lab::rules
