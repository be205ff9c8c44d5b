// The firewalls between the zones: one with a side in every zone (`firewall:`), or several on the way (`firewalls:`).
// Which of them packets pass, and what one of them sees.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"

namespace wmlab::scenario {

inline constexpr std::size_t boxes_max = 16;

inline bool several_boxes(const Scenario& scenario) { return !scenario.firewalls.empty(); }
// All of them. Of a scenario with `firewall:` that one, called "firewall".
std::vector<Firewall> boxes(const Scenario& scenario);
bool is_box(const Scenario& scenario, std::string_view name);
const Side* side_of(const Firewall& box, std::string_view zone);  // null: it has none there

// The scenario as one of its firewalls has it: `firewall` is that one, and each zone's `interface` is its own, towards
// that zone. Everything that asks about one firewall is given this.
Scenario as_seen_by(const Scenario& scenario, const Firewall& box);

// The address of the firewall of such a view in this zone; nothing: it has no side there, and the zone is behind another.
std::optional<Ipv4> own_address(const Scenario& view, const Zone& zone);

// The firewall of such a view with nothing else around it: the zones it has a side in, and whoever is behind other firewalls
// (a sample, beyond the subnet) in the one on the way. With one firewall as it is.
Scenario by_itself(const Scenario& view);

struct Hop {
    std::string box, in, out;  // in, out: zones on its sides
    bool operator==(const Hop&) const = default;
};
// The firewalls that packets from one zone to another pass. Empty: none (inside a zone), or there is no way.
// `round`: set where packets go round in a circle; then the hops up to there.
std::vector<Hop> way(const Scenario& scenario, std::string_view from_zone, std::string_view to_zone, bool* round = nullptr);
// Whether they pass `scenario.firewall` (as_seen_by); with one firewall, whether they pass it.
bool passes(const Scenario& scenario, std::string_view from_zone, std::string_view to_zone);
// The next firewall from this one towards a zone that it has no side in; null: there is none.
const Firewall* next_box(const Scenario& scenario, const Firewall& box, std::string_view zone);
// By which zone two firewalls reach each other; null: by none.
const Side* shared_side(const Firewall& box, const Firewall& other);

std::string box_words(const Scenario& scenario, std::string_view box);  // "the firewall"; "firewall edge" of several

}  // namespace wmlab::scenario
