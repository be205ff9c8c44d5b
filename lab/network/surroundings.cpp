#include "lab/network/surroundings.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace wmlab::lab {
namespace {

void set_all(const Namespace& firewall, const scenario::Firewall& wish, std::vector<std::string>& notes) {
    for (const auto& [path, value] : wish.sysctls) {
        if (set_setting(firewall, path, value)) continue;
        const auto error = errno;
        notes.push_back("the gateway's setting " + path + " = " + value +
                        " is not in the test: " + std::strerror(error));
    }
    const auto forwarding =
        std::ranges::find(wish.sysctls, "net/ipv4/ip_forward", &std::pair<std::string, std::string>::first);
    if (forwarding != wish.sysctls.end() && forwarding->second == "0")
        notes.emplace_back("the gateway's net.ipv4.ip_forward is 0: it forwards nothing, whatever its rules say");
}

bool is_a_firewalls(const scenario::Scenario& scenario, scenario::Ipv4 address) {
    return std::ranges::any_of(scenario.firewalls, [&](const scenario::Firewall& box) {
        return std::ranges::find(box.sides, address, &scenario::Side::address) != box.sides.end();
    });
}

// An address of the zone that nobody has, from the end.
scenario::Ipv4 free_address(const scenario::Scenario& scenario, const scenario::Zone& zone) {
    auto address = scenario::Ipv4{zone.subnet.broadcast().value - 1};
    const auto taken = [&] {
        return address == zone.gateway || scenario.host_at(address) != nullptr || is_a_firewalls(scenario, address);
    };
    while (address.value > zone.subnet.network.value + 1 && taken()) --address.value;
    return address;
}

}  // namespace

std::string setting_at(const Namespace& place, const std::string& path) {
    const Entered entered{place};
    std::ifstream in{"/proc/sys/" + path};
    std::string value;
    std::getline(in, value);
    return value;
}

bool set_setting(const Namespace& place, const std::string& path, const std::string& value) {
    int error = 0;
    {
        const Entered entered{place};
        const Descriptor file{::open(("/proc/sys/" + path).c_str(), O_WRONLY | O_CLOEXEC)};
        if (file && ::write(file.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size())) return true;
        error = errno;
    }
    errno = error;
    return false;
}

void surround(const Namespace& firewall, Links& links, const scenario::Scenario& scenario,
              const std::map<std::string, Cable, std::less<>>& cables,
              const std::function<int(const std::string&)>& add, bool settings, std::vector<std::string>& notes) {
    const auto& wish = scenario.firewall;
    for (const auto& interface : wish.interfaces) {
        const auto index = add(interface.name);
        if (interface.address) links.address(index, *interface.address, interface.subnet);
    }
    const auto& route = wish.default_route;
    if (route.to == scenario::DefaultRoute::To::nowhere) {
        links.default_route_out(add(nowhere_interface));
    } else if (route.to == scenario::DefaultRoute::To::zone) {
        const auto& zone = *scenario.zone(route.zone);
        const auto& cable = cables.at(zone.name);
        const auto router = route.gateway.value_or(free_address(scenario, zone));
        if (scenario.host_at(router) == nullptr && !is_a_firewalls(scenario, router)) {  // what goes there is sent, and nobody gets it
            links.neighbour(cable.index, router);
            Links{*cable.zone}.swallow(cable.port);
        }
        links.default_route(router);
    }
    if (settings) set_all(firewall, wish, notes);
}

}  // namespace wmlab::lab
