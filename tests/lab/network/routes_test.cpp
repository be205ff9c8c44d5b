#include <fstream>
#include <sstream>

#include "lab/network/netlink.hpp"
#include "tests/catch.hpp"
#include "tests/lab/in_lab.hpp"

using namespace wmlab;
using namespace wmlab::lab;
using namespace wmlab::lab::tests;

namespace {

// The routes of a namespace: "eth0 10.30.0.0/16 via 10.20.0.1", "none ..." for what cannot be reached, in the kernel's order.
std::string routes_in(const Namespace& place) {
    const Entered entered{place};
    std::ifstream in{"/proc/thread-self/net/route"};
    std::string line, all;
    std::getline(in, line);  // the heading
    const auto address = [](const std::string& hex) { return scenario::Ipv4{__builtin_bswap32(static_cast<std::uint32_t>(std::stoul(hex, nullptr, 16)))}; };
    while (std::getline(in, line)) {
        std::istringstream words{line};
        std::string interface, to, gateway, flags, rest, mask;
        words >> interface >> to >> gateway >> flags >> rest >> rest >> rest >> mask;
        constexpr unsigned reject = 0x200;
        const bool none = (std::stoul(flags, nullptr, 16) & reject) != 0;
        all += (none ? "none" : interface) + " " + address(to).text() + "/" + std::to_string(__builtin_popcount(address(mask).value));
        if (gateway != "00000000") all += " via " + address(gateway).text();
        all += "\n";
    }
    return all;
}

scenario::Ipv4 ip(const char* text) { return *scenario::Ipv4::from(text); }
scenario::Subnet net(const char* text) { return *scenario::Subnet::from(text); }

// What the kernel has after `set` in a namespace with eth0 at 10.20.0.10/24.
std::string routes_after(As who, const std::function<void(Links&, int eth0)>& set) {
    return in_lab(who,
                  [&](const Inside&) {
                      const auto zone = Namespace::create("the zone"), host = Namespace::create("the host");
                      constexpr int bridge = 10, port = 11, eth0 = 12;
                      Links switches{zone}, links{host};
                      switches.add_bridge("switch", bridge);
                      switches.add_veth("port", port, bridge, {&host, "eth0", eth0});
                      links.up(eth0, "eth0");
                      links.address(eth0, ip("10.20.0.10"), net("10.20.0.0/24"));
                      set(links, eth0);
                      return routes_in(host);
                  })
        .text;
}

}  // namespace

TEST_CASE("routes of a host: by a gateway, to nowhere, on the link, out of a link", "[lab]") {
    struct Row {
        std::string name;
        std::function<void(Links&, int)> set;
        std::string routes;  // besides that to the subnet
    };
    const std::vector<Row> rows{
        {"a default route by a gateway", [](Links& links, int) { links.default_route(ip("10.20.0.1")); }, "eth0 0.0.0.0/0 via 10.20.0.1\n"},
        {"a default route out of a link, to nobody", [](Links& links, int eth0) { links.default_route_out(eth0); }, "eth0 0.0.0.0/0\n"},
        {"a network by a gateway", [](Links& links, int) { links.route(net("10.30.0.0/16"), ip("10.20.0.2")); }, "eth0 10.30.0.0/16 via 10.20.0.2\n"},
        {"a host by a gateway", [](Links& links, int) { links.route(net("203.0.113.7/32"), ip("10.20.0.1")); }, "eth0 203.0.113.7/32 via 10.20.0.1\n"},
        {"a network that cannot be reached", [](Links& links, int) { links.no_route(net("10.10.0.0/24")); }, "none 10.10.0.0/24\n"},
        {"an address that is on the link and in no subnet of it", [](Links& links, int eth0) { links.on_link(ip("203.0.113.1"), eth0); },
         "eth0 203.0.113.1/32\n"},
        {"a gateway that is on the link only by such a route",
         [](Links& links, int eth0) {
             links.on_link(ip("203.0.113.1"), eth0);
             links.route(net("10.40.0.0/24"), ip("203.0.113.1"));
         },
         "eth0 10.40.0.0/24 via 203.0.113.1\neth0 203.0.113.1/32\n"},
    };
    for (const auto& row : rows) DYNAMIC_SECTION(row.name) {
            for (const auto who : {As::root, As::user}) {
                INFO(name(who));
                auto routes = routes_after(who, row.set);
                const std::string subnet = "eth0 10.20.0.0/24\n";
                const auto at = routes.find(subnet);
                REQUIRE(at != std::string::npos);
                CHECK(routes.erase(at, subnet.size()) == row.routes);
            }
        }
}

TEST_CASE("a route that the kernel refuses is told with what was to be done", "[lab]") {
    CHECK(routes_after(As::root, [](Links& links, int) {
              links.route(net("10.30.0.0/16"), ip("192.0.2.1"));
          }).find("set the route to 10.30.0.0/16 via 192.0.2.1") != std::string::npos);
    CHECK(routes_after(As::root, [](Links& links, int eth0) {
              links.default_route_out(eth0);
              links.default_route(ip("10.20.0.1"));
          }).find("set the route to 0.0.0.0/0 via 10.20.0.1") != std::string::npos);
}
