#include "lab/network/multicast_routing.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
// after <netinet/in.h>, whose types it shares
#include <linux/mroute.h>

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cerrno>
#include <span>

#include "common/evidence/fields.hpp"
#include "common/evidence/journal.hpp"
#include "lab/host/error.hpp"
#include "lab/network/igmp.hpp"

namespace wmlab::lab {
namespace {

constexpr std::uint32_t link_local = 0xE0000000, link_local_mask = 0xFFFFFF00;
constexpr std::uint32_t igmpv3_routers = 0xE0000016;  // 224.0.0.22, where reports of IGMPv3 go
constexpr const char* no_kernel_support =
    "this kernel has no multicast routing (CONFIG_IP_MROUTE): leave the multicast flows out with --only";

template <class Value>
void set(int router, int option, const Value& value, const std::string& step) {
    if (::setsockopt(router, IPPROTO_IP, option, &value, sizeof value) != 0)
        throw setup_failed(step, errno, errno == ENOPROTOOPT ? no_kernel_support : "");
}

bool crosses(const scenario::Scenario& scenario, const scenario::FlowInstance& instance) {
    if (instance.flow->type != scenario::FlowType::multicast) return false;
    const auto* sender = scenario.host(instance.from);
    const auto* player = scenario.host(instance.to);
    return sender != nullptr && player != nullptr && sender->zone != player->zone;
}

bool allowed(const scenario::Scenario& scenario, const std::string& from, const std::string& to, scenario::Ipv4 group) {
    const auto hops = scenario::way(scenario, from, to);
    const auto boxes = scenario::boxes(scenario);
    return std::ranges::all_of(hops, [&](const scenario::Hop& hop) {
        const auto& rules = std::ranges::find(boxes, hop.box, &scenario::Firewall::name)->multicast_routes;
        return !rules || std::ranges::any_of(*rules, [&](const scenario::MulticastRouteRule& rule) {
            return rule.from == hop.in && std::ranges::find(rule.to, hop.out) != rule.to.end() &&
                   std::ranges::any_of(rule.groups, [&](const scenario::Subnet& block) { return block.contains(group); });
        });
    });
}

}  // namespace

std::vector<MulticastRoute> multicast_routes(const scenario::Scenario& scenario) {
    std::vector<MulticastRoute> routes;
    for (const auto& instance : scenario::instances(scenario)) {
        const auto group = instance.flow->group;
        if (!crosses(scenario, instance) || (group.value & link_local_mask) == link_local) continue;
        const auto& sender = *scenario.host(instance.from);
        const auto& zone = scenario.host(instance.to)->zone;
        if (!allowed(scenario, sender.zone, zone, group)) continue;
        auto known = std::ranges::find_if(routes, [&](const MulticastRoute& route) {
            return route.source == sender.address && route.group == group;
        });
        if (known == routes.end()) known = routes.insert(routes.end(), {sender.address, group, sender.zone, {}});
        if (std::ranges::find(known->to, zone) == known->to.end()) known->to.push_back(zone);
    }
    return routes;
}

boost::json::array to_json(const std::vector<MulticastRoute>& routes) {
    boost::json::array all;
    for (const auto& route : routes) {
        boost::json::object one;
        one[field::source] = route.source.text();
        one[field::group] = route.group.text();
        one[field::from] = route.from;
        boost::json::array to;
        for (const auto& zone : route.to) to.emplace_back(zone);
        one[field::to] = std::move(to);
        all.push_back(std::move(one));
    }
    return all;
}

MulticastRouting::MulticastRouting(boost::asio::io_context& io, const Network* network, const scenario::Scenario& scenario,
                                   std::vector<MulticastRoute> routes)
    : scenario_{scenario}, routes_{std::move(routes)} {
    const auto flows = scenario::instances(scenario);
    if (network == nullptr || std::ranges::none_of(flows, [&](const auto& flow) { return crosses(scenario, flow); }))
        return;
    if (scenario.zones.size() > MAXVIFS)
        throw SetupFailed{"route multicast", "the kernel routes between 32 zones at most"};
    for (const auto& box : scenario::boxes(scenario)) open(io, network->firewall(box.name), box);
    for (const auto& route : routes_) install(route);
    for (auto& router : routers_) listen(router);
}

void MulticastRouting::open(boost::asio::io_context& io, const Namespace& place, const scenario::Firewall& box) {
    const Entered entered{place};
    Descriptor socket{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_IGMP)};
    if (!socket) throw setup_failed("open a socket for multicast routes", errno);
    const auto fd = socket.get();
    set(fd, MRT_INIT, 1, "become the firewall's multicast router");
    auto& router = routers_.emplace_back(Router{box, {}, boost::asio::posix::stream_descriptor{io}});
    for (const auto& side : box.sides) {
        const auto number = static_cast<vifi_t>(router.interfaces.size());
        const auto index = static_cast<int>(::if_nametoindex(side.interface.c_str()));
        vifctl interface {};
        interface.vifc_vifi = number;
        interface.vifc_flags = VIFF_USE_IFINDEX;
        interface.vifc_threshold = 1;
        interface.vifc_lcl_ifindex = index;
        set(fd, MRT_ADD_VIF, interface, "route multicast on " + side.interface);
        ip_mreqn routers{};
        routers.imr_multiaddr.s_addr = htonl(igmpv3_routers);
        routers.imr_ifindex = index;
        set(fd, IP_ADD_MEMBERSHIP, routers, "listen for IGMP on " + side.interface);
        router.interfaces.emplace(side.zone, number);
    }
    router.socket.assign(socket.release());
}

