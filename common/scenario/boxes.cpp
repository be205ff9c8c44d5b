#include "common/scenario/boxes.hpp"

#include <algorithm>
#include <map>

namespace wmlab::scenario {
namespace {

const Firewall* box_named(const Scenario& scenario, std::string_view name) {
    const auto found = std::ranges::find(scenario.firewalls, name, &Firewall::name);
    return found == scenario.firewalls.end() ? nullptr : &*found;
}

// Where the hosts of a zone send what is not in it.
const Firewall* gateway_of(const Scenario& scenario, const Zone& zone) {
    const Firewall* any = nullptr;
    for (const auto& box : scenario.firewalls) {
        const auto* const side = side_of(box, zone.name);
        if (side == nullptr) continue;
        if (side->address == zone.gateway) return &box;
        if (any == nullptr) any = &box;
    }
    return any;
}

// How many firewalls are passed from each one until the zone is reached; who cannot reach it is not there.
std::map<std::string, unsigned> distances(const Scenario& scenario, std::string_view zone) {
    std::map<std::string, unsigned> known;
    std::vector<const Firewall*> newest;
    for (const auto& box : scenario.firewalls)
        if (side_of(box, zone) != nullptr && known.emplace(box.name, 0).second) newest.push_back(&box);
    for (unsigned distance = 1; !newest.empty(); ++distance) {
        std::vector<const Firewall*> next;
        for (const auto& box : scenario.firewalls)
            if (!known.contains(box.name) &&
                std::ranges::any_of(newest, [&](const Firewall* near) { return shared_side(box, *near) != nullptr; }))
                next.push_back(&box);
        for (const auto* box : next) known.emplace(box->name, distance);
        newest = std::move(next);
    }
    return known;
}

}  // namespace

std::vector<Firewall> boxes(const Scenario& scenario) {
    if (several_boxes(scenario)) return scenario.firewalls;
    auto one = scenario.firewall;
    one.sides.clear();
    for (const auto& zone : scenario.zones) one.sides.push_back({zone.name, zone.interface, zone.gateway});
    return {std::move(one)};
}

bool is_box(const Scenario& scenario, std::string_view name) {
    return several_boxes(scenario) ? box_named(scenario, name) != nullptr : name == scenario.firewall.name;
}

const Side* side_of(const Firewall& box, std::string_view zone) {
    const auto found = std::ranges::find(box.sides, zone, &Side::zone);
    return found == box.sides.end() ? nullptr : &*found;
}

const Side* shared_side(const Firewall& box, const Firewall& other) {
    for (const auto& side : box.sides)
        if (box.name != other.name && side_of(other, side.zone) != nullptr) return &side;
    return nullptr;
}

const Firewall* next_box(const Scenario& scenario, const Firewall& box, std::string_view zone) {
    for (const auto& [to, next] : box.routes)
        if (to == zone) return box_named(scenario, next);
    const auto known = distances(scenario, zone);
    const auto own = known.find(box.name);
    if (own == known.end() || own->second == 0) return nullptr;
    for (const auto& other : scenario.firewalls)
        if (const auto theirs = known.find(other.name);
            theirs != known.end() && theirs->second + 1 == own->second && shared_side(box, other) != nullptr)
            return &other;
    return nullptr;
}

std::vector<Hop> way(const Scenario& scenario, std::string_view from_zone, std::string_view to_zone, bool* round) {
    const auto *from = scenario.zone(from_zone), *to = scenario.zone(to_zone);
    if (from == nullptr || to == nullptr || from == to) return {};
    if (!several_boxes(scenario)) return {{scenario.firewall.name, from->name, to->name}};
    std::vector<Hop> hops;
    std::string in{from_zone};
    for (const auto* box = gateway_of(scenario, *from); box != nullptr;) {
        if (std::ranges::find(hops, box->name, &Hop::box) != hops.end()) {
            hops.push_back({box->name, in, {}});
            if (round != nullptr) *round = true;
            return hops;
        }
        if (side_of(*box, to_zone) != nullptr) {
            hops.push_back({box->name, in, std::string{to_zone}});
            return hops;
        }
        const auto* const next = next_box(scenario, *box, to_zone);
        const auto* const side = next == nullptr ? nullptr : shared_side(*box, *next);
        if (side == nullptr) return {};
        hops.push_back({box->name, in, side->zone});
        in = side->zone;
        box = next;
    }
    return {};
}

bool passes(const Scenario& scenario, std::string_view from_zone, std::string_view to_zone) {
    const auto hops = way(scenario, from_zone, to_zone);
    return std::ranges::find(hops, scenario.firewall.name, &Hop::box) != hops.end();
}

Scenario as_seen_by(const Scenario& scenario, const Firewall& box) {
    auto view = scenario;
    view.firewall = box;
    for (auto& zone : view.zones) {
        const auto* side = side_of(box, zone.name);
        if (side == nullptr)
            if (const auto* const next = next_box(scenario, box, zone.name)) side = shared_side(box, *next);
        if (side != nullptr) zone.interface = side->interface;
    }
    return view;
}

std::optional<Ipv4> own_address(const Scenario& view, const Zone& zone) {
    if (!several_boxes(view)) return zone.gateway;
    const auto* const side = side_of(view.firewall, zone.name);
    return side == nullptr ? std::nullopt : std::optional{side->address};
}

Scenario by_itself(const Scenario& view) {
    auto alone = view;
    if (!several_boxes(view)) return alone;
    alone.firewalls.clear(), alone.firewall.sides.clear();
    for (auto& host : alone.hosts) {
        const auto* const at = view.zone(host.zone);
        if (at == nullptr || own_address(view, *at)) continue;
        const auto near = std::ranges::find_if(view.zones, [&](const Zone& zone) { return zone.interface == at->interface && own_address(view, zone); });
        if (near != view.zones.end()) host.zone = near->name, host.sample = true;
    }
    for (const auto& zone : view.zones)  // another answers for these
        if (own_address(view, zone) != zone.gateway)
            for (auto& host : alone.hosts) std::erase_if(host.published, [&](const auto& known_as) { return zone.subnet.contains(known_as.second); });
    std::erase_if(alone.zones, [&](const Zone& zone) { return !own_address(view, zone); });
    for (auto& zone : alone.zones) zone.gateway = *own_address(view, zone);
    return alone;
}

std::string box_words(const Scenario& scenario, std::string_view box) {
    return several_boxes(scenario) ? "firewall " + std::string{box} : "the firewall";
}

}  // namespace wmlab::scenario
