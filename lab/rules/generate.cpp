#include "lab/rules/generate.hpp"

#include <algorithm>
#include <map>

#include "common/scenario/boxes.hpp"
#include "common/scenario/catalogue.hpp"

namespace wmlab::lab::rules {
namespace {

using scenario::PortList;
using scenario::PortRange;

PortList merged(PortList ports) {
    std::ranges::sort(ports);
    PortList out;
    for (const auto& range : ports) {
        if (!out.empty() && range.first <= unsigned{out.back().last} + 1)
            out.back().last = std::max(out.back().last, range.last);
        else
            out.push_back(range);
    }
    return out;
}

std::string_view interface_of(const scenario::Scenario& scenario, std::string_view zone) {
    const auto* found = scenario.zone(zone);
    return found ? std::string_view{found->interface} : std::string_view{};
}

// Whether the flow needs the leg for itself. A rollover needs one transport: the one it is expected to play over, else
// the one the player tries first; without an expectation it may use the others as well.
enum class Wanted { no, yes, perhaps };
Wanted wanted(const scenario::Flow& flow, const std::string& leg) {
    if (flow.type != scenario::FlowType::mms_auto) return Wanted::yes;
    const auto all = scenario::transports(flow);
    const auto has = [&](const scenario::TransportSpec& transport) {
        return std::ranges::find(transport.legs, leg) != transport.legs.end();
    };
    if (!flow.expect.transport) return has(all.front()) ? Wanted::yes : Wanted::perhaps;
    const auto expected = std::ranges::find(all, *flow.expect.transport, &scenario::TransportSpec::name);
    if (expected == all.end()) return leg == *flow.expect.transport ? Wanted::yes : Wanted::no;
    return has(*expected) ? Wanted::yes : Wanted::no;
}

// By hosts, interfaces and protocol; the order of the scenario is kept.
class NeedsOf {
public:
    explicit NeedsOf(const scenario::Scenario& scenario) : scenario_{scenario} {}

    Needs read() {
        for (const auto& instance : scenario::instances(scenario_)) {
            const auto expected = instance.flow->expect.verdict.value_or(scenario::Verdict::pass);
            if (expected != scenario::Verdict::pass && expected != scenario::Verdict::degraded) continue;
            if (instance.flow->type == scenario::FlowType::command)
                note("flow " + instance.id + " runs a program whose ports the scenario does not know: no rule is made for it");
            else
                for (const auto& leg : scenario::legs(scenario_, instance)) take(instance, leg);
        }
        for (auto* list : {&found_.needs, &found_.alternatives})
            for (auto& row : *list) row.ports = merged(std::move(row.ports));
        translate();
        std::ranges::sort(found_.notes);
        found_.notes.erase(std::unique(found_.notes.begin(), found_.notes.end()), found_.notes.end());
        return std::move(found_);
    }

private:
    void note(std::string sentence) { found_.notes.push_back(std::move(sentence)); }

    void take(const scenario::FlowInstance& instance, const scenario::Leg& leg) {
        const auto want = wanted(*instance.flow, leg.name);
        const auto* source = scenario_.host(leg.source);
        if (want == Wanted::no || source == nullptr) return;
        if (leg.protocol == scenario::Protocol::igmp) return note_igmp(instance, leg, *source);
        Need need;
        need.multicast = leg.destination_address.value >> 28 == 0xE;
        const auto* destination = scenario_.host(need.multicast ? instance.to : leg.destination);
        if (!destination || source->zone == destination->zone) return;  // does not cross the firewall
        if (!scenario::passes(scenario_, source->zone, destination->zone)) {
            if (!need.multicast && scenario::passes(scenario_, destination->zone, source->zone))
                note("of flow " + instance.id + " only the answers of leg " + leg.name + " pass firewall " + scenario_.firewall.name +
                     ", which has no state for them: no rule is made for it");
            return;
        }
        need.protocol = leg.protocol;
        need.source = leg.source, need.destination = leg.destination;
        need.source_address = leg.source_address, need.destination_address = leg.destination_address;
        need.source_zone = source->zone, need.destination_zone = destination->zone;
        need.in = interface_of(scenario_, source->zone), need.out = interface_of(scenario_, destination->zone);
        need.ports = leg.destination_ports;
        const auto* const anyone = instance.flow->anyone_at(instance.from);
        if (anyone != nullptr) {
            const auto net = anyone_net(scenario_, anyone->zone);
            const auto name = "anyone@" + anyone->zone;
            if (need.source == instance.from) need.source = name, need.source_net = net;
            if (need.destination == instance.from) need.destination = name, need.destination_net = net;
        }
        add(want == Wanted::yes ? found_.needs : found_.alternatives, std::move(need), (anyone != nullptr ? instance.flow->id : instance.id) + " " + leg.name);
    }

    void note_igmp(const scenario::FlowInstance& instance, const scenario::Leg& leg, const scenario::Host& source) {
        const auto* sender = scenario_.host(instance.from);
        if (!sender || sender->zone == source.zone) return;
        if (const auto hops = scenario::way(scenario_, sender->zone, source.zone); hops.empty() || hops.back().box != scenario_.firewall.name) return;
        found_.memberships.push_back({leg.source, instance.id + " " + leg.name});
        note("flow " + instance.id + " needs IGMP between " + leg.source +
             " and the router of its own zone: it is never forwarded; a firewall that is that router must accept protocol 2 itself");
    }

