#include "common/scenario/surroundings.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::string_view sysctls_like =
    "like { net.netfilter.nf_conntrack_tcp_loose: 0 }, or a file of what `sysctl -a` prints";
constexpr std::size_t things_max = 1000, interface_name_max = 15, value_max = 200;

std::string trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r"), last = text.find_last_not_of(" \t\r");
    return first == std::string_view::npos ? std::string{} : std::string{text.substr(first, last - first + 1)};
}

// As sysctl(8) has it: the first sign that separates tells which one it is, the other belongs to a name (eth0.100).
std::string sysctl_path(std::string_view key) {
    std::string path{key};
    const auto first = path.find_first_of("./");
    if (first == std::string::npos || path[first] == '/') return path;
    for (auto& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
    return path;
}

bool is_sysctl(std::string_view path) {
    return path.starts_with("net/") && path.size() < value_max && path.find("..") == std::string_view::npos &&
           !path.ends_with('/') && std::ranges::all_of(path, [](char c) { return c > ' ' && c < 0x7F; });
}

// Of a listing of all settings those that say something about packets which are forwarded.
bool about_forwarding(std::string_view path) {
    static constexpr std::array beginnings = {
        "net/ipv4/ip_forward", "net/ipv4/conf/",          "net/netfilter/nf_conntrack_", "net/ipv4/icmp_rate",
        "net/ipv4/icmp_msgs_", "net/ipv4/ip_default_ttl", "net/ipv4/fwmark_reflect"};
    static constexpr std::array read_only = {"net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_buckets",
                                             "net/ipv4/conf/all/mc_forwarding"};
    return std::ranges::any_of(beginnings, [&](std::string_view beginning) { return path.starts_with(beginning); }) &&
           std::ranges::find(read_only, path) == read_only.end() && !path.ends_with("/mc_forwarding");
}

// "tcp_loose" for "net.netfilter.nf_conntrack_tcp_loose".
std::string full_name(std::string_view key) {
    static constexpr std::array names = {"net.netfilter.nf_conntrack_tcp_loose",
                                         "net.netfilter.nf_conntrack_tcp_be_liberal",
                                         "net.netfilter.nf_conntrack_max",
                                         "net.netfilter.nf_conntrack_udp_timeout",
                                         "net.netfilter.nf_conntrack_udp_timeout_stream",
                                         "net.netfilter.nf_conntrack_tcp_timeout_established",
                                         "net.netfilter.nf_conntrack_generic_timeout",
                                         "net.ipv4.conf.all.rp_filter",
                                         "net.ipv4.ip_forward"};
    const auto found = std::ranges::find_if(names, [&](std::string_view name) {
        return name.ends_with(key) && name.size() > key.size() &&
               std::string_view{"._"}.find(name[name.size() - key.size() - 1]) != std::string_view::npos;
    });
    return found == names.end() ? std::string{} : *found;
}

// Lines of `sysctl -a` or of sysctl.conf: `net.ipv4.ip_forward = 1`.
void read_sysctl_file(Firewall& firewall, const std::filesystem::path& file) {
    std::ifstream in{file};
    for (std::string line; std::getline(in, line);) {
        auto text = trimmed(line);
        if (text.empty() || text[0] == '#' || text[0] == ';') continue;
        if (text[0] == '-') text.erase(0, 1);
        const auto sign = text.find('=');
        if (sign == std::string::npos) continue;
        const auto path = sysctl_path(trimmed(std::string_view{text}.substr(0, sign)));
        if (is_sysctl(path) && about_forwarding(path))
            firewall.sysctls.emplace_back(path, trimmed(std::string_view{text}.substr(sign + 1)));
    }
}

void read_sysctls(ReadContext& context, MapReader& map, const Node& node) {
    auto& firewall = context.scenario.firewall;
    if (node.is(Node::Kind::scalar)) {
        const auto given = map.text(node, "sysctls");
        if (!given) return;
        const auto file = read_path(context, node, *given, "file of sysctls");
        if (!file.empty() && std::filesystem::is_regular_file(file)) read_sysctl_file(firewall, file);
        return;
    }
    MapReader settings{node, "`sysctls`", context.problems, std::string{sysctls_like}};
    for (const auto& [key, value] : node.entries) {
        const auto given = settings.text(value, key.text);
        if (const auto path = sysctl_from(context, key); path && given && given->size() < value_max)
            firewall.sysctls.emplace_back(*path, *given);
    }
}

void read_default_route(ReadContext& context, MapReader& map, const Node& node) {
    const auto given = map.text(node, "default_route");
    if (!given) return;
    auto& route = context.scenario.firewall.default_route;
    if (*given == "none" || *given == "nowhere") {
        route.to = *given == "none" ? DefaultRoute::To::none : DefaultRoute::To::nowhere;
        return;
    }
    route.to = DefaultRoute::To::zone;
    if (const auto address = Ipv4::from(*given)) {
        route.gateway = address;
        for (const auto& zone : context.scenario.zones)
            if (zone.subnet.prefix != 32 && zone.subnet.contains(*address)) {
                route.zone = zone.name;
                if (context.scenario.firewall.sides.empty() && zone.gateway == *address)
                    context.problems.add(node, "the firewall's own address as its default route:");
            }
        if (route.zone.empty())
            context.problems.add(
                node, "an address of no zone as default route:", "the next router is in a zone; or name the zone");
        return;
    }
    route.zone = *given;
    if (context.scenario.zone(*given) != nullptr || context.scenario.zones.empty()) return;
    std::vector<std::string_view> names{"none", "nowhere"};
    for (const auto& zone : context.scenario.zones) names.push_back(zone.name);
    context.problems.add(node,
                         "not a zone, an address, `none` or `nowhere`:", context.problems.did_you_mean(*given, names));
}

void add_interface(ReadContext& context, const Node& node, std::string name, std::string_view address) {
    auto& firewall = context.scenario.firewall;
    const bool good =
        !name.empty() && name.size() <= interface_name_max && name != "." && name != ".." &&
        std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7F && c != '/' && c != ':' && c != '*'; });
    if (!good) {
        context.problems.add(node.at, name, "not an interface name:", "1 to 15 signs, like wg0");
        return;
    }
    if (name == "lo") return;  // it is there
    const auto once_more = [&](const std::string& zone) {
        context.problems.add(node, "the interface of zone " + ticked(zone) + " once more:", "`interfaces` are those that no zone is behind");
    };
    const auto side = std::ranges::find(firewall.sides, name, &Side::interface);
    if (side != firewall.sides.end()) return once_more(side->zone);
    const auto zone = std::ranges::find(context.scenario.zones, name, &Zone::interface);
    if (firewall.sides.empty() && zone != context.scenario.zones.end()) return once_more(zone->name);
    FurtherInterface added{std::move(name), {}, {}};
    if (!address.empty()) {
        const auto slash = address.find('/');
        const auto own = Ipv4::from(address.substr(0, slash));
        const auto prefix =
            slash == std::string_view::npos ? std::optional{32u} : count_from(address.substr(slash + 1));
        if (!own || !prefix || *prefix > 32 || *prefix == 0) {
            context.problems.add(node.at, added.name,
                                 "not an address with its prefix, " + ticked(address) + ", for the interface",
                                 "like 10.99.0.1/24");
            return;
        }
        added.address = own;
        added.subnet = {Ipv4{own->value & ~std::uint32_t{0} << (32 - *prefix)}, *prefix};
    }
    if (std::ranges::find(firewall.interfaces, added.name, &FurtherInterface::name) == firewall.interfaces.end())
        firewall.interfaces.push_back(std::move(added));
}

