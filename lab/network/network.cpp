#include "lab/network/network.hpp"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>

#include "common/scenario/boxes.hpp"
#include "lab/host/error.hpp"
#include "lab/network/attachment.hpp"
#include "lab/network/netlink.hpp"
#include "lab/network/surroundings.hpp"

namespace wmlab::lab {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::seconds links_ready_limit{10};

struct Sysctl {
    const char* path;  // below /proc/sys/net
    const char* value;
    const char* without;  // what follows where it cannot be set; null: nothing worth saying
};

// A new namespace copies some of these from the machine: every one that matters is set.
constexpr Sysctl host_settings[] = {
    {"ipv6/conf/all/disable_ipv6", "1", nullptr},
    {"ipv6/conf/default/disable_ipv6", "1", nullptr},
    {"ipv4/ip_forward", "0", nullptr},
    {"ipv4/conf/all/rp_filter", "0", nullptr},
    {"ipv4/conf/default/rp_filter", "0", nullptr},
    {"ipv4/ip_unprivileged_port_start", "0", "programs that give up root cannot bind ports below 1024"},
    {"ipv4/icmp_ratelimit", "0", "a host's own port-unreachable answers are limited to about one a second"},
    {"ipv4/icmp_msgs_per_sec", "1000000", nullptr},
    {"ipv4/icmp_msgs_burst", "1000000", nullptr},
    {"ipv4/icmp_ratemask", "0", nullptr},  // the credit begins with nothing: two first messages at once lose one
};
constexpr Sysctl firewall_settings[] = {
    {"ipv6/conf/all/disable_ipv6", "1", nullptr},
    {"ipv6/conf/default/disable_ipv6", "1", nullptr},
    {"ipv4/ip_forward", "1", nullptr},  // netlink does it for each interface anyway
    {"ipv4/conf/all/rp_filter", "0", "reverse-path filtering is as the machine has it"},
    {"ipv4/conf/default/rp_filter", "0", nullptr},
    {"ipv4/conf/all/send_redirects", "0", nullptr},
    {"ipv4/conf/default/send_redirects", "0", nullptr},  // one of several does not tell hosts of a shorter way
    {"ipv4/icmp_ratelimit", "0",
     "the firewall's ICMP rejects are limited to about one a second and may look like drops"},
    {"ipv4/icmp_msgs_per_sec", "1000000", nullptr},
    {"ipv4/icmp_msgs_burst", "1000000", nullptr},
    {"ipv4/icmp_ratemask", "0", nullptr},  // the credit begins with nothing: two first messages at once lose one
};
constexpr Sysctl switch_settings[] = {
    {"ipv6/conf/all/disable_ipv6", "1", nullptr},
    {"ipv6/conf/default/disable_ipv6", "1", nullptr},
    {"bridge/bridge-nf-call-iptables", "0", nullptr},  // no rule is ever loaded there; this saves the packets the way
};

// Checksums and segments as they would be on a cable, not put off to a network card that does not exist: captures are
// correct, and one packet counted is one packet.
void plain_packets(const char* interface) {
    const Descriptor control{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    for (const std::uint32_t feature : {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM}) {
        ethtool_value value{feature, 0};
        ifreq request{};
        std::strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
        request.ifr_data = reinterpret_cast<char*>(&value);
        ::ioctl(control.get(), SIOCETHTOOL, &request);  // a kernel that cannot: counts may be of larger packets
    }
}

}  // namespace

struct Network::Parts {
    std::map<std::string, Namespace, std::less<>> hosts, switches;
    std::map<std::string, int, std::less<>> bridges;  // by zone
    struct Box {
        std::string name;
        Namespace place;
        std::map<std::string, Cable, std::less<>> cables{};  // by zone
    };
    std::deque<Box> boxes;
    std::optional<Namespace> nowhere;
    int nowhere_bridge = 0;
    std::vector<std::string> notes;
    int next_index = 10;  // unique in the whole lab
    int ports = 0;

    void set(std::span<const Sysctl> settings) {
        for (const auto& [path, value, without] : settings) {
            const Descriptor file{::open((std::string{"/proc/sys/net/"} + path).c_str(), O_WRONLY | O_CLOEXEC)};
            if (file && ::write(file.get(), value, std::strlen(value)) > 0) continue;
            if (without == nullptr || std::ranges::find(notes, without) != notes.end()) continue;
            notes.emplace_back(without);
        }
    }

    // An address beyond the zone's subnet (a sample of a zone without an end) is alone there.
    static void settle(Links& links, int index, const std::string& interface, scenario::Ipv4 address, const scenario::Zone& zone) {
        const bool beyond = !zone.subnet.contains(address);
        links.address(index, address, beyond ? scenario::Subnet{address, 32} : zone.subnet);
        links.up(index, interface);
        if (beyond) links.on_link(zone.gateway, index);
    }

