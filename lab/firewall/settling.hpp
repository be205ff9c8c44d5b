// Rules that ask of the packets before, loaded so that they decide every packet alike (lab/rules/past.hpp).
#pragma once
#include <cstddef>
#include <vector>

#include "lab/host/namespaces.hpp"
#include "lab/rules/past.hpp"

namespace wmlab::lab {

// Those of this firewall as they are loaded now. SetupFailed.
rules::PastRules past_rules(const Namespace& firewall, rules::Dialect dialect);

// Loads them so; `pasts` by rule, Past::nothing where it ends. Those that could not be loaded, which stay as they were. SetupFailed.
std::vector<std::size_t> settle_rules(const Namespace& firewall, rules::Dialect dialect, const rules::PastRules& past, const std::vector<rules::Past>& pasts);

}  // namespace wmlab::lab
