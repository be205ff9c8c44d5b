// How a sweep knows that its round is over: markers, frames of a protocol of their own, follow the probes through every
// processor's queue on the same wires, to the firewall and from it to the far end. Where they have come, everything
// sent before them has come, or was stopped by the firewall. No ruleset sees them.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "lab/audit/probes.hpp"
#include "lab/audit/witness.hpp"

namespace wmlab::lab {

inline constexpr std::uint16_t marker_protocol = 0x88B5;  // IEEE 802: for local experiments

struct OnTheWay {  // what is between the ends of a sweep
    const Namespace* firewall = nullptr;
    std::string in, out;                     // its interfaces towards the two ends
    std::vector<const Namespace*> switches;  // of the two zones
};

// Waits until all that has been sent up to now from `from` has reached the firewall, and all that left it has been
// read by the witness. False: it cannot be said, a marker did not come in time.
bool all_has_arrived(const SweepEnd& from, const SweepEnd& to, const OnTheWay& between, Witness& witness,
                     std::chrono::milliseconds limit);

}  // namespace wmlab::lab
