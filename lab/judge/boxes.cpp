// Several firewalls on the way: which of them the packets of a leg got to and did not get past, told by their identity on
// its own wires; and whether what goes the other way passes another one.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "common/scenario/boxes.hpp"
#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

using PacketIdentity = std::pair<std::uint16_t, std::uint32_t>;

// Packets of the leg that came to the firewall and did not leave it.
std::size_t stopped_at(const WireRecord& wire, const LegResult& leg, const std::set<PacketIdentity>& lost) {
    std::set<std::string> ends;
    for (const auto* end : {&leg.source, &leg.destination, &leg.source_seen, &leg.destination_seen})
        if (!end->empty()) ends.insert(Endpoint::from(*end).address);
    std::set<PacketIdentity> came, left;
    for (const auto& line : wire.lines()) {
        if (line.protocol != leg.protocol || line.kind == "icmp") continue;
        if (!ends.contains(line.source.address) && !ends.contains(line.destination.address)) continue;
        for (const auto& packet : line.each)
            if (lost.contains({packet.id, packet.sequence})) (line.way == Way::in ? came : left).emplace(packet.id, packet.sequence);
    }
    return static_cast<std::size_t>(std::ranges::count_if(came, [&](const PacketIdentity& one) { return !left.contains(one); }));
}

std::string zone_of(const scenario::Scenario& scenario, std::string_view address) {
    const auto parsed = scenario::Ipv4::from(address);
    const auto* const host = parsed ? scenario.host_at(*parsed) : nullptr;
    return host == nullptr ? std::string{} : host->zone;
}

// The firewalls that the direction goes by in which the leg's packets were not stopped, if `leg.box` is none of them.
std::string other_way(const FlowContext& context, const LegResult& leg) {
    const bool back = leg.ledger->back.direction == leg.direction;
    const auto& lane = back ? leg.ledger->there : leg.ledger->back;
    const auto source = zone_of(context.scenario, Endpoint::from(leg.source).address);
    const auto destination = zone_of(context.scenario, Endpoint::from(leg.destination).address);
    if (lane.left == 0 || source.empty() || destination.empty()) return {};
    const auto hops = scenario::way(context.scenario, back ? source : destination, back ? destination : source);
    if (std::ranges::find(hops, leg.box, &scenario::Hop::box) != hops.end()) return {};
    std::string names;
    for (const auto& hop : hops) names += (names.empty() ? "" : ", ") + hop.box;
    return names;
}

void name_box(const FlowContext& context, LegResult& leg) {
    const bool stopped = leg.verdict == Verdict::blocked || (leg.verdict == Verdict::degraded && leg.cause);
    if (!stopped || !leg.box.empty() || !leg.ledger || leg.cause == Cause::translated) return;
    std::set<PacketIdentity> lost;
    for (const auto* lane : {&leg.ledger->there, &leg.ledger->back})
        if (lane->direction == leg.direction || leg.direction.empty()) lost.insert(lane->lost.begin(), lane->lost.end());
    std::size_t most = 0;
    for (const auto& box : context.scenario.firewalls) {
        const auto packets = stopped_at(context.evidence.wire(box.name, context.instance.id), leg, lost);
        if (packets > most) leg.box = box.name, most = packets;
    }
    if (leg.box.empty()) return;
    leg.evidence.push_back(fmt::format("Firewall {}: {} came to it and did not leave it.", leg.box, counted(most, "packet")));
    leg.other_way = other_way(context, leg);
}

// What the flow's own words say about the leg that decided.
std::string words_of(const LegResult& leg) {
    auto words = fmt::format(" It was stopped at firewall {}.", leg.box);
    if (!leg.other_way.empty())
        words += fmt::format(" It sees this direction only: what goes the other way passes firewall {}, so that {} has no state of the connection.",
                             leg.other_way, leg.box);
    return words;
}

}  // namespace

void name_boxes(const FlowContext& context, FlowResult& flow) {
    if (!scenario::several_boxes(context.scenario)) return;
    const auto all = [&](std::vector<LegResult>& legs) {
        for (auto& leg : legs) {
            const bool told = !leg.box.empty();  // in words of its own
            name_box(context, leg);
            if (leg.name != flow.leg || leg.box.empty()) continue;
            if (flow.box.empty() && !told) flow.explanation += words_of(leg);
            flow.box = leg.box;
        }
    };
    all(flow.legs);
    for (auto& attempt : flow.attempts) all(attempt.legs);
}

}  // namespace wmlab::lab
