#include "common/scenario/loader.hpp"

#include <algorithm>
#include <iostream>
#include <sstream>

#include "common/bytes/utf16.hpp"
#include "common/scenario/boxes_reader.hpp"
#include "common/scenario/events.hpp"
#include "common/scenario/flow_reader.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/problems.hpp"
#include "common/scenario/staging_reader.hpp"
#include "common/scenario/template.hpp"
#include "common/scenario/surroundings.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::size_t hosts_max = 1'000, contents_max = 1'000;

template <class Things>
std::vector<std::string_view> names_of(const Things& things) {
    std::vector<std::string_view> names;
    for (const auto& thing : things) names.push_back(thing.name);
    return names;
}

class Reader {
public:
    Reader(ReadContext& context, const Node& root)
        : context_{context}, scenario_{context.scenario}, problems_{context.problems}, root_{root} {}

    void read() {
        MapReader top{root_, "the scenario", problems_, "a scenario is a map: version, zones, hosts, flows ..."};
        if (!root_.is(Node::Kind::map)) return;
        read_version(top);
        if (const auto* node = top.find("name"))
            if (const auto given = top.text(*node, "name")) scenario_.name = *given;
        const auto* zones = top.require("zones");
        const auto* hosts = top.require("hosts");
        if (zones != nullptr) read_zones(*zones);
        context_.hosts_known = hosts != nullptr && hosts->is(Node::Kind::map);
        if (const auto* launch = top.find("launch")) read_default_launch(context_, top, *launch);
        if (hosts != nullptr) read_hosts(*hosts);
        check_samples();
        const auto *const firewall = top.find("firewall"), *const firewalls = top.find("firewalls");
        if (firewall != nullptr) {
            read_firewall(*firewall);
            if (firewalls != nullptr)
                problems_.add(firewalls->at, {}, "`firewalls` beside `firewall`", "one firewall is `firewall:`, several are `firewalls:`");
        } else if (firewalls != nullptr) {
            read_firewalls(context_, *firewalls, [this](MapReader& map) { read_inside(map); });
        }
        if (const auto* contents = top.find("content")) read_contents(*contents);
        for (auto* list : {&scenario_.accepted, &scenario_.allow_open}) {
            const auto* const key = list == &scenario_.accepted ? "accepted" : "allow_open";
            if (const auto* node = top.find(key)) read_accepted(*node, key, *list);
        }
        if (const auto* events = top.find("events")) {
            read_events(context_, *events);
            if (!scenario_.firewalls.empty() && !scenario_.events.empty())
                problems_.add(events->at, {}, "`events` with several `firewalls`", "they are done to a single `firewall:`");
        }
        const auto* defaults = top.find("defaults");
        if (const auto* flows = top.require("flows")) read_flows(context_, *flows, defaults);
        top.finish();
    }

private:
    void read_version(MapReader& top) {
        const auto* node = top.require("version");
        const auto given = node != nullptr ? top.text(*node, "version") : std::nullopt;
        if (given && *given != "1") problems_.add(*node, "unknown version", "this wmlab reads version 1");
    }

    // One entry of a section; false where it is not to be read. A bad name is a problem, the entry is read all the
    // same.
    bool check_name(const Node& key, const std::string& what) {
        if (!key.is(Node::Kind::scalar)) return false;  // said by MapReader
        if (!is_name(key.text)) {
            const auto like = name_like(key.text);
            problems_.add(key, "not a " + what + " name:",
                          like.empty() ? "names match [a-z][a-z0-9_-]*" : "like " + ticked(like));
        }
        return true;
    }

