// The firewall as a multicast router: the kernel's own routes (ip_mroute), for each sender and group of the scenario.
// Like every multicast router it forwards a stream into a zone only once it has heard there that somebody joined; it
// hears IGMP as any program on the firewall does, behind the ruleset.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/json/array.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/model.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/namespaces.hpp"

namespace wmlab::lab {

struct MulticastRoute {
    scenario::Ipv4 source, group;
    std::string from;             // zone
    std::vector<std::string> to;  // zones, without `from`: inside a zone nothing is routed
};

// What the scenario's flows need, as far as its `multicast_routes` allow. Groups of 224.0.0.0/24 have no route: no
// router forwards them.
std::vector<MulticastRoute> multicast_routes(const scenario::Scenario& scenario);
boost::json::array to_json(const std::vector<MulticastRoute>& routes);  // `routes` of `lab-up`

class MulticastRouting {
public:
    // `firewall` null: none of ours. Does nothing for a scenario whose multicasts never cross the firewall.
    // SetupFailed.
    MulticastRouting(boost::asio::io_context& io, const Namespace* firewall, const scenario::Scenario& scenario,
                     std::vector<MulticastRoute> routes);

    bool active() const { return router_.is_open(); }
    // Every route that these flows use stands. A report that never comes leaves it false.
    bool ready_for(const std::vector<scenario::FlowInstance>& flows) const;
    // `group-joined` events since the last call; the routes fall back to nobody having joined.
    std::vector<evidence::Event> take();

private:
    void listen();
    void read_all();
    void heard(scenario::Ipv4 reporter, const std::vector<std::uint32_t>& groups);
    void install(const MulticastRoute& route);

    const scenario::Scenario& scenario_;
    std::vector<MulticastRoute> routes_;
    std::map<std::string, unsigned, std::less<>> interfaces_;       // number by zone
    std::set<std::pair<std::string, scenario::Ipv4>> joined_;       // zone and group
    std::set<std::pair<scenario::Ipv4, scenario::Ipv4>> reported_;  // reporter and group
    std::vector<evidence::Event> events_;
    boost::asio::posix::stream_descriptor router_;
};

}  // namespace wmlab::lab
