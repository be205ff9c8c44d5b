#include "common/scenario/sections.hpp"

#include "common/scenario/values.hpp"

namespace wmlab::scenario {

bool check_name(Problems& problems, const yaml::Node& key, const std::string& what) {
    if (!key.is(yaml::Node::Kind::scalar)) return false;  // said by MapReader
    if (!is_name(key.text)) {
        const auto like = name_like(key.text);
        problems.add(key, "not a " + what + " name:", like.empty() ? "names match [a-z][a-z0-9_-]*" : "like " + ticked(like));
    }
    return true;
}

bool check_inside(const Scenario& scenario, Problems& problems, const yaml::Node& node, Ipv4 address, const Zone& zone) {
    if (!zone.subnet.contains(address)) {
        std::string suggestion;
        for (const auto& other : scenario.zones)
            if (other.subnet.prefix != 32 && other.subnet.contains(address)) suggestion = "it lies in zone " + ticked(other.name);
        problems.add(node, "address outside of zone " + ticked(zone.name) + ", " + zone.subnet.text() + ':', suggestion);
    } else if (address == zone.subnet.network) {
        problems.add(node, "the network's own address:");
    } else if (address == zone.subnet.broadcast()) {
        problems.add(node, "the network's broadcast address:");
    } else {
        return true;
    }
    return false;
}

std::vector<const yaml::Node*> one_or_more(const yaml::Node& node) {
    if (!node.is(yaml::Node::Kind::sequence)) return {&node};
    std::vector<const yaml::Node*> all;
    for (const auto& item : node.items) all.push_back(&item);
    return all;
}

}  // namespace wmlab::scenario
