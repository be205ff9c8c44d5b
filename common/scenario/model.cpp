#include "common/scenario/model.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace wmlab::scenario {
namespace {

// Decimal digits only; no sign, no leading zero (which some programs read as octal), nothing after it.
std::optional<unsigned> decimal(std::string_view text, unsigned max) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > max) return std::nullopt;
    return value;
}

template <class Things>
auto* find_named(Things& things, std::string_view name) {
    const auto found = std::ranges::find_if(things, [&](const auto& thing) { return thing.name == name; });
    return found == things.end() ? nullptr : &*found;
}

std::uint32_t mask(unsigned prefix) { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }

std::vector<FlowInstance> instances_of(const Flow& flow) {
    std::vector<FlowInstance> all;
    const bool listed = flow.from.size() > 1 || flow.to.size() > 1;
    for (const auto& from : flow.from) {
        for (const auto& to : flow.to) {
            const auto* const anyone = flow.anyone_at(from);
            const auto id = anyone != nullptr && flow.to.size() == 1 ? flow.id + '@' + anyone->sample.address.text()
                            : anyone != nullptr || listed
                                ? flow.id + '[' + (anyone != nullptr ? anyone->sample.address.text() : from) + "->" + to + ']'
                                : flow.id;
            for (unsigned copy = 1; copy <= flow.count; ++copy) all.push_back({flow.count > 1 ? id + '#' + std::to_string(copy) : id, &flow, from, to, copy});
        }
    }
    return all;
}

}  // namespace

std::optional<Ipv4> Ipv4::from(std::string_view text) {
    std::uint32_t value = 0;
    for (int octet = 0; octet < 4; ++octet) {
        const auto dot = text.find('.');
        if ((dot == std::string_view::npos) != (octet == 3)) return std::nullopt;
        const auto number = decimal(text.substr(0, dot), 255);
        if (!number) return std::nullopt;
        value = value << 8 | *number;
        if (octet < 3) text.remove_prefix(dot + 1);
    }
    return Ipv4{value};
}

std::string Ipv4::text() const {
    return std::to_string(value >> 24) + '.' + std::to_string(value >> 16 & 255) + '.' +
           std::to_string(value >> 8 & 255) + '.' + std::to_string(value & 255);
}

std::optional<Subnet> Subnet::from(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto network = Ipv4::from(text.substr(0, slash));
    const auto prefix = decimal(text.substr(slash + 1), 32);
    if (!network || !prefix || (network->value & ~mask(*prefix)) != 0) return std::nullopt;
    return Subnet{*network, *prefix};
}

bool Subnet::contains(Ipv4 address) const { return (address.value & mask(prefix)) == network.value; }
Ipv4 Subnet::broadcast() const { return Ipv4{network.value | ~mask(prefix)}; }
std::string Subnet::text() const { return network.text() + '/' + std::to_string(prefix); }

