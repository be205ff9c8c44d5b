// Bare reachability of ports. Each probe carries a nonce of its own: what arrived is known, nothing is guessed from
// silence. UDP is proven by arrival at the far end, TCP by the echo as well.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

std::uint16_t port_of(const Event& event, const std::string& address) {
    if (const auto port = port_field(event, field::port)) return *port;
    return Endpoint::from(address).port;
}

struct Port {
    FlowView view;
    std::set<std::string> sent;
    bool received = false, answered = false;
};

// The events of the flow, by the port that was probed.
std::map<std::uint16_t, Port> by_port(const FlowContext& context) {
    std::map<std::uint16_t, Port> ports;
    std::map<std::string, std::uint16_t> sent_to;
    const auto& instance = context.instance;
    for (const auto* event : context.view.at(instance.from)) {
        const auto port = port_of(*event, event->remote);
        if (port == 0) continue;
        auto& place = ports[port];
        place.view.hosts[instance.from].push_back(event);
        if (event->event == What::probe_sent) {
            place.sent.insert(word_field(*event, field::nonce));
            sent_to[word_field(*event, field::nonce)] = port;
        }
    }
    for (const auto* event : context.view.at(instance.from)) {
        if (event->event != What::probe_answered) continue;
        if (const auto sent = sent_to.find(word_field(*event, field::nonce)); sent != sent_to.end()) ports[sent->second].answered = true;
    }
    for (const auto* event : context.view.at(instance.to)) {
        auto port = port_of(*event, event->local);
        if (event->event == What::probe_received) {
            const auto sent = sent_to.find(word_field(*event, field::nonce));
            if (sent == sent_to.end()) continue;  // nobody sent this one: it proves nothing
            port = sent->second;
            ports[port].received = true;
        }
        if (port != 0) ports[port].view.hosts[instance.to].push_back(event);
    }
    return ports;
}

// What the ends say of it.
LegResult judge_ends(const FlowContext& context, const LegContext& of_port, std::uint16_t number, const Port& port) {
    const auto& leg = of_port.leg;
    const bool tcp = leg.protocol == scenario::Protocol::tcp;
    if (port.received && (port.answered || !tcp)) {
        auto result = blank(of_port);
        result.verdict = Verdict::pass;
        return result;
    }
    if (tcp) return judge_tcp(of_port);
    Datagrams datagrams;
    datagrams.sender = context.instance.from;
    datagrams.receiver = context.instance.to;
    datagrams.destination = {of_port.destination_address(), number};
    for (const auto* event : port.view.at(context.instance.from)) {
        if (event->event == What::probe_sent) {
            ++datagrams.sent;
            if (!event->local.empty()) datagrams.source = Endpoint::from(event->local);
            if (!event->remote.empty()) datagrams.destination = Endpoint::from(event->remote);
        }
        if (auto failure = failure_of(*event)) datagrams.failure = std::move(failure);
    }
    const auto bound =
        context.evidence.bound(datagrams.receiver, leg.protocol, leg.destination_ports, context.instance.id);
    if (bound.listening != nullptr) datagrams.bound = Endpoint::from(bound.listening->local);
    if (datagrams.bound.port == 0 && bound.listening != nullptr) datagrams.bound.port = number;
    datagrams.bind_failed = bound.failed;
    return judge_udp(of_port, datagrams);
}

LegResult judge_port(const FlowContext& context, std::uint16_t number, const Port& port, scenario::Leg leg) {
    leg.destination_ports = {{number, number}};
    const auto of_port =
        leg_context(context.scenario, context.evidence, port.view, context.names, context.instance, leg);
    auto result = judge_ends(context, of_port, number, port);
    if (result.verdict == Verdict::pass) return result;
    auto alone = blank_flow(context);
    alone.legs.push_back(result);
    settle(alone, result);
    settle_by_ledger({of_port}, alone);
    return std::move(alone.legs.front());
}

scenario::PortList merged(const std::vector<std::uint16_t>& ports) {  // sorted
    scenario::PortList ranges;
    for (const auto port : ports) {
        if (!ranges.empty() && ranges.back().last + 1 == port) {
            ranges.back().last = port;
        } else {
            ranges.push_back({port, port});
        }
    }
    return ranges;
}

std::string ports_words(const std::vector<std::uint16_t>& ports) {
    return fmt::format("port{} {}", ports.size() == 1 ? "" : "s", scenario::text(merged(ports)));
}

}  // namespace

FlowResult judge_probe(const FlowContext& context) {
    auto flow = blank_flow(context);
    const auto leg = scenario::legs(context.scenario, context.instance).front();
    auto ports = by_port(context);
    struct Group {
        std::vector<std::uint16_t> ports;
        LegResult first;
    };
    using Key = std::tuple<Verdict, int, int, std::string>;
    std::map<Key, Group> groups;
    for (const auto& range : leg.destination_ports) {
        for (unsigned number = range.first; number <= range.last; ++number) {
            const auto port = static_cast<std::uint16_t>(number);
            auto result = judge_port(context, port, ports[port], leg);
            const Key key{result.verdict, result.cause ? static_cast<int>(*result.cause) : -1,
                          result.reason ? static_cast<int>(*result.reason) : -1, result.direction};
            auto& group = groups[key];
            if (group.ports.empty()) group.first = std::move(result);
            group.ports.push_back(port);
        }
    }
    const auto kind = capital(scenario::text(leg.protocol));
    flow.open_ports.emplace();
    const Group* worst = nullptr;
    std::size_t open = 0, shut = 0, unknown = 0;
    std::string several;
    for (const auto& [key, group] : groups) {
        const auto verdict = std::get<0>(key);
        (verdict == Verdict::pass ? open : verdict == Verdict::inconclusive ? unknown : shut) += group.ports.size();
        if (verdict == Verdict::pass) flow.open_ports = merged(group.ports);
        const bool worse = worst == nullptr || worst->first.verdict == Verdict::pass ||
                           (worst->first.verdict == Verdict::inconclusive && verdict != Verdict::pass);
        if (worse) worst = &group;
        several += fmt::format("{}{} {}: {}", several.empty() ? "" : "; ", kind, ports_words(group.ports),
                               verdict == Verdict::pass ? "arrived"
                               : group.first.cause      ? text(*group.first.cause)
                               : group.first.reason     ? text(*group.first.reason)
                                                        : text(verdict));
    }
    if (worst == nullptr) {
        doubt_flow(flow, Reason::not_tried, leg.name, "No port was to be probed.");
        return flow;
    }
    flow.legs.push_back(worst->first);
    if (worst->first.verdict == Verdict::pass) {
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("{} {}: every probe arrived at {}.", kind, ports_words(worst->ports), flow.to);
        return flow;
    }
    settle(flow, worst->first);
    if (groups.size() == 1) {
        if (worst->ports.size() > 1) flow.explanation += fmt::format(" The same for {}.", ports_words(worst->ports));
        return flow;
    }
    flow.explanation = fmt::format("{}. {}", several, worst->first.explanation);
    if (open > 0 && shut > 0) {  // neither open nor shut: whichever was expected, this is not it
        flow.verdict = Verdict::degraded;
        flow.reason.reset();
    } else if (unknown > 0) {
        for (const auto& [key, group] : groups) {
            if (std::get<0>(key) == Verdict::inconclusive)
                doubt_flow(flow, *group.first.reason, leg.name, flow.explanation);
        }
    }
    return flow;
}

}  // namespace wmlab::lab