void read_interfaces(ReadContext& context, MapReader& map, const Node& node) {
    if (node.is(Node::Kind::map)) {
        for (const auto& [key, value] : node.entries) {
            const auto address = value.is(Node::Kind::null) ? std::optional{std::string{}} : map.text(value, key.text);
            if (address) add_interface(context, key, key.text, *address);
        }
        return;
    }
    for (const auto& name : read_words(map, node, "interfaces", true)) add_interface(context, node, name, {});
}

void read_include_path(ReadContext& context, MapReader& map, const Node& node) {
    for (const auto& text : read_words(map, node, "include_path", true)) {
        const auto path = (context.directory / text).lexically_normal();
        if (context.files != Files::not_checked && !std::filesystem::is_directory(path))
            context.problems.add(node,
                                 "no folder " + ticked(text) + " for `include_path`:", "looked for " + path.string());
        context.scenario.firewall.include_path.push_back(path);
    }
}

bool is_user_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && name[0] != '-' && std::ranges::all_of(name, [](char c) {
        return c > ' ' && c < 0x7F && c != ':' && c != '/' && c != ',' && c != '"';
    });
}

void read_user_names(ReadContext& context, MapReader& map, const Node& node, std::string_view key,
                     std::vector<std::string>& into) {
    for (auto& name : read_words(map, node, key, true)) {
        if (!is_user_name(name))
            context.problems.add(node.at, name,
                                 "not the name of a " + std::string{key.substr(0, key.size() - 1)} + ":");
        else if (into.size() < things_max)
            into.push_back(std::move(name));
    }
}