std::optional<PortRange> PortRange::from(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = decimal(text.substr(0, dash), 65535);
    const auto last = dash == std::string_view::npos ? first : decimal(text.substr(dash + 1), 65535);
    if (!first || !last || *first == 0 || *first > *last) return std::nullopt;
    return PortRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::string PortRange::text() const {
    return first == last ? std::to_string(first) : std::to_string(first) + '-' + std::to_string(last);
}

std::string Flow::tag(std::string_view key) const {
    for (const auto& one : tags)
        if (one.size() > key.size() && one.starts_with(key) && one[key.size()] == '=')
            return one.substr(key.size() + 1);
    return {};
}

const Anyone* Flow::anyone_at(std::string_view host) const {
    const auto found = std::ranges::find(anyone, host, &Anyone::host);
    return found == anyone.end() ? nullptr : &*found;
}

const std::vector<Subnet>& networks_not_public() {
    // RFC 6890. Those for documentation and for benchmarks stand for public ones.
    static const std::vector<Subnet> networks = [] {
        std::vector<Subnet> all;
        for (const auto* net : {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3"})
            all.push_back(*Subnet::from(net));
        return all;
    }();
    return networks;
}

bool is_public(Ipv4 address) {
    return std::ranges::none_of(networks_not_public(), [&](const Subnet& net) { return net.contains(address); });
}

std::string text(const PortList& ports) {
    std::string all;
    for (const auto& range : ports) all += (all.empty() ? "" : " ") + range.text();
    return all;
}

std::string_view text(Protocol protocol) {
    constexpr std::array<std::string_view, 3> names = {"tcp", "udp", "igmp"};
    return names[static_cast<std::size_t>(protocol)];
}

const Zone* Scenario::zone(std::string_view wanted) const { return find_named(zones, wanted); }
const Host* Scenario::host(std::string_view wanted) const { return find_named(hosts, wanted); }
const Content* Scenario::content(std::string_view wanted) const { return find_named(contents, wanted); }

const Host* Scenario::host_at(Ipv4 address) const {
    const auto found = std::ranges::find_if(hosts, [&](const Host& host) { return host.address == address; });
    return found == hosts.end() ? nullptr : &*found;
}

const Zone* Scenario::zone_of(Ipv4 address) const {
    const auto found = std::ranges::find_if(zones, [&](const Zone& zone) { return zone.subnet.contains(address); });
    if (found != zones.end()) return &*found;
    const auto* const host = host_at(address);
    return host == nullptr ? nullptr : zone(host->zone);
}

const Zone* Scenario::boundless() const {
    if (firewall.default_route.to == DefaultRoute::To::zone) return zone(firewall.default_route.zone);
    const Zone* found = nullptr;
    for (const auto& one : zones) {
        if (!is_public(one.subnet.network)) continue;
        if (found != nullptr) return nullptr;
        found = &one;
    }
    return found;
}

std::optional<Ipv4> Host::published_to(std::string_view from_zone) const {
    if (const auto own = published.find(from_zone); own != published.end()) return own->second;
    const auto others = published.find("");
    return from_zone == zone || others == published.end() ? std::nullopt : std::optional{others->second};
}

bool Host::published_at(Ipv4 known_as) const {
    return std::ranges::any_of(published, [&](const auto& entry) { return entry.second == known_as; });
}

bool Scenario::routed(Ipv4 address, std::string_view from_zone) const {
    for (const auto& at : zones) {
        if (!at.subnet.contains(address) || at.name == from_zone) continue;
        const auto is_published = [&](const Host& host) { return host.published_to(from_zone) == address; };
        if (std::ranges::any_of(at.reachable, [&](const Subnet& net) { return net.contains(address); })) return true;
        if (!at.reachable.empty() || at.is_private.value_or(false)) return std::ranges::any_of(hosts, is_published);
        if (at.is_private) return true;
        const auto* const inner = host_at(address);
        return inner == nullptr || !inner->published_to(from_zone);
    }
    return true;
}

std::vector<Ipv4> Scenario::published_in(const Zone& zone) const {
    std::vector<Ipv4> all;
    for (const auto& host : hosts)
        for (const auto& [_, address] : host.published)
            if (zone.subnet.contains(address) && address != zone.gateway && host_at(address) == nullptr && std::ranges::find(all, address) == all.end())
                all.push_back(address);
    return all;
}

Scenario without_samples(Scenario scenario) {
    std::erase_if(scenario.hosts, [](const Host& host) { return host.sample; });
    return scenario;
}

std::vector<std::string> serving_hosts(const Flow& flow) {
    using enum FlowType;
    switch (flow.type) {
        case mms_udp:
        case mms_tcp:
        case http:
        case mms_auto:
            return flow.to;
        case msbd:
        case http_distribution:
            return flow.source == Source::server ? flow.to : std::vector<std::string>{};
        case multicast:
            return flow.from;
        default:
            return {};
    }
}

std::vector<std::string> fed_hosts(const Flow& flow) {
    if (flow.type == FlowType::msbd || flow.type == FlowType::http_distribution) return flow.from;
    return flow.type == FlowType::encoder_alias ? flow.to : std::vector<std::string>{};
}

std::optional<FlowInstance> feeder(const Scenario& scenario, const FlowInstance& instance) {
    const auto& content = instance.flow->content;
    if (content.empty() || scenario.content(content) != nullptr) return std::nullopt;
    const auto source = std::ranges::find(scenario.flows, content, &Flow::id);
    if (source == scenario.flows.end()) return std::nullopt;
    const auto& server = instance.flow->type == FlowType::multicast ? instance.from : instance.to;
    const bool alias = source->type == FlowType::encoder_alias;
    for (auto& other : instances_of(*source))
        if ((alias ? other.to : other.from) == server) return std::move(other);
    return std::nullopt;
}

std::string FlowInstance::load() const { return flow->load ? id.substr(0, id.rfind('#')) : std::string{}; }

milliseconds FlowInstance::starts() const { return flow->load ? flow->load->ramp * (copy - 1) / flow->count : milliseconds{0}; }

milliseconds FlowInstance::plays() const { return flow->play + (flow->load ? flow->load->ramp - starts() : milliseconds{0}); }

std::vector<FlowInstance> instances(const Scenario& scenario) {
    std::vector<FlowInstance> all;
    for (const auto& flow : scenario.flows) std::ranges::move(instances_of(flow), std::back_inserter(all));
    return all;
}

}  // namespace wmlab::scenario
