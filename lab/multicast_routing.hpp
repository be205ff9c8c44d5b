// The firewall as a multicast router: the kernel's own routes, one for each sender and group of the scenario. They
// stand before the first packet; a daemon that learns of a stream by its first packets loses some of them.
#pragma once
#include <boost/json/array.hpp>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/descriptor.hpp"
#include "lab/namespaces.hpp"

namespace wmlab::lab {

struct MulticastRoute {
    scenario::Ipv4 source, group;
    std::string from;             // zone
    std::vector<std::string> to;  // zones, without `from`: inside a zone nothing is routed
};

// What the scenario's flows need. Groups of 224.0.0.0/24 have no route: no router forwards them.
std::vector<MulticastRoute> multicast_routes(const scenario::Scenario& scenario);
boost::json::array to_json(const std::vector<MulticastRoute>& routes);  // `routes` of `lab-up`

// The routes stand as long as this lives. SetupFailed.
class MulticastRouting {
public:
    MulticastRouting(const Namespace& firewall, const scenario::Scenario& scenario,
                     const std::vector<MulticastRoute>& routes);

private:
    Descriptor router_;
};

}  // namespace wmlab::lab