// The route stands from the beginning, at first to no zone: a stream without a route would be queued by the kernel.
void MulticastRouting::install(const MulticastRoute& route) {
    for (auto& router : routers_) {
        mfcctl entry{};
        entry.mfcc_origin.s_addr = htonl(route.source.value);
        entry.mfcc_mcastgrp.s_addr = htonl(route.group.value);
        bool on_the_way = false;
        for (const auto& zone : route.to) {
            const auto hops = scenario::way(scenario_, route.from, zone);
            const auto here = std::ranges::find(hops, router.box.name, &scenario::Hop::box);
            if (here == hops.end()) continue;
            on_the_way = true;
            entry.mfcc_parent = static_cast<vifi_t>(router.interfaces.at(here->in));
            if (joined_.contains({hops.back().box, zone, route.group})) entry.mfcc_ttls[router.interfaces.at(here->out)] = 1;
        }
        if (on_the_way)
            set(router.socket.native_handle(), MRT_ADD_MFC, entry, "route " + route.group.text() + " from " + route.source.text());
    }
}

void MulticastRouting::listen(Router& router) {
    router.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this, &router](boost::system::error_code failure) {
        if (failure) return;
        read_all(router);
        listen(router);
    });
}

void MulticastRouting::read_all(Router& router) {
    std::array<std::byte, 2048> buffer;
    for (;;) {
        const auto got = ::recv(router.socket.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0) return;
        const std::span<const std::byte> packet{buffer.data(), static_cast<std::size_t>(got)};
        constexpr std::size_t ip_header_min = 20, protocol_at = 9, source_at = 12;
        // The kernel's own messages to a router look like packets of protocol 0.
        if (packet.size() < ip_header_min || std::to_integer<int>(packet[protocol_at]) != IPPROTO_IGMP) continue;
        const auto header = 4 * (std::to_integer<std::size_t>(packet[0]) & 15);
        if (header > packet.size()) continue;
        std::uint32_t source = 0;
        for (std::size_t i = 0; i < 4; ++i)
            source = source << 8 | std::to_integer<std::uint32_t>(packet[source_at + i]);
        heard(router, {source}, read_igmp(packet.subspan(header)).joined);
    }
}

void MulticastRouting::heard(const Router& router, scenario::Ipv4 reporter, const std::vector<std::uint32_t>& groups) {
    const auto side = std::ranges::find_if(router.box.sides, [&](const scenario::Side& one) {
        return scenario_.zone(one.zone)->subnet.contains(reporter);
    });
    if (side == router.box.sides.end() || side->address == reporter) return;
    for (const auto value : groups) {
        const scenario::Ipv4 group{value};
        if (!reported_.insert({router.box.name, reporter, group}).second) continue;
        evidence::Event event;
        event.event = evidence::What::group_joined;
        event.fields[field::zone] = side->zone;
        event.fields[field::group] = group.text();
        event.fields[field::reporter] = reporter.text();
        if (scenario::several_boxes(scenario_)) event.fields[field::box] = router.box.name;
        event.monotonic = evidence::Clock::system().monotonic();
        event.utc = evidence::Clock::system().utc();
        events_.push_back(std::move(event));
        if (!joined_.insert({router.box.name, side->zone, group}).second) continue;
        for (const auto& route : routes_)
            if (route.group == group) install(route);
    }
}

bool MulticastRouting::ready_for(const std::vector<scenario::FlowInstance>& flows) const {
    return std::ranges::all_of(flows, [&](const scenario::FlowInstance& flow) {
        if (!crosses(scenario_, flow)) return true;
        const auto& zone = scenario_.host(flow.to)->zone;
        const auto group = flow.flow->group;
        const bool routed = std::ranges::any_of(routes_, [&](const MulticastRoute& route) {
            return route.group == group && std::ranges::find(route.to, zone) != route.to.end();
        });
        const auto hops = scenario::way(scenario_, scenario_.host(flow.from)->zone, zone);
        return !routed || hops.empty() || joined_.contains({hops.back().box, zone, group});
    });
}

std::vector<evidence::Event> MulticastRouting::take() {
    joined_.clear();
    reported_.clear();
    for (const auto& route : routes_) install(route);
    return std::exchange(events_, {});
}

}  // namespace wmlab::lab
