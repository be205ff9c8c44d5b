// The words of `trace` events (docs/journal.md), written and read here alone: what became of a packet that the firewall decided about, and what rules
// wrote into it. A word of another version reads as nothing.
#pragma once
#include <optional>
#include <string_view>

#include "common/evidence/event.hpp"
#include "common/evidence/fields.hpp"

namespace wmlab::evidence {

enum class Fate {
    forwarded,
    dropped,
    unfinished,  // routing, or the firewall itself took it
    unknown,     // it came, and the trace does not tell
};
std::string_view text(Fate fate);
std::optional<Fate> fate_of(const Event& trace);

enum class Rewritten {
    address,
    port,
    ttl,
    header,   // any other field
    payload,  // what is told by an offset alone
};
std::string_view text(Rewritten what);
std::optional<Rewritten> rewritten_by(const Fields& rule);  // an entry of `changes`

}  // namespace wmlab::evidence
