#include "common/scenario/boxes_reader.hpp"

#include <algorithm>

#include "common/scenario/boxes.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::string_view box_like = "like - { name: edge, zones: [outside, between], ruleset: edge.nft }";

template <class Things>
std::vector<std::string_view> all_names(const Things& things) {
    std::vector<std::string_view> names;
    for (const auto& thing : things) names.push_back(thing.name);
    return names;
}

class BoxesReader {
public:
    explicit BoxesReader(ReadContext& context) : context_{context}, scenario_{context.scenario}, problems_{context.problems} {}

    void read(const Node& node, const std::function<void(MapReader&)>& read_inside) {
        if (!node.is(Node::Kind::sequence) || node.items.empty()) {
            problems_.add(node.at, node.text, node.is(Node::Kind::sequence) ? "`firewalls` is an empty list" : "`firewalls` is not a list:",
                          std::string{box_like} + "; or a single `firewall:`");
            return;
        }
        for (const auto& item : node.items) {
            if (scenario_.firewalls.size() == boxes_max) {
                problems_.add(item.at, {}, "more than " + std::to_string(boxes_max) + " firewalls");
                break;
            }
            read_box(item, read_inside);
        }
        scenario_.firewall = {};
        give_addresses();
        check_gateways(node);
        read_routes();
        if (good_) check_ways(node);
    }

private:
    struct Given {  // where the file says it
        const Node* box = nullptr;
        const Node *routes = nullptr, *default_route = nullptr;
        std::vector<const Node*> sides{};
        std::vector<bool> addressed{};
    };

    void bad(const Node& node, std::string what, std::string suggestion = {}) {
        problems_.add(node, std::move(what), std::move(suggestion));
        good_ = false;
    }

    void read_box(const Node& item, const std::function<void(MapReader&)>& read_inside) {
        MapReader map{item, "an entry of `firewalls`", problems_, std::string{box_like}};
        if (!item.is(Node::Kind::map)) {
            good_ = false;
            return;
        }
        scenario_.firewall = {};
        auto& box = scenario_.firewall;
        box.name.clear();
        Given given;
        given.box = &item;
        if (const auto* node = map.require("name")) {
            if (const auto text = map.text(*node, "name")) {
                box.name = *text;
                check_name(*node, *text);
            }
        }
        good_ = good_ && !box.name.empty();
        if (const auto* node = map.require("zones")) read_sides(map, *node, given);
        given.routes = map.find("routes");
        read_inside(map);
        given.default_route = map.find("default_route");
        if (!box.default_route.zone.empty() && side_of(box, box.default_route.zone) == nullptr && scenario_.zone(box.default_route.zone) != nullptr)
            if (const auto* node = given.default_route)
                bad(*node, "the default route of " + ticked(box.name) + " leads into a zone that it has no side in:",
                    "one of its own zones, or a router's address there");
        map.finish();
        given_.push_back(std::move(given));
        scenario_.firewalls.push_back(std::move(box));
    }

    void check_name(const Node& node, const std::string& name) {
        const auto like = name_like(name);
        if (!is_name(name))
            bad(node, "not a firewall name:", like.empty() ? "names match [a-z][a-z0-9_-]*" : "like " + ticked(like));
        else if (name == "localhost")
            bad(node, "a firewall cannot be called", "the name has a meaning of its own");
        else if (std::ranges::find(scenario_.firewalls, name, &Firewall::name) != scenario_.firewalls.end())
            bad(node, "two firewalls are called", "each is told by its name");
        else if (scenario_.host(name) != nullptr)
            bad(node, "a host is called like this firewall:", "each is told by its name");
    }

    // [inside, between], or { inside: eth0, between: { interface: eth1, address: 10.99.0.2 } }
    void read_sides(MapReader& map, const Node& node, Given& given) {
        if (node.is(Node::Kind::map)) {
            for (const auto& [key, value] : node.entries) read_side(map, key, &value, given);
        } else if (node.is(Node::Kind::sequence)) {
            for (const auto& item : node.items)
                if (const auto text = map.text(item, "zones")) read_side(map, item, nullptr, given);
        } else {
            bad(node, "`zones` of a firewall is not a list or a map:", "like [inside, between] or { inside: eth0, between: eth1 }");
            return;
        }
        if (std::max(node.entries.size(), node.items.size()) < 2)
            problems_.add(node.at, {}, "a firewall with less than two zones", "a firewall is between two zones or more"), good_ = false;
    }