    // A cable from a host (or a firewall, which forwards) to its zone's switch.
    Cable connect(const Namespace& place, Links& links, const std::string& interface, scenario::Ipv4 address,
                  const scenario::Zone& zone, bool forwards) {
        const auto index = next_index++;
        const auto port = next_index++;
        Links of_switch{switches.at(zone.name)};
        of_switch.add_veth("port" + std::to_string(ports++), port, bridges.at(zone.name), {&place, interface, index});
        if (zone.igmp_lost && forwards) of_switch.no_multicast(port);
        {
            const Entered entered{place};
            plain_packets(interface.c_str());
        }
        if (ipv6_left) links.no_ipv6(index);
        settle(links, index, interface, address, zone);
        if (forwards) links.forward(index, interface);
        return {index, port, &switches.at(zone.name)};
    }
    // Of a firewall, to a switch without anybody.
    int add_interface(const Namespace& firewall, Links& links, const std::string& name) {
        if (!nowhere) {
            nowhere = Namespace::create("nowhere");
            nowhere_bridge = next_index++;
            Links{*nowhere}.add_bridge("switch", nowhere_bridge);
            const Entered entered{*nowhere};
            set(switch_settings);
        }
        const auto index = next_index++, port = next_index++;
        Links{*nowhere}.add_veth("port" + std::to_string(ports++), port, nowhere_bridge, {&firewall, name, index});
        if (ipv6_left) links.no_ipv6(index);
        links.up_without_arp(index, name);
        links.forward(index, name);
        return index;
    }
    void sit_on_card(const Namespace& machine, const Namespace& place, Links& links, scenario::Ipv4 address,
                     const scenario::Zone& zone) {
        const auto index = next_index++;
        Links{machine}.add_macvlan(cards.at(zone.name), {&place, host_interface, index});
        {
            const Entered entered{place};
            plain_packets(host_interface);
        }
        if (ipv6_left) links.no_ipv6(index);
        settle(links, index, host_interface, address, zone);
    }
    std::map<std::string, int, std::less<>> cards;  // by zone
    bool ipv6_left = false;                         // /proc/sys does not let us switch it off
};

namespace {

// What hosts of `at` cannot route to: Scenario::routed() as routes.
void hide_private(const scenario::Scenario& scenario, const scenario::Zone& at, Links& links) {
    for (const auto& zone : scenario.zones) {
        if (zone.name == at.name) continue;
        if (zone.reachable.empty() && !zone.is_private.value_or(false)) {
            for (const auto& host : scenario.hosts)
                if (host.zone == zone.name && !scenario.routed(host.address, at.name)) links.no_route({host.address, 32});
            continue;
        }
        std::set<scenario::Subnet> reachable{zone.reachable.begin(), zone.reachable.end()};
        for (const auto& host : scenario.hosts)
            if (const auto known_as = host.published_to(at.name); known_as && zone.subnet.contains(*known_as))
                reachable.insert({*known_as, 32});
        if (!reachable.contains(zone.subnet)) links.no_route(zone.subnet);
        for (const auto& net : reachable) links.route(net, at.gateway);
    }
}

}  // namespace

Network::Network(const scenario::Scenario& scenario, const Setting& setting, bool translated) : parts_{std::make_unique<Parts>()} {
    auto& parts = *parts_;
    constexpr int loopback = 1;
    parts.ipv6_left = ::access("/proc/sys/net/ipv6/conf/all/disable_ipv6", F_OK) == 0 &&
                      ::access("/proc/sys/net/ipv6/conf/all/disable_ipv6", W_OK) != 0;
    std::deque<Links> all_links;
    if (setting.built_in()) {
        for (const auto& zone : scenario.zones) {
            const auto& place = parts.switches.emplace(zone.name, Namespace::create("zone " + zone.name)).first->second;
            const auto bridge = parts.bridges[zone.name] = parts.next_index++;
            Links links{place};
            links.add_bridge("switch", bridge);
            const Entered entered{place};
            parts.set(switch_settings);
        }
        for (const auto& box : scenario::boxes(scenario)) {
            const auto view = scenario::as_seen_by(scenario, box);
            auto& made = parts.boxes.emplace_back(Parts::Box{box.name, Namespace::create(scenario::box_words(scenario, box.name))});
            {
                const Entered entered{made.place};
                parts.set(firewall_settings);
            }
            auto& links = all_links.emplace_back(made.place);
            links.up(loopback, "lo");
            for (const auto& side : box.sides)
                made.cables[side.zone] = parts.connect(made.place, links, side.interface, side.address, *scenario.zone(side.zone), true);
            for (const auto& side : box.sides)  // as a gateway has its further addresses, or answers for them
                if (const auto& zone = *scenario.zone(side.zone); side.address == zone.gateway)
                    for (const auto address : scenario.published_in(zone)) links.address(made.cables.at(side.zone).index, address, {address, 32});
            for (const auto& zone : scenario.zones)
                if (const auto* const next = scenario::side_of(box, zone.name) == nullptr ? scenario::next_box(scenario, box, zone.name) : nullptr)
                    links.route(zone.subnet, scenario::side_of(*next, scenario::shared_side(box, *next)->zone)->address);
            for (const auto& host : scenario.hosts) {  // beyond its zone's subnet
                if (!host.sample || scenario.zone(host.zone)->subnet.contains(host.address)) continue;
                if (const auto cable = made.cables.find(host.zone); cable != made.cables.end())
                    links.on_link(host.address, cable->second.index);
                else if (const auto* const next = scenario::next_box(scenario, box, host.zone))
                    links.route({host.address, 32}, scenario::side_of(*next, scenario::shared_side(box, *next)->zone)->address);
            }
            surround(
                made.place, links, view, made.cables, [&](const std::string& name) { return parts.add_interface(made.place, links, name); },
                !setting.plain, parts.notes);
        }
    }
    for (const auto& [zone, card] : setting.attached)
        parts.cards[zone] = examine_card(setting, zone, card, parts.notes);

    for (const auto& host : scenario.hosts) {
        if (!setting.has(host)) continue;
        const auto& place = parts.hosts.emplace(host.name, Namespace::create("host " + host.name)).first->second;
        {
            const Entered entered{place};
            parts.set(host_settings);
        }
        auto& links = all_links.emplace_back(place);
        const auto& zone = *scenario.zone(host.zone);
        links.up(loopback, "lo");
        if (setting.built_in()) {
            parts.connect(place, links, host_interface, host.address, zone, false);
        } else {
            parts.sit_on_card(*setting.machine, place, links, host.address, zone);
        }
        links.default_route(zone.gateway);
        if (translated) hide_private(scenario, zone, links);
    }
    for (const auto& [zone, place] : parts.switches) all_links.emplace_back(place);

    const auto limit = steady_clock::now() + links_ready_limit;
    for (auto& links : all_links)
        while (!links.ready()) {
            if (steady_clock::now() > limit)
                throw SetupFailed{"bring up the lab's links", "a link has no carrier after 10 s",
                                  setting.attached.empty() ? "" : "is the cable plugged in?"};
            ::poll(nullptr, 0, 1);
        }
}

Network::~Network() = default;

const Namespace& Network::host(std::string_view name) const {
    const auto found = parts_->hosts.find(name);
    if (found == parts_->hosts.end()) throw std::out_of_range{"no host " + std::string{name}};
    return found->second;
}

const Namespace& Network::firewall() const {
    if (parts_->boxes.empty()) throw std::out_of_range{"the firewall is not the built-in one"};
    return parts_->boxes.front().place;
}
const Namespace& Network::firewall(std::string_view box) const {
    const auto found = std::ranges::find(parts_->boxes, box, &Parts::Box::name);
    if (found == parts_->boxes.end()) throw std::out_of_range{"no built-in firewall " + std::string{box}};
    return found->place;
}
const Namespace& Network::switch_of(std::string_view zone) const {
    const auto found = parts_->switches.find(zone);
    if (found == parts_->switches.end()) throw std::out_of_range{"no zone " + std::string{zone} + " with a switch"};
    return found->second;
}
void Network::add_interface(std::string_view box, const std::string& name) {
    const auto& place = firewall(box);
    Links links{place};
    parts_->add_interface(place, links, name);
}
void Network::plug(std::string_view zone, bool in) {
    firewall();
    const auto& cables = parts_->boxes.front().cables;
    const auto cable = cables.find(zone);
    if (cable == cables.end()) throw std::out_of_range{"no zone " + std::string{zone} + " with a switch"};
    Links links{*cable->second.zone};
    if (in)
        links.up(cable->second.port, "to zone " + std::string{zone});
    else
        links.down(cable->second.port, "to zone " + std::string{zone});
}
void Network::forget_connections() {
    for (const auto& box : parts_->boxes) lab::forget_connections(box.place);
}
const std::vector<std::string>& Network::notes() const { return parts_->notes; }

std::string hosts_file(const scenario::Scenario& scenario, std::string_view zone) {
    std::string text = "127.0.0.1 localhost\n";
    for (const auto& host : scenario.hosts) {
        const auto published = zone.empty() ? std::nullopt : host.published_to(zone);
        text += published.value_or(host.address).text() + " " + host.name + "\n";
    }
    for (const auto& box : scenario::boxes(scenario))
        for (const auto& [name, address] : box.names) text += address.text() + " " + name + "\n";
    return text;
}

}  // namespace wmlab::lab
