// Compares a packet with a rule, condition by condition, to find the rule that almost matched. Three-valued: a
// condition this code does not know is `unknown`, and a rule with one is never named.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab::rules {

struct Packet {           // as it reached the chain
    std::string in, out;  // interface names
    scenario::Ipv4 source, destination;
    std::string protocol;  // "tcp", "udp", "icmp", "igmp"
    std::uint16_t source_port = 0, destination_port = 0;
    std::string ct_state;  // "new", "established", "related", "invalid"; empty: not known
    std::uint8_t tcp_flags = 0;

    Packet reversed() const;  // an answer's addresses and interfaces
};

struct Condition {
    enum class Result { yes, no, unknown } result = Result::unknown;
    std::string key;             // "destination port", "input interface", ...
    std::string difference;      // "destination port 5000 is above 4999"; empty unless no
    bool selective = true;       // false: says little about what the rule is for (connection state, a limit)
    unsigned weight = 1;         // 2: the packet differs in the protocol and in the port as well
    std::uint32_t distance = 0;  // of ports, for ranking; 0 elsewhere
    bool by_set = false;         // decided by a named set, whose elements may have changed since
};

struct Comparison {
    std::vector<Condition> conditions;
    bool accepts = false;  // the rule's verdict lets the packet go on or through
    bool drops = false;    // drop or reject
    unsigned count(Condition::Result result) const;
    bool matches() const { return count(Condition::Result::no) == 0 && count(Condition::Result::unknown) == 0; }
};
Comparison compare(const Ruleset& ruleset, const Rule& rule, const Packet& packet);

struct NearMiss {
    const Rule* rule = nullptr;
    std::string differs;  // "destination port 5000 is above 4999"
};
// The accepting rule of the chain (and of chains it jumps to) from which the packet differs in just one condition;
// nothing when there is none or none that is clearly nearest.
std::optional<NearMiss> near_miss(const Ruleset& ruleset, const ChainName& chain, const Packet& packet);

}  // namespace wmlab::lab::rules
