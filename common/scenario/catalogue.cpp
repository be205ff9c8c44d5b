#include "common/scenario/catalogue.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace wmlab::scenario {
namespace {

using enum Protocol;
constexpr LegSpec control{"control", tcp, End::from, End::to};
constexpr LegSpec media{"media", udp, End::to, End::from};
constexpr LegSpec resend{"resend", udp, End::from, End::to, true};
constexpr LegSpec http{"http", tcp, End::from, End::to};
constexpr LegSpec to_proxy{"proxy", tcp, End::from, End::proxy};
constexpr LegSpec http_from_proxy{"http", tcp, End::proxy, End::to};
constexpr LegSpec mapper{"mapper", tcp, End::from, End::to};
constexpr LegSpec object{"object", tcp, End::from, End::to};
constexpr LegSpec probe{"probe", tcp, End::from, End::to};
constexpr LegSpec join{"join", igmp, End::to, End::group};
constexpr LegSpec group_media{"media", udp, End::from, End::group};
constexpr LegSpec msbd{"msbd", tcp, End::from, End::to};
constexpr LegSpec msbd_back{"msbd", tcp, End::to, End::from};

constexpr std::array mms_udp_legs{control, media, resend};
constexpr std::array mms_tcp_legs{control};
constexpr std::array http_legs{http};
constexpr std::array mms_auto_legs{control, media, resend, http};
constexpr std::array msbd_legs{msbd};
constexpr std::array multicast_legs{join, group_media};
constexpr std::array dcom_legs{mapper, object};
constexpr std::array encoder_alias_legs{mapper, object, msbd_back};
constexpr std::array probe_legs{probe};

// In the order of FlowType.
constexpr std::array<FlowTypeSpec, 11> types{{
    {FlowType::mms_udp, "mms-udp", "MMS: control over TCP, media over UDP", Program::client_sim, Program::server_sim,
     mms_udp_legs},
    {FlowType::mms_tcp, "mms-tcp", "MMS: control and media on one TCP connection", Program::client_sim,
     Program::server_sim, mms_tcp_legs},
    {FlowType::http, "http", "media over HTTP, direct or through a proxy", Program::client_sim, Program::server_sim,
     http_legs},
    {FlowType::mms_auto, "mms-auto", "the player's rollover: UDP, then TCP, then HTTP", Program::client_sim,
     Program::server_sim, mms_auto_legs},
    {FlowType::msbd, "msbd", "distribution: a server pulls from an encoder or a server", Program::server_sim,
     Program::server_sim, msbd_legs},
    {FlowType::http_distribution, "http-distribution", "distribution over HTTP", Program::server_sim,
     Program::server_sim, http_legs},
    {FlowType::multicast, "multicast", "one stream to a group, received by players that joined it", Program::server_sim,
     Program::client_sim, multicast_legs},
    {FlowType::dcom, "dcom", "administration: endpoint mapper, then an object on a reserved port", Program::client_sim,
     Program::server_sim, dcom_legs},
    {FlowType::encoder_alias, "encoder-alias", "an encoder registers a stream alias, the server pulls the stream",
     Program::encoder_sim, Program::server_sim, encoder_alias_legs},
    {FlowType::probe, "probe", "bare reachability of ports", Program::client_sim, Program::server_sim, probe_legs},
    {FlowType::command,
     "command",
     "a real program run on the host `from`",
     Program::none,
     Program::server_sim,

     {}},
}};

constexpr bool in_order() {
    for (std::size_t i = 0; i < types.size(); ++i)
        if (types[i].type != static_cast<FlowType>(i)) return false;
    return true;
}
static_assert(in_order());

PortList msbd_ports(const MsbdPort& port) {
    if (port.fallback) return {player_ports};
    return one(port.port);
}

// The mapper's own port may be written in the reserved list; no object is ever put on it.
PortList object_ports(const PortList& reserved) {
    PortList ports = reserved;
    std::erase(ports, PortRange{mapper_port, mapper_port});
    return ports;
}

PortList source_ports(const LegSpec& leg) {
    if (leg.name == media.name && leg.source == End::to) return {server_media_ports};
    return {};
}

PortList destination_ports(const Flow& flow, const LegSpec& leg) {
    if (leg.name == control.name || leg.name == resend.name) return one(mms_port);
    if (leg.name == media.name) return leg.destination == End::group ? one(flow.port) : PortList{flow.client_ports};
    if (leg.name == http.name) return one(flow.port);
    if (leg.name == to_proxy.name) return one(flow.proxy->port);
    if (leg.name == msbd.name) return msbd_ports(flow.msbd_port);
    if (leg.name == mapper.name) return one(mapper_port);
    if (leg.name == object.name) return object_ports(flow.reserved_ports);
    if (leg.name == probe.name) return flow.ports;
    return {};  // join: IGMP has none
}

}  // namespace

