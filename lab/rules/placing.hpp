// Where a rule would have to be written to decide before the one that stopped a packet.
#pragma once
#include <boost/json.hpp>

#include "lab/rules/ruleset.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab::rules {

// `rule`: what stopped the packet; nothing: a policy. The object has `chain`, `file`, `line` and, where the place is
// no line of its own, `command`; empty: there is no such place.
boost::json::object stopping_place(const Ruleset& ruleset, const Decision& decision, const Rule* rule);

// Where a rule that translates destinations would be written, and, where what is forwarded is stopped at the end, one
// that lets it through: `dnat` and `forward`, each as above. Where there is no chain for it `command` is "section".
boost::json::object general_places(const Ruleset& ruleset);

}  // namespace wmlab::lab::rules
