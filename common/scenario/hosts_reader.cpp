#include "common/scenario/hosts_reader.hpp"

#include <algorithm>

#include "common/scenario/sections.hpp"
#include "common/scenario/staging_reader.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::size_t hosts_max = 1'000;

class HostsReader {
public:
    explicit HostsReader(ReadContext& context) : scenario_{context.scenario}, problems_{context.problems} {}

    void read(const Node& node) {
        MapReader section{node, "`hosts`", problems_, "like media: { zone: inside, address: 10.10.0.10 }"};
        for (const auto& [key, value] : node.entries) {
            if (!check_name(problems_, key, "host") || scenario_.host(key.text) != nullptr) continue;
            if (key.text == "localhost" || key.text == "firewall") problems_.add(key, "a host cannot be called", "the name has a meaning of its own");
            if (scenario_.hosts.size() == hosts_max) {
                problems_.add(key, "more than " + std::to_string(hosts_max) + " hosts:");
                return;
            }
            read_host(key, value);
        }
    }

private:
    void read_host(const Node& key, const Node& value) {
        MapReader map{value, "host " + ticked(key.text), problems_, "like { zone: inside, address: 10.10.0.10 }"};
        Host host;
        host.name = key.text;
        const Zone* zone = nullptr;
        if (const auto* node = map.require("zone")) {
            if (const auto given = map.text(*node, "zone")) {
                host.zone = *given;
                zone = scenario_.zone(*given);
                if (zone == nullptr && !scenario_.zones.empty())
                    problems_.add(*node, "unknown zone", problems_.did_you_mean(*given, names_of(scenario_.zones)));
            }
        }
        if (const auto* node = map.require("address"))
            if (const auto given = map.text(*node, "address")) {
                host.asked = *given == "auto";
                if (!host.asked) read_address(host, *node, *given, zone);
            }
        if (const auto* node = map.find("run")) host.run = read_words(map, *node, "run", false);
        if (const auto* node = map.find("launch")) {
            host.launch = read_words(map, *node, "launch", true);
        } else {
            host.launch = launch_of(scenario_, host);
            if (host.asked && std::ranges::any_of(scenario_.launch, [](const std::string& word) { return word.find("{address}") != std::string::npos; }))
                problems_.add(key, "an address that is to be asked for, of host",
                              "`launch` needs it to reach the host: take {host} there, or name the address");
        }
        if (const auto* node = map.find("published")) read_published(host, *node, map);
        map.finish();
        scenario_.hosts.push_back(std::move(host));
    }

    void read_address(Host& host, const Node& node, const std::string& given, const Zone* zone) {
        const auto address = Ipv4::from(given);
        if (!address) {
            problems_.add(node, "not an IPv4 address:");
            return;
        }
        host.address = *address;
        if (zone != nullptr && zone->subnet.prefix != 32 && check_inside(scenario_, problems_, node, *address, *zone) && *address == zone->gateway)
            problems_.add(node, "the firewall's own address in zone " + ticked(zone->name) + ':', "take another, or say `gateway:` in the zone");
        if (const auto* other = scenario_.host_at(*address)) problems_.add(node, "two hosts with one address:", "also that of host " + ticked(other->name));
    }

    // One address for all other zones, or a map with one for each zone that knows it by another (split DNS).
    void read_published(Host& host, const Node& node, MapReader& map) {
        if (!node.is(Node::Kind::map)) {
            if (const auto given = map.text(node, "published")) read_published_address(host, node, *given, "");
            return;
        }
        MapReader zones{node, "`published` of host " + ticked(host.name), problems_, "like { outside: 198.51.100.5 }"};
        for (const auto& [key, value] : node.entries) {
            if (!key.is(Node::Kind::scalar) || host.published.contains(key.text)) continue;  // said by MapReader
            if (scenario_.zone(key.text) == nullptr && !scenario_.zones.empty())
                problems_.add(key, "unknown zone", problems_.did_you_mean(key.text, names_of(scenario_.zones)));
            if (const auto given = zones.text(value, key.text)) read_published_address(host, value, *given, key.text);
        }
    }

    // Any address but a host's: the firewall's own in another zone, or one that is routed to it.
    void read_published_address(Host& host, const Node& node, const std::string& given, const std::string& zone) {
        const auto address = Ipv4::from(given);
        if (!address)
            problems_.add(node, "not an IPv4 address:");
        else if (*address == host.address)
            problems_.add(node, "the host's own address as `published`:", "leave it out where nothing is translated");
        else if (const auto* other = scenario_.host_at(*address))
            problems_.add(node, "the address of host " + ticked(other->name) + " as `published`:");
        else
            host.published[zone] = *address;
    }

    Scenario& scenario_;
    Problems& problems_;
};

}  // namespace

void read_hosts(ReadContext& context, const yaml::Node& node) { HostsReader{context}.read(node); }

}  // namespace wmlab::scenario
