// What a ruleset makes of a packet, worked out without the kernel's trace: only where every condition on the way is
// known.
#pragma once
#include "lab/rules/match.hpp"
#include "lab/rules/ruleset.hpp"

namespace wmlab::lab {

struct Stopped {
    const rules::Rule* rule = nullptr;     // the rule that stops it, or
    const rules::Chain* policy = nullptr;  // the chain whose policy does
    explicit operator bool() const { return rule != nullptr || policy != nullptr; }
};
// Of a packet that begins a connection and is forwarded. Nothing: it is let through, or something on the way is not
// known (a limit, a set that may have changed, a chain before the forwarding ones).
Stopped stopped_by(const rules::Ruleset& ruleset, const rules::Packet& packet);

}  // namespace wmlab::lab