// `names: { media.example.com: 10.10.0.10 }`, or a file as /etc/hosts is.
void read_names(ReadContext& context, MapReader& map, const Node& node) {
    auto& names = context.scenario.firewall.names;
    if (node.is(Node::Kind::scalar)) {
        const auto given = map.text(node, "names");
        if (!given) return;
        std::ifstream in{read_path(context, node, *given, "file of host names")};
        for (std::string line; std::getline(in, line);) {
            std::istringstream words{line.substr(0, line.find('#'))};
            std::string first, name;
            words >> first;
            const auto address = Ipv4::from(first);
            while (address && words >> name)
                if (name != "localhost" && names.size() < things_max) names.emplace_back(name, *address);
        }
        return;
    }
    MapReader section{node, "`names`", context.problems,
                      "like { media.example.com: 10.10.0.10 }, or a file as /etc/hosts is"};
    for (const auto& [key, value] : node.entries) {
        const auto given = section.text(value, key.text);
        const auto address = given ? Ipv4::from(*given) : std::nullopt;
        if (given && !address)
            context.problems.add(value, "not an IPv4 address:");
        else if (address && names.size() < things_max)
            names.emplace_back(key.text, *address);
    }
}

}  // namespace

std::optional<std::string> sysctl_from(ReadContext& context, const Node& key) {
    auto path = sysctl_path(key.text);
    if (is_sysctl(path)) return path;
    const auto full = full_name(key.text);
    context.problems.add(key, "not the name of a network setting of the kernel:",
                         full.empty() ? std::string{sysctls_like} : "did you mean " + ticked(full) + '?');
    return std::nullopt;
}

void read_surroundings(ReadContext& context, MapReader& firewall) {
    if (const auto* node = firewall.find("sysctls")) read_sysctls(context, firewall, *node);
    if (const auto* node = firewall.find("default_route")) read_default_route(context, firewall, *node);
    if (const auto* node = firewall.find("interfaces")) read_interfaces(context, firewall, *node);
    if (const auto* node = firewall.find("include_path")) read_include_path(context, firewall, *node);
    if (const auto* node = firewall.find("users"))
        read_user_names(context, firewall, *node, "users", context.scenario.firewall.users);
    if (const auto* node = firewall.find("groups"))
        read_user_names(context, firewall, *node, "groups", context.scenario.firewall.groups);
    if (const auto* node = firewall.find("names")) read_names(context, firewall, *node);
}

}  // namespace wmlab::scenario
