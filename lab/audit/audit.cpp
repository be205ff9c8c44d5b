#include "lab/audit/audit.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <set>

#include "lab/error.hpp"
#include "lab/firewall.hpp"
#include "lab/firewall_rules.hpp"
#include "lab/network.hpp"
#include "lab/rules/attribution.hpp"

namespace wmlab::lab {
namespace {

using scenario::Protocol;
using scenario::Scenario;

constexpr std::string_view anyone = "anyone";
constexpr std::size_t traced_ports_max = 4096;  // of one pair and protocol: two seconds of probes the trace can follow

struct Swept {
    scenario::Host from, to;
    Protocol protocol;
    Sweep sweep;
};

// An address of the zone that no host has: what is open to it is open to everyone there.
std::optional<scenario::Host> stranger(const Scenario& scenario, const scenario::Zone& zone) {
    for (auto value = zone.subnet.broadcast().value - 1; zone.subnet.contains({value}); --value) {
        const scenario::Ipv4 address{value};
        if (address == zone.gateway || address == zone.subnet.network || scenario.host_at(address)) continue;
        scenario::Host host;
        host.name = std::string{anyone} + "-" + zone.name;
        host.zone = zone.name;
        host.address = address;
        return host;
    }
    return std::nullopt;
}

// The ports to send once more under the trace: all, or where there are too many both ends of each run and some between.
std::vector<std::uint16_t> ports_to_trace(const std::vector<PortState>& ports) {
    std::vector<std::uint16_t> open;
    for (unsigned port = 1; port < port_count; ++port)
        if (ports[port] == PortState::open) open.push_back(static_cast<std::uint16_t>(port));
    if (open.size() <= traced_ports_max) return open;
    const auto step = open.size() / traced_ports_max + 1;
    std::vector<std::uint16_t> some;
    for (std::size_t i = 0; i < open.size(); ++i) {
        const bool end = i == 0 || i + 1 == open.size() || open[i - 1] + 1 != open[i] || open[i + 1] - 1 != open[i];
        if (end || i % step == 0) some.push_back(open[i]);
    }
    return some;
}

std::vector<std::optional<RuleRef>> rules_of(const std::vector<evidence::Event>& events, const Swept& swept,
                                             std::uint16_t source_port, const std::vector<std::uint16_t>& traced) {
    std::vector<std::optional<RuleRef>> rules(port_count);
    const auto source = swept.from.address.text() + ":" + std::to_string(source_port);
    const auto prefix = swept.to.address.text() + ":";
    for (const auto& event : events) {
        const auto& f = event.fields;
        const auto* rule = f.if_contains("rule");
        if (!rule || f.at("source").as_string() != source ||
            f.at("protocol").as_string() != scenario::text(swept.protocol))
            continue;
        const std::string destination{f.at("destination").as_string()};
        if (!destination.starts_with(prefix) || f.at("fate").as_string() != "forwarded") continue;
        const auto& r = rule->as_object();
        rules[std::stoul(destination.substr(prefix.size()))] =
            RuleRef{std::string{r.at("file").as_string()}, r.at("line").to_number<unsigned>(),
                    std::string{r.at("text").as_string()}, std::string{r.at("chain").as_string()}};
    }
    // Between two traced neighbours with the same rule it is that rule.
    for (std::size_t i = 0; i + 1 < traced.size(); ++i) {
        const auto& a = rules[traced[i]];
        const auto& b = rules[traced[i + 1]];
        if (!a || !b || a->line != b->line || a->file != b->file || a->text != b->text) continue;
        for (unsigned port = traced[i] + 1u; port < traced[i + 1]; ++port)
            if (swept.sweep.ports[port] == PortState::open) rules[port] = a;
    }
    return rules;
}

}  // namespace

AuditReport audit(const Scenario& given, const AuditOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    Scenario scenario = given;
    std::map<std::string, std::vector<scenario::Host>> sources, targets;  // by zone: hosts that take part in a flow
    std::set<std::string> used;
    for (const auto& instance : scenario::instances(given)) {
        used.insert(instance.from), used.insert(instance.to);
        if (instance.flow->proxy) used.insert(instance.flow->proxy->host);
    }
    for (const auto& host : given.hosts)
        if (used.contains(host.name)) sources[host.zone].push_back(host), targets[host.zone].push_back(host);
    for (const auto& zone : given.zones) {
        if (auto host = stranger(given, zone)) {
            sources[zone.name].push_back(*host);
            scenario.hosts.push_back(std::move(*host));
        }
    }

    AuditReport report;
    report.scenario = given.name;
    const auto ruleset = options.ruleset.empty() ? given.firewall.ruleset : options.ruleset;
    report.ruleset = ruleset.string();
    Network network{scenario};
    if (!ruleset.empty()) load_ruleset(network.firewall(), ruleset);
    report.notes = network.notes();

    std::vector<Swept> sweeps;
    for (const auto& from_zone : given.zones)
        for (const auto& to_zone : given.zones) {
            if (from_zone.name == to_zone.name) continue;
            for (const auto& from : sources[from_zone.name])
                for (const auto& to : targets[to_zone.name])
                    for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
                        if (options.progress)
                            options.progress(from.name + " -> " + to.name + " " +
                                             std::string{scenario::text(protocol)});
                        network.forget_connections();
                        sweeps.push_back({from, to, protocol,
                                          sweep({&network.host(from.name), from.address},
                                                {&network.host(to.name), to.address}, protocol)});
                    }
        }

    const auto needed = rules::needs(given);
    std::optional<rules::Ruleset> rules_loaded;
    if (!ruleset.empty()) {
        rules_loaded = read_ruleset(network.firewall(), ruleset);
        load_rules(network.firewall(), rules::trace_table());
    }
    for (const auto& swept : sweeps) {
        std::vector<std::optional<RuleRef>> rule_of;
        const auto traced = ports_to_trace(swept.sweep.ports);
        if (rules_loaded && !traced.empty()) {
            network.forget_connections();
            rules::DecisionLog log;
            std::unique_ptr<rules::TraceListener> listener;
            {
                const Entered inside{network.firewall()};
                listener = std::make_unique<rules::TraceListener>(
                    [&log](const rules::Decision& decision) { log.add(decision); });
            }
            const auto source_port =
                probe_once({&network.host(swept.from.name), swept.from.address},
                           {&network.host(swept.to.name), swept.to.address}, swept.protocol, traced);
            listener->stop_and_lost();
            rule_of = rules_of(log.take(*rules_loaded), swept, source_port, traced);
        }
        auto pair = find_openings(swept.from.name, swept.to.name, swept.protocol, swept.sweep.ports, needed.needs,
                                  rule_of, needed.alternatives);
        pair.from_zone = swept.from.zone, pair.to_zone = swept.to.zone;
        pair.seconds = swept.sweep.seconds;
        report.pairs.push_back(std::move(pair));
    }
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
}

}  // namespace wmlab::lab
