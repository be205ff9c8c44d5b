// Which rule lets an open port through.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "lab/audit/sweep.hpp"
#include "lab/rules/literals.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// One of each stretch of open ports between which no rule can tell; the whole stretch goes with it. Where rules look at ports in a way
// that nobody can divide (masks, hashes), a stretch is what is open in a row.
struct Stretch {
    std::uint16_t first = 0, last = 0;
};
std::vector<Stretch> stretches(const std::vector<PortState>& ports, const rules::Literals& literals);

// Sends a probe to the first port of each stretch under the kernel's trace, as fast as the trace can be read. By port;
// none where the trace does not say, or where there are too many. `opaque`: rules may tell ports of one stretch apart; then its ends are
// asked, and where these differ what is between them. The trace table must be loaded. SetupFailed, Interrupted.
std::vector<std::optional<RuleRef>> openers(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol,
                                            const rules::Ruleset& ruleset, const std::vector<Stretch>& stretches, bool opaque = false);

// Whether a probe to the first port of each closed stretch is stopped, under the kernel's trace as above.
bool stay_closed(const SweepEnd& from, const SweepEnd& to, const Namespace& firewall, scenario::Protocol protocol,
                 const rules::Ruleset& ruleset, const std::vector<PortState>& ports);

}  // namespace wmlab::lab