    void read_zones(const Node& node) {
        MapReader section{node, "`zones`", problems_, "like inside: { subnet: 10.10.0.0/24 }"};
        for (const auto& [key, value] : node.entries) {
            if (!check_name(key, "zone") || scenario_.zone(key.text) != nullptr) continue;
            if (scenario_.zones.size() == zones_max) {
                problems_.add(key, "more than " + std::to_string(zones_max) + " zones:");
                return;
            }
            read_zone(key, value);
        }
        if (node.is(Node::Kind::map) && scenario_.zones.size() < 2)
            problems_.add(node.at, {}, "less than two zones", "a firewall is between two zones or more");
    }

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
                    check_inside(*node, *gateway, zone);
                }
            }
        }
        if (const auto* node = map.find("igmp")) {
            const auto given = map.text(*node, "igmp");
            zone.igmp_lost = given == "lost";
            if (given && *given != "lost" && *given != "heard")
                problems_.add(*node, "unknown `igmp`", problems_.did_you_mean(*given, {"heard", "lost"}));
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
            if (given && !zone.is_private)
                problems_.add(*hidden, "`private` is not true or false:", "true: other zones have no route to it");
        }
        const auto* const node = map.find("reachable");
        if (node == nullptr) return;
        if (zone.is_private == false)
            problems_.add(*node, "`reachable` beside `private: false`", "with that all addresses are reachable");
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

    // From where `anyone` of the zone is played. Whose addresses they are is checked when hosts are known.
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
            sampled_.push_back({at, zone.name, *address});
        }
    }

    void check_samples() {
        for (const auto& [node, name, address] : sampled_) {
            const auto* const host = scenario_.host_at(address);
            if (host != nullptr && host->zone == name) continue;  // it plays
            if (host != nullptr) {
                problems_.add(*node, "the address of host " + ticked(host->name) + " as a sample of zone " + ticked(name) + ':');
                continue;
            }
            if (std::ranges::any_of(scenario_.hosts, [&address = address](const Host& one) { return one.published_at(address); })) {
                problems_.add(*node, "a `published` address as a sample of zone " + ticked(name) + ':');
                continue;
            }
            for (const auto& zone : scenario_.zones) {
                if (zone.subnet.prefix == 32 || !zone.subnet.contains(address)) continue;
                if (zone.name != name)
                    problems_.add(*node, "a sample of zone " + ticked(name) + " lies in zone " + ticked(zone.name) + ':', zone.subnet.text());
                else if (address == zone.gateway)
                    problems_.add(*node, "the firewall's own address as a sample:");
                else
                    check_inside(*node, address, zone);
            }
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
            const auto prefix = slash == std::string::npos ? std::optional{24u}
                                                           : count_from(std::string_view{*given}.substr(slash + 1));
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
            problems_.add(
                at, "interface name longer than 15 characters:",
                node != nullptr ? "Linux takes no more" : "the zone's name serves as its interface: give `interface`");
        } else if (!is_interface_name(*given) && (node != nullptr || is_name(zone.name))) {
            problems_.add(at, "not an interface name:");
        }
        for (const auto& other : scenario_.zones)
            if (other.interface == *given)
                problems_.add(at, "interface name used twice:", "also that of zone " + ticked(other.name));
    }

    // In the zone's subnet, and neither the network's nor the broadcast address.
    bool check_inside(const Node& node, Ipv4 address, const Zone& zone) {
        if (!zone.subnet.contains(address)) {
            std::string suggestion;
            for (const auto& other : scenario_.zones)
                if (other.subnet.prefix != 32 && other.subnet.contains(address))
                    suggestion = "it lies in zone " + ticked(other.name);
            problems_.add(node, "address outside of zone " + ticked(zone.name) + ", " + zone.subnet.text() + ':',
                          suggestion);
        } else if (address == zone.subnet.network) {
            problems_.add(node, "the network's own address:");
        } else if (address == zone.subnet.broadcast()) {
            problems_.add(node, "the network's broadcast address:");
        } else {
            return true;
        }
        return false;
    }

    void read_hosts(const Node& node) {
        MapReader section{node, "`hosts`", problems_, "like media: { zone: inside, address: 10.10.0.10 }"};
        for (const auto& [key, value] : node.entries) {
            if (!check_name(key, "host") || scenario_.host(key.text) != nullptr) continue;
            if (key.text == "localhost" || key.text == "firewall")
                problems_.add(key, "a host cannot be called", "the name has a meaning of its own");
            if (scenario_.hosts.size() == hosts_max) {
                problems_.add(key, "more than " + std::to_string(hosts_max) + " hosts:");
                return;
            }
            read_host(key, value);
        }
    }

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
            if (const auto given = map.text(*node, "address")) read_address(host, *node, *given, zone);
        if (const auto* node = map.find("run")) host.run = read_words(map, *node, "run", false);
        if (const auto* node = map.find("launch")) {
            host.launch = read_words(map, *node, "launch", true);
        } else {
            host.launch = launch_of(scenario_, host);
        }
        if (const auto* node = map.find("published"))
            read_published(host, *node, map);
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
        if (zone != nullptr && zone->subnet.prefix != 32 && check_inside(node, *address, *zone) &&
            *address == zone->gateway)
            problems_.add(node, "the firewall's own address in zone " + ticked(zone->name) + ':',
                          "take another, or say `gateway:` in the zone");
        if (const auto* other = scenario_.host_at(*address))
            problems_.add(node, "two hosts with one address:", "also that of host " + ticked(other->name));
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

    void read_firewall(const Node& node) {
        MapReader map{node, "`firewall`", problems_, "like { ruleset: rules.nft }"};
        read_inside(map);
        map.finish();
    }

    void read_inside(MapReader& map) {
        if (const auto* ruleset = map.find("ruleset"))
            if (const auto given = map.text(*ruleset, "ruleset"))
                scenario_.firewall.ruleset = read_path(context_, *ruleset, *given, "ruleset", context_.files == Files::checked);
        if (const auto* routes = map.find("multicast_routes")) read_multicast_routes(*routes);
        if (const auto* apply = map.find("apply")) scenario_.firewall.apply = read_apply(map, *apply);
        read_staging(context_, map);
        read_surroundings(context_, map);
    }

    void read_multicast_routes(const Node& node) {
        constexpr std::string_view like = "like - { from: inside, to: [outside], groups: 239.0.0.0/8 }";
        auto& rules = scenario_.firewall.multicast_routes.emplace();
        if (!node.is(Node::Kind::sequence)) {
            if (!node.is(Node::Kind::null)) problems_.add(node, "`multicast_routes` is not a list:", std::string{like});
            return;
        }
        for (const auto& item : node.items) {
            MapReader map{item, "a route of `multicast_routes`", problems_, std::string{like}};
            MulticastRouteRule rule;
            const auto zone = [&](const Node& at, std::string_view key) -> std::string {
                const auto given = map.text(at, key);
                if (!given) return {};
                if (scenario_.zone(*given) == nullptr && !scenario_.zones.empty())
                    problems_.add(at, "unknown zone", problems_.did_you_mean(*given, names_of(scenario_.zones)));
                return *given;
            };
            if (const auto* from = map.require("from")) rule.from = zone(*from, "from");
            if (const auto* to = map.require("to"))
                for (const auto* one : one_or_more(*to)) {
                    rule.to.push_back(zone(*one, "to"));
                    if (rule.to.back() == rule.from && !rule.from.empty())
                        problems_.add(*one, "inside a zone nothing is routed:");
                }
            if (const auto* groups = map.require("groups"))
                for (const auto* one : one_or_more(*groups)) {
                    const auto given = map.text(*one, "groups");
                    if (!given) continue;
                    const auto block = Subnet::from(given->find('/') == std::string::npos ? *given + "/32" : *given);
                    if (!block || block->network.value >> 28 != 0xE || block->prefix < 4)
                        problems_.add(*one, "not a group or block of groups from 224.0.0.0 to 239.255.255.255:",
                                      "like 239.1.2.3 or 239.0.0.0/8");
                    else
                        rule.groups.push_back(*block);
                }
            map.finish();
            rules.push_back(std::move(rule));
        }
    }

    void read_accepted(const Node& node, const std::string& key, std::vector<Accepted>& list) {
        constexpr std::string_view like = "like - { rule: \"tcp dport 22\", reason: administration, until: 2027-03-31 }";
        if (!node.is(Node::Kind::sequence)) {
            if (!node.is(Node::Kind::null)) problems_.add(node, "`" + key + "` is not a list:", std::string{like});
            return;
        }
        for (const auto& item : node.items) {
            MapReader map{item, "an entry of `" + key + "`", problems_, std::string{like}};
            Accepted entry;
            entry.line = static_cast<unsigned>(item.at.line) + 1;
            const auto read = [&](std::string_view name, std::string& into) {
                if (const auto* at = map.find(name))
                    if (const auto given = map.text(*at, name)) into = *given;
            };
            read("rule", entry.rule), read("from", entry.from), read("to", entry.to), read("protocol", entry.protocol);
            if (const auto* at = map.find("ports"))
                for (const auto* one : one_or_more(*at))
                    if (const auto given = map.text(*one, "ports")) {
                        if (const auto range = PortRange::from(*given))
                            entry.ports.push_back(*range);
                        else
                            problems_.add(*one, "not a port or a range of ports from 1 to 65535:", "like 22 or 5900-5910");
                    }
            if (const auto* at = map.require("reason"))
                if (const auto given = map.text(*at, "reason")) entry.reason = *given;
            if (const auto* at = map.find("until"))
                if (const auto given = map.text(*at, "until")) {
                    entry.until = *given;
                    if (!is_date(*given)) problems_.add(*at, "not a day:", "like 2027-03-31");
                }
            if (entry.rule.empty() && entry.from.empty() && entry.to.empty() && entry.protocol.empty() && entry.ports.empty())
                problems_.add(item.at, {}, "an entry of `" + key + "` says what it is about: rule, from, to, protocol or ports",
                              std::string{like});
            map.finish();
            list.push_back(std::move(entry));
        }
    }

    static bool is_date(std::string_view text) {
        if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
        for (std::size_t i = 0; i < text.size(); ++i)
            if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9')) return false;
        const auto month = text.substr(5, 2), day = text.substr(8, 2);
        return month >= "01" && month <= "12" && day >= "01" && day <= "31";
    }

    static std::vector<const Node*> one_or_more(const Node& node) {
        if (!node.is(Node::Kind::sequence)) return {&node};
        std::vector<const Node*> all;
        for (const auto& item : node.items) all.push_back(&item);
        return all;
    }

    void read_contents(const Node& node) {
        MapReader section{node, "`content`", problems_, "like lecture: { synthetic: audio }"};
        context_.contents_known = node.is(Node::Kind::map);
        for (const auto& [key, value] : node.entries) {
            if (!check_name(key, "content") || scenario_.content(key.text) != nullptr) continue;
            if (scenario_.contents.size() == contents_max) {
                problems_.add(key, "more than " + std::to_string(contents_max) + " contents:");
                return;
            }
            read_content(key, value);
        }
    }

    void read_content(const Node& key, const Node& value) {
        MapReader map{value, "content " + ticked(key.text), problems_,
                      "like { synthetic: audio } or { file: lecture.wmv }"};
        Content content;
        content.name = key.text;
        const auto* synthetic = map.find("synthetic");
        const auto* file = map.find("file");
        const auto* bitrate = map.find("bitrate");
        const auto* duration = map.find("duration");
        if (value.is(Node::Kind::map) && (synthetic == nullptr) == (file == nullptr))
            problems_.add(value.at, {},
                          map.owner() + (file == nullptr ? " has neither `synthetic` nor `file`"
                                                         : " has both `synthetic` and `file`"));
        if (synthetic != nullptr) {
            const auto given = map.text(*synthetic, "synthetic");
            if (given && *given != "audio")
                problems_.add(*synthetic, "unknown synthetic content", problems_.did_you_mean(*given, {"audio"}));
        }
        if (file != nullptr) {
            content.kind = Content::Kind::file;
            if (const auto given = map.text(*file, "file"))
                content.file = read_path(context_, *file, *given, "content file");
            for (const auto* other : {bitrate, duration})
                if (other != nullptr && synthetic == nullptr)
                    problems_.add(*other, "the file itself says its bitrate and duration:", "remove it");
        }
        if (bitrate != nullptr) {
            if (const auto given = map.text(*bitrate, "bitrate")) {
                const auto rate = bitrate_from(*given);
                if (!rate) {
                    problems_.add(*bitrate, "not a bitrate:", "like 64k or 1.5M");
                } else if (*rate < bitrate_min || *rate > bitrate_max) {
                    const bool thousands = *rate >= bitrate_min / 1000 && *rate <= bitrate_max / 1000;
                    problems_.add(*bitrate, "`bitrate` is outside of 8k to 20M:",
                                  thousands ? "did you mean " + ticked(*given + "k") + '?' : std::string{});
                } else {
                    content.bitrate = *rate;
                }
            }
        }
        if (duration != nullptr) {
            if (const auto given = map.text(*duration, "duration")) {
                const auto length = duration_from(*given);
                if (!length || *length < milliseconds{1000} || *length > play_max) {
                    problems_.add(*duration, "not a duration from 1s to 24h:", "leave it out for a live stream");
                } else {
                    content.duration = *length;
                }
            }
        }
        map.finish();
        scenario_.contents.push_back(std::move(content));
    }

    ReadContext& context_;
    Scenario& scenario_;
    Problems& problems_;
    const Node& root_;
    struct Sampled {
        const Node* at;
        std::string zone;
        Ipv4 address;
    };
    std::vector<Sampled> sampled_;
};