std::string_view text(Program program) {
    constexpr std::array<std::string_view, 4> names = {"none", "server_sim", "client_sim", "encoder_sim"};
    return names[static_cast<std::size_t>(program)];
}

std::span<const FlowTypeSpec> catalogue() { return types; }
const FlowTypeSpec& spec(FlowType type) { return types[static_cast<std::size_t>(type)]; }

const FlowTypeSpec* spec(std::string_view name) {
    const auto found = std::ranges::find(types, name, &FlowTypeSpec::name);
    return found == types.end() ? nullptr : &*found;
}

std::vector<LegSpec> leg_specs(const Flow& flow) {
    const auto& usual = spec(flow.type).legs;
    std::vector<LegSpec> legs{usual.begin(), usual.end()};
    if (flow.type == FlowType::dcom)
        for (auto& leg : legs) leg.protocol = flow.transport;
    if (flow.type == FlowType::probe) legs.front().protocol = flow.protocol;
    if (flow.proxy && !legs.empty()) {
        legs.back() = to_proxy;  // `http` is the last leg of every type that takes a proxy
        legs.push_back(http_from_proxy);
    }
    return legs;
}

std::vector<TransportSpec> transports(const Flow& flow) {
    const TransportSpec over_udp{"udp", {control.name, media.name, resend.name}};
    const TransportSpec over_tcp{"tcp", {control.name}};
    const TransportSpec over_http =
        flow.proxy ? TransportSpec{"http-proxy", {to_proxy.name, http.name}} : TransportSpec{"http", {http.name}};
    switch (flow.type) {
        case FlowType::mms_udp:
            return {over_udp};
        case FlowType::mms_tcp:
            return {over_tcp};
        case FlowType::http:
            return {over_http};
        case FlowType::mms_auto:
            return {over_udp, over_tcp, over_http};
        default:
            break;
    }
    TransportSpec only{flow.type == FlowType::dcom ? text(flow.transport) : std::string_view{}, {}};
    for (const auto& leg : leg_specs(flow)) only.legs.push_back(leg.name);
    return {only};
}

std::vector<Leg> legs(const Scenario& scenario, const FlowInstance& instance) {
    const auto& flow = *instance.flow;
    const auto place = [&](End end, std::string& name, Ipv4& address) {
        if (end == End::group) {
            name = flow.group.text();
            address = flow.group;
            return;
        }
        name = end == End::from ? instance.from : end == End::to ? instance.to : flow.proxy->host;
        if (const auto* host = scenario.host(name)) address = host->address;
    };
    std::vector<Leg> all;
    for (const auto& leg_spec : leg_specs(flow)) {
        Leg leg;
        leg.name = leg_spec.name;
        leg.protocol = leg_spec.protocol;
        leg.optional = leg_spec.optional;
        place(leg_spec.source, leg.source, leg.source_address);
        place(leg_spec.destination, leg.destination, leg.destination_address);
        leg.source_ports = source_ports(leg_spec);
        leg.destination_ports = destination_ports(flow, leg_spec);
        all.push_back(std::move(leg));
    }
    return all;
}

Program program_at(const Flow& flow, End end) {
    if (end == End::from) return spec(flow.type).from;
    if (end != End::to) return Program::none;
    const bool pulls = flow.type == FlowType::msbd || flow.type == FlowType::http_distribution;
    return pulls && flow.source == Source::encoder ? Program::encoder_sim : spec(flow.type).to;
}

End telling_end(const Flow& flow) { return flow.type == FlowType::multicast ? End::to : End::from; }

Program program_at(const Scenario& scenario, const FlowInstance& instance, End end) {
    if (end != End::from && end != End::to) return Program::none;
    const auto* host = scenario.host(end == End::from ? instance.from : instance.to);
    if (host != nullptr && !host->run.empty()) return Program::none;
    return program_at(*instance.flow, end);
}

}  // namespace wmlab::scenario
