// Compares a packet with a rule, condition by condition. Three-valued: a condition this code does not know is
// `unknown`.
#pragma once
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
    std::int64_t wave = 0;  // of flows that ran together; 0: not known

    Packet reversed() const;  // an answer's addresses and interfaces
};

constexpr std::uint32_t near_ports = 16;  // a port not further off is a likely slip

// What a condition looks at.
enum class Subject {
    unknown,
    source_address,
    destination_address,
    source_port,
    destination_port,
    input_interface,
    output_interface,
    protocol,
    family,
    connection_state,
    concatenation,
    limit,
};
std::string_view text(Subject subject);  // "destination port"
constexpr bool is_port(Subject subject) { return subject == Subject::source_port || subject == Subject::destination_port; }
constexpr bool is_interface(Subject subject) { return subject == Subject::input_interface || subject == Subject::output_interface; }

// How a packet differs from what a rule asks for. Whatever decides looks at these parts, never at `words`.
struct Difference {
    enum class Kind {
        none,
        above,           // `other`: the bound
        below,           // `other`: the bound
        wanted,          // `other`: all that the rule takes
        not_among,       // the rule names several
        not_in_set,      // `other`: the set
        left_out,        // the rule takes all but this one
        not_within,      // `other`: "< 1024"
        other_protocol,  // `other`: the rule's
        unmet,           // of a condition that nothing more is known of; `other`: how the rule writes it
        used_up,         // a limit
        other_way,       // `value` and `other`: the interfaces
        behind,          // the rule stands behind the one that stopped the packet
    } kind = Kind::none;
    Subject subject = Subject::unknown;
    std::string value = {}, other = {};
    bool of_several = false;  // of `above` and `below`: the end of the nearest of several ranges
    bool operator==(const Difference&) const = default;
};
std::string words(const Difference& difference);  // "destination port 5000 is above 4999"

struct Condition {
    enum class Result { yes, no, unknown } result = Result::unknown;
    Subject subject = Subject::unknown;
    Difference difference = {};  // of an unknown one and of a limit: what it means if it did not hold; else none
    bool selective = true;       // false: says little about what the rule is for (connection state, a limit)
    unsigned weight = 1;         // 2: the packet differs in the protocol and in the port as well
    std::uint32_t distance = 0;  // of ports, for ranking; 0 elsewhere
    bool by_set = false;         // decided by a named set, whose elements may have changed since
    bool far = false;            // the port is far from a short range: that of another service
    unsigned others = 0;         // parts of a concatenation that hold besides the one that differs
};

struct Comparison {
    std::vector<Condition> conditions;
    bool accepts = false;  // the rule's verdict lets the packet go on or through
    bool drops = false;    // drop or reject
    unsigned count(Condition::Result result) const;
    bool limited() const;  // it depends on a limit as well, which may have been used up
    bool matches() const { return count(Condition::Result::no) == 0 && count(Condition::Result::unknown) == 0; }
};
// The one condition `left operation right`, as libnftables-json(5) writes its sides.
Condition compare_value(const Ruleset& ruleset, const Rule& rule, const boost::json::value& left,
                        std::string_view operation, const boost::json::value& right, const Packet& packet);
Comparison compare(const Ruleset& ruleset, const Rule& rule, const Packet& packet);

}  // namespace wmlab::lab::rules