// Where the text stops being what a YAML file may hold; nothing: nowhere.
std::optional<std::pair<std::size_t, std::string>> bad_character(std::string_view text) {
    const auto round_trip = bytes::to_utf8(bytes::to_utf16(text));
    const auto [in, out] = std::ranges::mismatch(text, round_trip);
    if (in != text.end() || out != round_trip.end())
        return std::pair{static_cast<std::size_t>(in - text.begin()), std::string{"not UTF-8 from here on"}};
    const auto control = std::ranges::find_if(text, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    });
    if (control != text.end())
        return std::pair{static_cast<std::size_t>(control - text.begin()), std::string{"a control character"}};
    return std::nullopt;
}

yaml::Place place_of(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, offset);
    const auto line_start = before.rfind('\n');
    return {static_cast<unsigned>(std::ranges::count(before, '\n')) + 1,
            static_cast<unsigned>(line_start == std::string_view::npos ? offset : offset - line_start - 1) + 1};
}

// yaml-cpp is terse about what is behind a broken line.
std::string syntax_hint(std::string_view text, yaml::Place at) {
    for (unsigned line = 1; !text.empty(); ++line) {
        const auto end = text.find('\n');
        const auto this_line = text.substr(0, end);
        const auto indent = this_line.substr(0, this_line.find_first_not_of(" \t"));
        if (line == at.line && indent.find('\t') != std::string_view::npos)
            return "YAML takes no tabs for indentation: use blanks";
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return {};
}

// As if the zones said it.
void put_samples(Node& root, const Samples& samples) {
    const auto entry = [](Node& map, std::string_view key) {
        const auto found = std::ranges::find_if(map.entries, [&](const yaml::Entry& one) { return one.key.text == key; });
        return found == map.entries.end() ? nullptr : &found->value;
    };
    auto* const zones = entry(root, "zones");
    if (zones == nullptr) return;
    for (const auto& [name, list] : samples) {
        auto* const zone = entry(*zones, name);
        if (zone == nullptr || !zone->is(Node::Kind::map)) continue;
        const auto scalar = [&](std::string text) { return Node{Node::Kind::scalar, zone->at, std::move(text), {}, {}}; };
        Node all{Node::Kind::sequence, zone->at, {}, {}, {}};
        for (const auto& sample : list) {
            Node one{Node::Kind::map, zone->at, {}, {}, {}};
            one.entries.push_back({scalar("address"), scalar(sample.address.text())});
            if (!sample.stands_for.empty()) one.entries.push_back({scalar("stands_for"), scalar(sample.stands_for)});
            all.items.push_back(std::move(one));
        }
        std::erase_if(zone->entries, [](const yaml::Entry& one) { return one.key.text == "samples"; });
        zone->entries.push_back({scalar("samples"), std::move(all)});
    }
}

}  // namespace