    void read_side(MapReader& map, const Node& key, const Node* value, Given& given) {
        auto& box = scenario_.firewall;
        const auto* const zone = scenario_.zone(key.text);
        if (zone == nullptr) {
            if (!scenario_.zones.empty()) bad(key, "unknown zone", problems_.did_you_mean(key.text, all_names(scenario_.zones)));
            good_ = false;
            return;
        }
        if (side_of(box, key.text) != nullptr) {
            bad(key, "a zone twice in `zones` of one firewall:");
            return;
        }
        Side side{zone->name, zone->interface, {}};
        const Node* interface_at = &key;
        bool addressed = false;
        if (value != nullptr && value->is(Node::Kind::map)) {
            MapReader own{*value, "zone " + ticked(zone->name) + " of a firewall", problems_, "like { interface: eth0, address: 10.99.0.2 }"};
            if (const auto* node = own.find("interface"))
                if (const auto text = own.text(*node, "interface")) side.interface = *text, interface_at = node;
            if (const auto* node = own.find("address"))
                if (const auto text = own.text(*node, "address")) addressed = read_address(*node, *text, *zone, side);
            own.finish();
        } else if (value != nullptr && !value->is(Node::Kind::null)) {
            if (const auto text = map.text(*value, key.text)) side.interface = *text, interface_at = value;
        }
        if (side.interface.size() > interface_size_max)
            bad(*interface_at, "interface name longer than 15 characters:", "Linux takes no more");
        else if (!is_interface_name(side.interface))
            bad(*interface_at, "not an interface name:");
        if (const auto other = std::ranges::find(box.sides, side.interface, &Side::interface); other != box.sides.end())
            bad(*interface_at, "interface name used twice in one firewall:", "also that in zone " + ticked(other->zone));
        box.sides.push_back(std::move(side));
        given.sides.push_back(addressed ? interface_at : &key);
        given.addressed.push_back(addressed);
    }

    bool read_address(const Node& node, const std::string& text, const Zone& zone, Side& side) {
        const auto address = Ipv4::from(text);
        if (!address) {
            bad(node, "not an IPv4 address:");
            return false;
        }
        if (!zone.subnet.contains(*address) || *address == zone.subnet.network || *address == zone.subnet.broadcast()) {
            bad(node, "address outside of zone " + ticked(zone.name) + ", " + zone.subnet.text() + ':');
            return false;
        }
        if (const auto* host = scenario_.host_at(*address)) bad(node, "the address of host " + ticked(host->name) + ':', "each has its own");
        for (const auto& box : scenario_.firewalls)
            for (const auto& other : box.sides)
                if (other.address == *address) bad(node, "the address of firewall " + ticked(box.name) + " too:", "each has its own");
        side.address = *address;
        return true;
    }

    // Who is given none: the first one in a zone is its gateway, the others have the next free ones.
    void give_addresses() {
        const auto taken = [&](const Zone& zone, Ipv4 address) {
            if (scenario_.host_at(address) != nullptr) return true;
            for (const auto& box : scenario_.firewalls)
                if (const auto* const side = side_of(box, zone.name); side != nullptr && side->address == address) return true;
            return false;
        };
        for (std::size_t i = 0; i < scenario_.firewalls.size(); ++i)
            for (std::size_t s = 0; s < scenario_.firewalls[i].sides.size(); ++s) {
                auto& side = scenario_.firewalls[i].sides[s];
                const auto& zone = *scenario_.zone(side.zone);
                if (given_[i].addressed[s] || zone.subnet.prefix == 32) continue;
                auto address = zone.gateway;
                while (taken(zone, address) && address < zone.subnet.broadcast()) ++address.value;
                if (address < zone.subnet.broadcast())
                    side.address = address;
                else
                    bad(*given_[i].sides[s], "no address is left for this firewall in zone", "give it one: { address: ... }, or make the subnet larger");
            }
    }

