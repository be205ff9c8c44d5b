// The firewalls as multicast routers: the kernel's own routes (ip_mroute), for each sender and group of the scenario.
// Like every multicast router the last one on the way forwards a stream into a zone only once it has heard there that
// somebody joined; it hears IGMP as any program on the firewall does, behind the ruleset. What it heard is known to those
// before it at once: between them nothing is asked for on a wire (as PIM would).
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/json/array.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/boxes.hpp"
#include "common/scenario/model.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/network/network.hpp"

namespace wmlab::lab {

struct MulticastRoute {
    scenario::Ipv4 source, group;
    std::string from;             // zone
    std::vector<std::string> to;  // zones, without `from`: inside a zone nothing is routed
};

// What the scenario's flows need, as far as the `multicast_routes` of every firewall on the way allow. Groups of 224.0.0.0/24 have no route: no
// router forwards them.
std::vector<MulticastRoute> multicast_routes(const scenario::Scenario& scenario);
boost::json::array to_json(const std::vector<MulticastRoute>& routes);  // `routes` of `lab-up`

class MulticastRouting {
public:
    // `network` null: its firewalls are none of ours. Does nothing for a scenario whose multicasts cross no firewall.
    // SetupFailed.
    MulticastRouting(boost::asio::io_context& io, const Network* network, const scenario::Scenario& scenario,
                     std::vector<MulticastRoute> routes);

    bool active() const { return !routers_.empty(); }
    // Every route that these flows use stands. A report that never comes leaves it false.
    bool ready_for(const std::vector<scenario::FlowInstance>& flows) const;
    // `group-joined` events since the last call; the routes fall back to nobody having joined.
    std::vector<evidence::Event> take();

private:
    struct Router {
        scenario::Firewall box;
        std::map<std::string, unsigned, std::less<>> interfaces{};  // number by zone
        boost::asio::posix::stream_descriptor socket;
    };
    void open(boost::asio::io_context& io, const Namespace& place, const scenario::Firewall& box);
    void listen(Router& router);
    void read_all(Router& router);
    void heard(const Router& router, scenario::Ipv4 reporter, const std::vector<std::uint32_t>& groups);
    void install(const MulticastRoute& route);

    const scenario::Scenario& scenario_;
    std::vector<MulticastRoute> routes_;
    struct Joined {
        std::string box, zone;
        scenario::Ipv4 group;
        auto operator<=>(const Joined&) const = default;
    };
    std::set<Joined> joined_;
    std::set<std::tuple<std::string, scenario::Ipv4, scenario::Ipv4>> reported_;  // box, reporter, group
    std::vector<evidence::Event> events_;
    std::deque<Router> routers_;
};

}  // namespace wmlab::lab
