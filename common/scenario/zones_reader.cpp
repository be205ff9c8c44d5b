#include "common/scenario/zones_reader.hpp"

#include <algorithm>

#include "common/scenario/boxes_reader.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/sections.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

class ZonesReader {
public:
    explicit ZonesReader(ReadContext& context) : scenario_{context.scenario}, problems_{context.problems} {}

    std::vector<Sampled> sampled;

    void read(const Node& node) {
        MapReader section{node, "`zones`", problems_, "like inside: { subnet: 10.10.0.0/24 }"};
        for (const auto& [key, value] : node.entries) {
            if (!check_name(problems_, key, "zone") || scenario_.zone(key.text) != nullptr) continue;
            if (scenario_.zones.size() == zones_max) {
                problems_.add(key, "more than " + std::to_string(zones_max) + " zones:");
                return;
            }
            read_zone(key, value);
        }
        if (node.is(Node::Kind::map) && scenario_.zones.size() < 2)
            problems_.add(node.at, {}, "less than two zones", "a firewall is between two zones or more");
    }

private:
    void read_zone(const Node& key, const Node& value) {
        MapReader map{value, "zone " + ticked(key.text), problems_, "like { subnet: 10.10.0.0/24, interface: inside }"};
        Zone zone;
        zone.name = key.text;
        const auto subnet = read_subnet(map);
        if (subnet) {
            zone.subnet = *subnet;
            zone.gateway = Ipv4{subnet->network.value + 1};
        } else {
            zone.subnet = {{}, 32};  // contains no host; see read_address
        }
        if (const auto* node = map.find("gateway")) {
            if (const auto given = map.text(*node, "gateway")) {
                const auto gateway = Ipv4::from(*given);
                if (!gateway) {
                    problems_.add(*node, "not an IPv4 address:");
                } else if (subnet) {
                    zone.gateway = *gateway;
                    check_inside(scenario_, problems_, *node, *gateway, zone);
                }
            }
        }
        if (const auto* node = map.find("igmp")) {
            const auto given = map.text(*node, "igmp");
            zone.igmp_lost = given == "lost";
            if (given && *given != "lost" && *given != "heard") problems_.add(*node, "unknown `igmp`", problems_.did_you_mean(*given, {"heard", "lost"}));
        }
        read_reach(map, zone, subnet);
        if (const auto* node = map.find("samples")) read_samples(map, *node, zone);
        read_interface(map, zone, key);
        map.finish();
        scenario_.zones.push_back(std::move(zone));
    }

    // What other zones can route to.
    void read_reach(MapReader& map, Zone& zone, const std::optional<Subnet>& subnet) {
        const auto* const hidden = map.find("private");
        if (hidden != nullptr) {
            const auto given = map.text(*hidden, "private");
            if (given == "true" || given == "false") zone.is_private = given == "true";
            if (given && !zone.is_private) problems_.add(*hidden, "`private` is not true or false:", "true: other zones have no route to it");
        }
        const auto* const node = map.find("reachable");
        if (node == nullptr) return;
        if (zone.is_private == false) problems_.add(*node, "`reachable` beside `private: false`", "with that all addresses are reachable");
        for (const auto* one : one_or_more(*node)) {
            const auto given = map.text(*one, "reachable");
            if (!given) continue;
            const auto net = Subnet::from(given->find('/') == std::string::npos ? *given + "/32" : *given);
            if (!net)
                problems_.add(*one, "not an IPv4 address or network:", "like 10.10.0.10 or 10.10.0.0/28");
            else if (subnet && (!subnet->contains(net->network) || net->prefix < subnet->prefix))
                problems_.add(*one, "outside of zone " + ticked(zone.name) + ", " + subnet->text() + ':');
            else
                zone.reachable.push_back(*net);
        }
        if (node->is(Node::Kind::sequence) && node->items.empty()) zone.is_private = true;
    }

    // From where `anyone` of the zone is played.
    void read_samples(MapReader& map, const Node& node, Zone& zone) {
        constexpr std::string_view like = "like samples: [203.0.113.7, 198.51.100.1]";
        for (const auto* one : one_or_more(node)) {
            std::optional<std::string> given;
            Sample sample;
            const Node* at = one;
            if (one->is(Node::Kind::map)) {
                MapReader entry{*one, "an entry of `samples`", problems_, std::string{like}};
                if (const auto* address = entry.require("address")) at = address, given = entry.text(*address, "address");
                if (const auto* words = entry.find("stands_for")) sample.stands_for = entry.text(*words, "stands_for").value_or("");
                entry.finish();
            } else {
                given = map.text(*one, "samples");
            }
            if (!given) continue;
            const auto address = Ipv4::from(*given);
            const auto first = address ? address->value >> 24 : 0;
            if (!address || first == 0 || first == 127 || first >= 224) {
                problems_.add(*at, "not an ordinary IPv4 address:", std::string{like});
                continue;
            }
            sample.address = *address;
            if (std::ranges::find(zone.samples, *address, &Sample::address) != zone.samples.end()) {
                problems_.add(*at, "`samples` names an address twice:");
                continue;
            }
            if (zone.samples.size() == samples_max) {
                problems_.add(*at, "more than " + std::to_string(samples_max) + " samples:");
                return;
            }
            zone.samples.push_back(sample);
            sampled.push_back({at, zone.name, *address});
        }
    }

