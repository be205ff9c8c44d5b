#include "common/evidence/event.hpp"

#include <algorithm>

namespace wmlab::evidence {

std::optional<What> what_from(std::string_view text) {
    const auto found = std::ranges::find(what_names, text);
    if (found == what_names.end()) return std::nullopt;
    return static_cast<What>(found - what_names.begin());
}

}  // namespace wmlab::evidence
