#include "lab/multicast_routing.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
// after <netinet/in.h>, whose types it shares
#include <linux/mroute.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <cerrno>
#include <map>

#include "lab/error.hpp"

namespace wmlab::lab {
namespace {

constexpr std::uint32_t link_local = 0xE0000000, link_local_mask = 0xFFFFFF00;

template <class Value>
void set(const Descriptor& router, int option, const Value& value, const std::string& step) {
    if (::setsockopt(router.get(), IPPROTO_IP, option, &value, sizeof value) != 0) throw setup_failed(step, errno);
}

}  // namespace

std::vector<MulticastRoute> multicast_routes(const scenario::Scenario& scenario) {
    std::vector<MulticastRoute> routes;
    for (const auto& instance : scenario::instances(scenario)) {
        const auto& flow = *instance.flow;
        if (flow.type != scenario::FlowType::multicast || (flow.group.value & link_local_mask) == link_local) continue;
        const auto* sender = scenario.host(instance.from);
        const auto* player = scenario.host(instance.to);
        if (sender == nullptr || player == nullptr || sender->zone == player->zone) continue;
        auto known = std::ranges::find_if(routes, [&](const MulticastRoute& route) {
            return route.source.value == sender->address.value && route.group.value == flow.group.value;
        });
        if (known == routes.end()) known = routes.insert(routes.end(), {sender->address, flow.group, sender->zone, {}});
        if (std::ranges::find(known->to, player->zone) == known->to.end()) known->to.push_back(player->zone);
    }
    return routes;
}

boost::json::array to_json(const std::vector<MulticastRoute>& routes) {
    boost::json::array all;
    for (const auto& route : routes) {
        boost::json::object one;
        one["source"] = route.source.text();
        one["group"] = route.group.text();
        one["from"] = route.from;
        boost::json::array to;
        for (const auto& zone : route.to) to.emplace_back(zone);
        one["to"] = std::move(to);
        all.push_back(std::move(one));
    }
    return all;
}

MulticastRouting::MulticastRouting(const Namespace& firewall, const scenario::Scenario& scenario,
                                   const std::vector<MulticastRoute>& routes) {
    if (routes.empty()) return;
    if (scenario.zones.size() > MAXVIFS)
        throw SetupFailed{"route multicast", "the kernel routes between 32 zones at most"};
    const Entered entered{firewall};
    router_ = Descriptor{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_IGMP)};
    if (!router_) throw setup_failed("open a socket for multicast routes", errno);
    set(router_, MRT_INIT, 1, "become the firewall's multicast router");
    std::map<std::string, vifi_t> interfaces;
    for (const auto& zone : scenario.zones) {
        const auto number = static_cast<vifi_t>(interfaces.size());
        vifctl interface {};
        interface.vifc_vifi = number;
        interface.vifc_flags = VIFF_USE_IFINDEX;
        interface.vifc_threshold = 1;
        interface.vifc_lcl_ifindex = static_cast<int>(::if_nametoindex(zone.interface.c_str()));
        set(router_, MRT_ADD_VIF, interface, "route multicast on " + zone.interface);
        interfaces.emplace(zone.name, number);
    }
    for (const auto& route : routes) {
        mfcctl entry{};
        entry.mfcc_origin.s_addr = htonl(route.source.value);
        entry.mfcc_mcastgrp.s_addr = htonl(route.group.value);
        entry.mfcc_parent = interfaces.at(route.from);
        for (const auto& zone : route.to) entry.mfcc_ttls[interfaces.at(zone)] = 1;
        set(router_, MRT_ADD_MFC, entry, "route " + route.group.text() + " from " + route.source.text());
    }
}

}  // namespace wmlab::lab