    std::optional<Subnet> read_subnet(MapReader& map) {
        const auto* node = map.require("subnet");
        const auto given = node != nullptr ? map.text(*node, "subnet") : std::nullopt;
        if (!given) return std::nullopt;
        const auto subnet = Subnet::from(*given);
        if (!subnet) {
            const auto slash = given->find('/');
            const auto address = Ipv4::from(std::string_view{*given}.substr(0, slash));
            const auto prefix = slash == std::string::npos ? std::optional{24u} : count_from(std::string_view{*given}.substr(slash + 1));
            std::string suggestion = "like 10.10.0.0/24";
            if (address && prefix && *prefix >= 1 && *prefix <= 30) {
                const Subnet meant{Ipv4{address->value & ~std::uint32_t{0} << (32 - *prefix)}, *prefix};
                suggestion = "did you mean " + ticked(meant.text()) + '?';
            }
            problems_.add(*node, "not an IPv4 subnet:", suggestion);
            return std::nullopt;
        }
        const auto first = subnet->network.value >> 24;
        if (subnet->prefix < 8 || subnet->prefix > 30) {
            problems_.add(*node, "the subnet's prefix is outside of 8 to 30:");
        } else if (first == 0 || first == 127 || first >= 224) {
            problems_.add(*node, "not a subnet of ordinary addresses:");
        } else {
            for (const auto& other : scenario_.zones) {
                if (other.subnet.prefix == 32) continue;
                if (!other.subnet.contains(subnet->network) && !subnet->contains(other.subnet.network)) continue;
                problems_.add(*node, "subnet overlaps that of zone " + ticked(other.name) + ':', other.subnet.text());
                break;
            }
            return subnet;
        }
        return std::nullopt;
    }

    void read_interface(MapReader& map, Zone& zone, const Node& key) {
        const auto* node = map.find("interface");
        const auto given = node != nullptr ? map.text(*node, "interface") : std::optional{zone.name};
        if (!given) return;
        const auto& at = node != nullptr ? *node : key;
        zone.interface = *given;
        if (given->size() > interface_size_max) {
            problems_.add(at, "interface name longer than 15 characters:",
                          node != nullptr ? "Linux takes no more" : "the zone's name serves as its interface: give `interface`");
        } else if (!is_interface_name(*given) && (node != nullptr || is_name(zone.name))) {
            problems_.add(at, "not an interface name:");
        }
        for (const auto& other : scenario_.zones)
            if (other.interface == *given) problems_.add(at, "interface name used twice:", "also that of zone " + ticked(other.name));
    }

    Scenario& scenario_;
    Problems& problems_;
};

}  // namespace

std::vector<Sampled> read_zones(ReadContext& context, const yaml::Node& node) {
    ZonesReader reader{context};
    reader.read(node);
    return std::move(reader.sampled);
}

void check_samples(const ReadContext& context, const std::vector<Sampled>& samples) {
    const auto& scenario = context.scenario;
    auto& problems = context.problems;
    for (const auto& [node, name, address] : samples) {
        const auto* const host = scenario.host_at(address);
        if (host != nullptr && host->zone == name) continue;  // it plays
        if (host != nullptr) {
            problems.add(*node, "the address of host " + ticked(host->name) + " as a sample of zone " + ticked(name) + ':');
            continue;
        }
        if (std::ranges::any_of(scenario.hosts, [&address = address](const Host& one) { return one.published_at(address); })) {
            problems.add(*node, "a `published` address as a sample of zone " + ticked(name) + ':');
            continue;
        }
        for (const auto& zone : scenario.zones) {
            if (zone.subnet.prefix == 32 || !zone.subnet.contains(address)) continue;
            if (zone.name != name)
                problems.add(*node, "a sample of zone " + ticked(name) + " lies in zone " + ticked(zone.name) + ':', zone.subnet.text());
            else if (address == zone.gateway)
                problems.add(*node, "the firewall's own address as a sample:");
            else
                check_inside(scenario, problems, *node, address, zone);
        }
    }
}

}  // namespace wmlab::scenario
