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
    const auto& rules = scenario.firewall.multicast_routes;
    if (!rules) return true;
    return std::ranges::any_of(*rules, [&](const scenario::MulticastRouteRule& rule) {
        return rule.from == from && std::ranges::find(rule.to, to) != rule.to.end() &&
               std::ranges::any_of(rule.groups, [&](const scenario::Subnet& block) { return block.contains(group); });
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

MulticastRouting::MulticastRouting(boost::asio::io_context& io, const Namespace* firewall,
                                   const scenario::Scenario& scenario, std::vector<MulticastRoute> routes)
    : scenario_{scenario}, routes_{std::move(routes)}, router_{io} {
    const auto flows = scenario::instances(scenario);
    if (firewall == nullptr || std::ranges::none_of(flows, [&](const auto& flow) { return crosses(scenario, flow); }))
        return;
    if (scenario.zones.size() > MAXVIFS)
        throw SetupFailed{"route multicast", "the kernel routes between 32 zones at most"};
    const Entered entered{*firewall};
    Descriptor router{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_IGMP)};
    if (!router) throw setup_failed("open a socket for multicast routes", errno);
    const auto fd = router.get();
    set(fd, MRT_INIT, 1, "become the firewall's multicast router");
    for (const auto& zone : scenario.zones) {
        const auto number = static_cast<vifi_t>(interfaces_.size());
        const auto index = static_cast<int>(::if_nametoindex(zone.interface.c_str()));
        vifctl interface {};
        interface.vifc_vifi = number;
        interface.vifc_flags = VIFF_USE_IFINDEX;
        interface.vifc_threshold = 1;
        interface.vifc_lcl_ifindex = index;
        set(fd, MRT_ADD_VIF, interface, "route multicast on " + zone.interface);
        ip_mreqn routers{};
        routers.imr_multiaddr.s_addr = htonl(igmpv3_routers);
        routers.imr_ifindex = index;
        set(fd, IP_ADD_MEMBERSHIP, routers, "listen for IGMP on " + zone.interface);
        interfaces_.emplace(zone.name, number);
    }
    router_.assign(router.release());
    for (const auto& route : routes_) install(route);
    listen();
}

// The route stands from the beginning, at first to no zone: a stream without a route would be queued by the kernel.
void MulticastRouting::install(const MulticastRoute& route) {
    mfcctl entry{};
    entry.mfcc_origin.s_addr = htonl(route.source.value);
    entry.mfcc_mcastgrp.s_addr = htonl(route.group.value);
    entry.mfcc_parent = static_cast<vifi_t>(interfaces_.at(route.from));
    for (const auto& zone : route.to)
        if (joined_.contains({zone, route.group})) entry.mfcc_ttls[interfaces_.at(zone)] = 1;
    set(router_.native_handle(), MRT_ADD_MFC, entry, "route " + route.group.text() + " from " + route.source.text());
}

void MulticastRouting::listen() {
    router_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failure) {
        if (failure) return;
        read_all();
        listen();
    });
}

void MulticastRouting::read_all() {
    std::array<std::byte, 2048> buffer;
    for (;;) {
        const auto got = ::recv(router_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
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
        heard({source}, read_igmp(packet.subspan(header)).joined);
    }
}

void MulticastRouting::heard(scenario::Ipv4 reporter, const std::vector<std::uint32_t>& groups) {
    const auto zone =
        std::ranges::find_if(scenario_.zones, [&](const scenario::Zone& one) { return one.subnet.contains(reporter); });
    if (zone == scenario_.zones.end() || zone->gateway == reporter) return;
    for (const auto value : groups) {
        const scenario::Ipv4 group{value};
        if (!reported_.insert({reporter, group}).second) continue;
        evidence::Event event;
        event.event = evidence::What::group_joined;
        event.fields["zone"] = zone->name;
        event.fields["group"] = group.text();
        event.fields["reporter"] = reporter.text();
        event.monotonic = evidence::Clock::system().monotonic();
        event.utc = evidence::Clock::system().utc();
        events_.push_back(std::move(event));
        if (!joined_.insert({zone->name, group}).second) continue;
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
        return !routed || joined_.contains({zone, group});
    });
}

std::vector<evidence::Event> MulticastRouting::take() {
    joined_.clear();
    reported_.clear();
    for (const auto& route : routes_) install(route);
    return std::exchange(events_, {});
}

}  // namespace wmlab::lab