    static void add(std::vector<Need>& rows, Need need, const std::string& label) {
        const auto same = std::ranges::find_if(rows, [&](const Need& row) {
            return row.protocol == need.protocol && source_of(row) == source_of(need) && destination_of(row) == destination_of(need) && row.in == need.in &&
                   row.out == need.out;
        });
        if (same == rows.end()) {
            need.flows = {label};
            need.ports_of_flows = {need.ports};
            rows.push_back(std::move(need));
            return;
        }
        same->ports.insert(same->ports.end(), need.ports.begin(), need.ports.end());
        const auto known = static_cast<std::size_t>(std::ranges::find(same->flows, label) - same->flows.begin());
        if (known == same->flows.size()) same->flows.push_back(label), same->ports_of_flows.emplace_back();
        auto& ports = same->ports_of_flows[known];
        ports.insert(ports.end(), need.ports.begin(), need.ports.end());
    }

    // Hosts that other zones know by a published address.
    void translate() {
        for (const auto& need : found_.needs) {
            const auto* host = scenario_.host(need.destination);
            const auto outer = host != nullptr && !need.multicast ? host->published_to(need.source_zone) : std::nullopt;
            if (!outer) continue;
            const auto same = std::ranges::find_if(found_.translations, [&](const Translation& t) {
                return t.published == *outer && t.protocol == need.protocol && t.in == need.in && t.address == host->address;
            });
            if (same == found_.translations.end()) {
                found_.translations.push_back({need.protocol, host->name, need.in, *outer, host->address, need.ports});
            } else {
                same->ports.insert(same->ports.end(), need.ports.begin(), need.ports.end());
                same->ports = merged(std::move(same->ports));
            }
        }
    }

    const scenario::Scenario& scenario_;
    Needs found_;
};

}  // namespace

Needs needs(const scenario::Scenario& scenario) { return NeedsOf{scenario}.read(); }

std::optional<scenario::Subnet> source_of(const Need& need) {
    if (!need.source_net) return scenario::Subnet{need.source_address, 32};
    return need.source_net->prefix == 0 ? std::nullopt : need.source_net;
}

std::optional<scenario::Subnet> destination_of(const Need& need) {
    if (!need.destination_net) return scenario::Subnet{need.destination_address, 32};
    return need.destination_net->prefix == 0 ? std::nullopt : need.destination_net;
}

std::string net_text(const scenario::Subnet& net) { return net.prefix == 32 ? net.network.text() : net.text(); }

scenario::Subnet anyone_net(const scenario::Scenario& scenario, std::string_view name) {
    const auto& zone = *scenario.zone(name);
    const bool beyond = std::ranges::any_of(zone.samples, [&](const scenario::Sample& sample) { return !zone.subnet.contains(sample.address); });
    return beyond || scenario.boundless() == &zone ? scenario::Subnet{{}, 0} : zone.subnet;
}

std::optional<std::string> generate(const scenario::Scenario& scenario, std::string_view name, Form form) {
    const std::map<std::string_view, std::string (*)(const scenario::Scenario&, const Needs&, Form)> dialects = {
        {"nft", dialect::nft},
        {"iptables", dialect::iptables},
        {"asa", dialect::asa},
        {"pf", dialect::pf},
        {"netsh", dialect::netsh}};
    const auto found = dialects.find(name);
    if (found == dialects.end()) return std::nullopt;
    return found->second(scenario, needs(scenario), form);
}

std::vector<std::string> letting_lines(const scenario::Scenario& scenario, std::string_view name, const Need& need) {
    const std::map<std::string_view, std::vector<std::string> (*)(const scenario::Scenario&, const Need&)> dialects = {
        {"nft", dialect::nft_lines},
        {"iptables", dialect::iptables_lines},
        {"asa", dialect::asa_lines},
        {"pf", dialect::pf_lines},
        {"netsh", dialect::netsh_lines}};
    const auto found = dialects.find(name);
    return found == dialects.end() ? std::vector<std::string>{} : found->second(scenario, need);
}

std::string ports_text(const PortList& ports, std::string_view between, std::string_view comma) {
    std::string text;
    for (const PortRange& range : ports) {
        if (!text.empty()) text += comma;
        text += std::to_string(range.first);
        if (range.last != range.first) text += std::string{between} + std::to_string(range.last);
    }
    return text;
}

std::string heading(const scenario::Scenario& scenario, const Needs& needs, std::string_view mark) {
    std::string text;
    const auto line = [&](const std::string& words) { text += std::string{mark} + " " + words + "\n"; };
    line("Made by `wmlab rules` from the scenario \"" + scenario.name + "\":");
    line("exactly what its flows need, and nothing else. Each rule names the flows and legs it is for.");
    for (const auto& note : needs.notes) line("Note: " + note + ".");
    return text;
}

std::string shortened(const std::string& text, std::size_t size_max) {
    constexpr std::string_view more = " ...";
    if (text.size() <= size_max) return text;
    auto end = text.rfind(' ', size_max - more.size());
    if (end == std::string::npos || end == 0) end = size_max - more.size();
    while (end > 0 && (text[end - 1] == ',' || text[end - 1] == ' ')) --end;
    return text.substr(0, end) + std::string{more};
}

std::string flows_text(const Need& need) {
    std::string text;
    for (const auto& flow : need.flows) text += (text.empty() ? "" : ", ") + flow;
    return text;
}

}  // namespace wmlab::lab::rules