Loaded load(std::string_view text, const std::string& file, const std::filesystem::path& directory, Files files,
            const Samples& samples) {
    Loaded loaded;
    loaded.scenario.file = file;
    loaded.scenario.name = file == "-" ? "scenario" : std::filesystem::path{file}.stem().string();
    if (text.size() > document_size_max) {
        loaded.problems.push_back({file, 0, 0, {}, "larger than 1 MiB: not a scenario", {}, {}});
        return loaded;
    }
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    Problems problems{file, text};
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
        problems.add({}, {}, "is UTF-16", "save it as UTF-8");
    } else if (const auto bad = bad_character(text)) {
        problems.add(place_of(text, bad->first), {}, bad->second);
    } else {
        auto document = yaml::parse(text);
        if (document.error) {
            const auto& error = *document.error;
            problems.add(error.at, {}, "YAML: " + error.what,
                         error.suggestion.empty() ? syntax_hint(text, error.at) : error.suggestion);
        } else {
            const auto here = std::filesystem::absolute(directory.empty() ? "." : directory);
            const bool made = expand(document.root, here, problems);
            put_samples(document.root, samples);
            if (made || !samples.empty()) loaded.expanded = to_yaml(document.root);
            ReadContext context{loaded.scenario, problems, here, files, true, true};
            Reader{context, document.root}.read();
        }
    }
    loaded.problems = std::move(problems).sorted();
    return loaded;
}

