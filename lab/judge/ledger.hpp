// The account of packets: which left the sender's wire, which of them reached the receiver's, which came changed, which
// never left whom they name. Packets are known by identity, so neighbours, other waves and translation confuse nothing.
// Says what became of the packets, and nothing about what the protocol made of it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lab/judge/leg.hpp"

namespace wmlab::lab {

// One direction of a connection.
struct Lane {
    bool known = false;  // both wires were whole and told of each packet
    std::uint64_t left = 0, arrived = 0, changed = 0;
    std::uint64_t foreign = 0;    // arrived in the sender's name, and never left it
    std::vector<Sighting> lost;   // left and never arrived, in order of time; another copy may have
    struct Passed {
        std::int64_t left = 0, arrived = 0;  // monotonic, ns
        std::uint32_t bytes = 0;
    };
    std::vector<Passed> passed;   // left and arrived, changed or not, in order of having left
    std::uint64_t data_left = 0;  // packets with payload
    std::uint64_t data_lost = 0;
    std::uint64_t repeated = 0;  // TCP: packets with payload that was sent before
    // Of the stream (TCP): bytes that never arrived however often they were sent. Before either end closed.
    std::uint64_t bytes_missing = 0;
    std::int64_t missing_since = 0;  // monotonic, ns: when the first of them was first sent
    std::uint64_t opening_lost = 0;  // TCP: SYNs, or answers to them; a copy that came after the patience of the opener is too late
    std::uint64_t acks_lost = 0;     // TCP without payload, before either end closed
    bool none_arrived() const { return known && left > 0 && arrived + changed == 0; }
};

struct ConnectionLedger {
    std::string protocol;
    Between near, far;      // the addresses on the source's wire and on the wire where its packets came to
    std::string host;       // whose wire that is; empty: none saw them
    bool elsewhere = false; // it is not the leg's destination
    Lane there, back;
    bool header_rewritten_there = false, header_rewritten_back = false;  // the kernel's trace says so: identities do not tell
    std::int64_t ended = 0;  // monotonic, ns: when the first end closed or reset it (TCP), as any wire shows
    bool known() const { return there.known && back.known; }
};

// Where packets with these addresses on the source's wire came to, by their identity; nothing: nowhere, or no wire tells.
struct CameTo {
    std::string host;
    Between between;
};
std::optional<CameTo> came_to(const LegContext& context, std::string_view protocol, const Between& near);

// `near`: as the leg's source sees it, both ports known.
ConnectionLedger account(const LegContext& context, std::string_view protocol, const Between& near);

// All connections of a leg, or what stands for them where there are none (UDP), that the journals know of.
std::vector<ConnectionLedger> account_leg(const LegContext& context);

// The sum, for the report: by direction as the leg names it.
std::optional<Ledger> ledger_of(const LegContext& context, const std::vector<ConnectionLedger>& connections);

}  // namespace wmlab::lab