    void check_gateways(const Node& node) {
        for (std::size_t i = 0; i < scenario_.firewalls.size(); ++i)
            for (const auto& side : scenario_.firewalls[i].sides)
                if (given_[i].default_route != nullptr && scenario_.firewalls[i].default_route.gateway == side.address)
                    bad(*given_[i].default_route, "the firewall's own address as its default route:");
        for (const auto& zone : scenario_.zones) {
            std::string there;
            bool found = false;
            for (const auto& box : scenario_.firewalls)
                if (const auto* const side = side_of(box, zone.name)) {
                    found = found || side->address == zone.gateway;
                    there += (there.empty() ? "" : ", ") + box.name + " " + side->address.text();
                }
            if (zone.subnet.prefix == 32 || !good_) continue;
            if (there.empty()) {
                problems_.add(node.at, {}, "zone " + ticked(zone.name) + " is at no firewall", "name it in `zones` of one of them");
                good_ = false;
            } else if (!found) {
                problems_.add(node.at, {},
                              "the gateway of zone " + ticked(zone.name) + ", " + zone.gateway.text() + ", is no firewall's address there",
                              "there are " + there + ": say `gateway:` in the zone");
                good_ = false;
            }
        }
    }

    // { outside: edge }: what goes there is sent to that firewall.
    void read_routes() {
        for (std::size_t i = 0; i < scenario_.firewalls.size(); ++i) {
            const auto* const node = given_[i].routes;
            auto& box = scenario_.firewalls[i];
            if (node == nullptr) continue;
            MapReader map{*node, "`routes` of firewall " + ticked(box.name), problems_, "like { outside: edge }"};
            if (!node->is(Node::Kind::map)) good_ = false;
            for (const auto& [key, value] : node->entries) {
                const auto next = map.text(value, key.text);
                if (!next) continue;
                const auto other = std::ranges::find(scenario_.firewalls, *next, &Firewall::name);
                if (scenario_.zone(key.text) == nullptr)
                    bad(key, "unknown zone", problems_.did_you_mean(key.text, all_names(scenario_.zones)));
                else if (side_of(box, key.text) != nullptr)
                    bad(key, "firewall " + ticked(box.name) + " is in this zone itself and needs no route there:");
                else if (other == scenario_.firewalls.end())
                    bad(value, "unknown firewall", problems_.did_you_mean(*next, all_names(scenario_.firewalls)));
                else if (shared_side(box, *other) == nullptr)
                    bad(value, "the next firewall on the way is in no zone of firewall " + ticked(box.name) + ':',
                        "both have a side in the zone between them");
                else
                    box.routes.emplace_back(key.text, *next);
            }
        }
    }

    void check_ways(const Node& node) {
        for (const auto& from : scenario_.zones)
            for (const auto& to : scenario_.zones) {
                if (from.name == to.name) continue;
                bool round = false;
                const auto hops = way(scenario_, from.name, to.name, &round);
                if (!round && !hops.empty()) continue;
                std::string boxes;
                for (const auto& hop : hops) boxes += (boxes.empty() ? "" : ", ") + hop.box;
                problems_.add(node.at, {},
                              round ? "what goes from zone " + ticked(from.name) + " to zone " + ticked(to.name) + " goes round in a circle: " + boxes
                                    : "there is no way from zone " + ticked(from.name) + " to zone " + ticked(to.name),
                              round ? "mend `routes`, or leave them out: then the shortest way is taken"
                                    : "two firewalls are joined by a zone that both have in `zones`");
                return;  // one sentence about the first of them
            }
    }

    ReadContext& context_;
    Scenario& scenario_;
    Problems& problems_;
    std::vector<Given> given_;
    bool good_ = true;
};

}  // namespace

bool is_interface_name(std::string_view text) {
    return text != "." && text != ".." && text != "lo" && text != "all" && text != "default" &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F && c != '/' && c != ':'; });
}

void read_firewalls(ReadContext& context, const Node& node, const std::function<void(MapReader&)>& read_inside) {
    BoxesReader{context}.read(node, read_inside);
}

}  // namespace wmlab::scenario