Loaded load_file(const std::filesystem::path& file, Files files) {
    if (file == "-") return load(read_document(std::cin), "-", std::filesystem::current_path(), files);
    const auto refused = [&](const std::string& why) {
        Loaded loaded;
        loaded.scenario.file = file;
        loaded.problems.push_back({file.string(), 0, 0, {}, why, {}, {}});
        return loaded;
    };
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return refused("no such file");
    if (!std::filesystem::is_regular_file(file, error))
        return refused(std::filesystem::is_directory(file, error)
                           ? "is a directory, not a scenario file"
                           : "is not a file (- is standard input)");
    const auto text = bytes::read_file(file, document_size_max);
    if (!text) return refused(text.error().problem);
    return load(*text, file.string(), file.parent_path(), files);
}

std::string read_document(std::istream& in) {
    constexpr std::size_t read_max = 64 * document_size_max;  // of a document that is too large in any case
    std::string document, line;
    const auto add_line = [&] {
        const auto content = std::string_view{line}.substr(0, line.ends_with('\r') ? line.size() - 1 : line.size());
        if (content == "...") return false;
        if (document.size() <= document_size_max) document += line.substr(0, document_size_max) + '\n';
        line.clear();
        return true;
    };
    auto* const buffer = in.rdbuf();
    for (std::size_t read = 0; read < read_max; ++read) {
        const auto next = buffer->sbumpc();
        if (next == std::char_traits<char>::eof()) {
            if (!line.empty()) add_line();
            break;
        }
        if (next == '\n') {
            if (!add_line()) break;
        } else if (line.size() <= document_size_max) {
            line += static_cast<char>(next);
        }
    }
    return document;
}

boost::system::result<std::string, bytes::FileProblem> read_document(const std::filesystem::path& file) {
    auto text = bytes::read_file(file, document_size_max);
    if (!text) return text;
    std::istringstream in{*text};
    return read_document(in);
}

}  // namespace wmlab::scenario
