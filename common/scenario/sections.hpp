// What the readers of a scenario file's sections share. Internal to the loader.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "common/scenario/problems.hpp"

namespace wmlab::scenario {

template <class Things>
std::vector<std::string_view> names_of(const Things& things) {
    std::vector<std::string_view> names;
    for (const auto& thing : things) names.push_back(thing.name);
    return names;
}

// Of one entry of a section; false where it is not to be read. A bad name is a problem, the entry is read all the same.
bool check_name(Problems& problems, const yaml::Node& key, const std::string& what);
// In the zone's subnet, and neither the network's nor the broadcast address.
bool check_inside(const Scenario& scenario, Problems& problems, const yaml::Node& node, Ipv4 address, const Zone& zone);
// The items of a list, or the node itself.
std::vector<const yaml::Node*> one_or_more(const yaml::Node& node);

}  // namespace wmlab::scenario
