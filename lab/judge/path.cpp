#include "lab/judge/path.hpp"

#include <algorithm>

#include "common/evidence/trace.hpp"
#include "lab/judge/ledger.hpp"

namespace wmlab::lab {
namespace {

using enum Way;

// The connection as the destination's wire shows it. Translated connections are recognised by what is left of them.
Between on_far_wire(const LegContext& context, const Between& near, const Event* accepted, bool& uncertain) {
    const auto& wire = context.wire(context.leg.destination);
    if (const auto place = came_to(context, "tcp", near)) return place->between;
    if (accepted != nullptr && !accepted->remote.empty()) {
        return {Endpoint::from(accepted->remote), Endpoint::from(accepted->local)};
    }
    if (wire.count(in, {"syn", "data", "ack"}, near) > 0) return near;
    // The trace knows what became of it; without one, what is left of a connection tells.
    if (const auto trace = traced(context, "tcp", near); trace.known) return trace.as;
    if (wire.listed() && context.wire(context.leg.source).listed()) return near;  // nothing of it came anywhere
    std::vector<Between> candidates;
    for (const auto* line : wire.find(in, {"syn"}, {})) {
        const bool source_stands =
            line->source == near.source || (near.source.port == 0 && line->source.address == near.source.address);
        const bool destination_stands = line->destination == near.destination;
        if (source_stands && destination_stands) return {line->source, line->destination};
        // Masquerade hides the source behind an address that is no host's; DNAT changes the destination.
        const bool masqueraded = destination_stands && !context.names.knows(line->source.address);
        const bool redirected = source_stands && near.source.port != 0 && !destination_stands;
        if (!masqueraded && !redirected) continue;
        if (context.evidence.accepted_for_other(context.leg.destination, line->source, context.instance.id)) continue;
        candidates.push_back({line->source, line->destination});
    }
    if (candidates.empty()) return near;
    uncertain = candidates.size() > 1;
    return candidates.front();
}

std::optional<Icmp> icmp_about(const LegContext& context, const WireRecord& wire, const Between& quoted) {
    for (const auto* line : wire.find(in, {"icmp"}, quoted)) {
        if (!line->icmp || (line->icmp->type != 3 && line->icmp->type != 11)) continue;
        if (line->icmp->type == 3 && line->icmp->code == 4) continue;  // path MTU discovery stops nothing
        auto icmp = *line->icmp;
        icmp.name = context.names.of(icmp.from);
        return icmp;
    }
    return std::nullopt;
}

}  // namespace

Path follow(const LegContext& context, const Endpoint& local, const Endpoint& remote, const Event* accepted) {
    Path path;
    const auto& source = context.wire(context.leg.source);
    const auto& destination = context.wire(context.leg.destination);
    path.source_complete = source.complete();
    path.destination_complete = destination.complete();
    path.near = {local, remote};
    if (local.port == 0) {
        // A failed attempt does not always know its own port: the SYN that no other connection claims is its own.
        for (const auto* line : source.find(out, {"syn"}, path.near)) {
            if (context.evidence.claimed(context.leg.source, line->source)) continue;
            path.near.source = line->source;
            break;
        }
    }
    path.far = on_far_wire(context, path.near, accepted, path.uncertain);
    const auto differ = [](const Endpoint& a, const Endpoint& b) {
        return a.address != b.address || (a.port != 0 && b.port != 0 && a.port != b.port);
    };
    path.translated = differ(path.near.source, path.far.source) || differ(path.near.destination, path.far.destination);
    const auto near_back = path.near.reversed(), far_back = path.far.reversed();
    path.syn_out = source.count(out, {"syn"}, path.near);
    path.syn_in = destination.count(in, {"syn"}, path.far);
    path.syn_ack_out = destination.count(out, {"syn-ack"}, far_back);
    path.syn_ack_in = source.count(in, {"syn-ack"}, near_back);
    path.data_out = source.count(out, {"data"}, path.near);
    path.data_in = destination.count(in, {"data"}, path.far);
    path.ack_in = destination.count(in, {"ack", "data", "fin"}, path.far);
    path.back_out = destination.count(out, {"data"}, far_back);
    path.back_in = source.count(in, {"data"}, near_back);
    path.fin_out = source.count(out, {"fin"}, path.near);
    path.fin_in = destination.count(in, {"fin"}, path.far);
    path.fin_back_out = destination.count(out, {"fin"}, far_back);
    path.fin_back_in = source.count(in, {"fin"}, near_back);
    path.rst_to_source = source.count(in, {"rst"}, near_back);
    path.rst_from_destination = destination.count(out, {"rst"}, far_back);
    path.rst_to_destination = destination.count(in, {"rst"}, path.far);
    path.rst_from_source = source.count(out, {"rst"}, path.near);
    path.icmp_to_source = icmp_about(context, source, path.near);
    path.icmp_to_destination = icmp_about(context, destination, far_back);
    path.icmp_from_destination = destination.count(out, {"icmp"}, path.far);
    for (const auto* line : source.find(in, {"rst"}, near_back)) path.rst_ttl = line->ttl;
    for (const auto* line : source.find(in, {"syn-ack", "data", "ack"}, {Endpoint{remote.address, 0}, {}})) {
        if (line->ttl) path.other_ttl = line->ttl;
    }
    return path;
}

namespace {

Traced traced_at_first(const LegContext& context, std::string_view protocol, const Between& near) {
    Traced found;
    found.as = near;
    const Event* first = nullptr;
    for (const auto* event : context.evidence.traced(protocol, near.source, near.destination, context.instance.id)) {
        found.known = true;
        if (fate_of(*event) == evidence::Fate::dropped) continue;
        if (first == nullptr || event->monotonic < first->monotonic) first = event;
    }
    found.dropped = found.known && first == nullptr;
    const auto* as = first == nullptr ? nullptr : object_field(*first, field::as);
    if (as == nullptr) return found;
    const auto end = [&](evidence::Text name) {
        const auto address = text_field(*as, name);
        return address.empty() ? Endpoint{} : Endpoint::from(address);
    };
    found.as = {end(field::source), end(field::destination)};
    return found;
}

}  // namespace

Traced traced(const LegContext& context, std::string_view protocol, const Between& near) {
    auto found = traced_at_first(context, protocol, near);
    // What one firewall translated comes to the next one so.
    auto at = near;
    for (std::size_t further = 1; further < context.scenario.firewalls.size() && found.as != at; ++further) {
        at = found.as;
        const auto next = traced_at_first(context, protocol, at);
        if (!next.known) break;
        found.as = next.as;
    }
    return found;
}

std::optional<Endpoint> sent_elsewhere(const LegContext& context, std::string_view protocol, const Between& near) {
    const auto trace = traced(context, protocol, near);
    const auto& there = trace.as.destination;
    if (there == near.destination || there.empty()) return std::nullopt;
    const auto& ports = context.leg.destination_ports;
    const bool right_port = there.port == near.destination.port || std::ranges::any_of(ports, [&](const auto& range) {
                                return range.first <= there.port && there.port <= range.last;
                            });
    if (there.address == context.destination_address() && right_port) return std::nullopt;
    return there;
}

}  // namespace wmlab::lab
