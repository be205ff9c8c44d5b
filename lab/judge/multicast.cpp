// Multicast: did the player join, did the report reach the firewall, did the firewall have a route, was the time to
// live enough, did the ruleset let the datagrams through.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

using enum Way;

constexpr std::string_view firewall = "firewall";

std::uint64_t in_zone(const WireRecord& wire, Way way, std::string_view kind, const Between& between,
                      std::string_view zone, std::optional<unsigned>* ttl = nullptr) {
    std::uint64_t packets = 0;
    for (const auto* line : wire.find(way, {kind}, between)) {
        if (!line->zone.empty() && line->zone != zone) continue;
        packets += line->packets;
        if (ttl != nullptr && line->ttl) *ttl = line->ttl;
    }
    return packets;
}

LegResult judge_join(const LegContext& context, bool media_arrived) {
    auto leg = blank(context);
    const auto& player = context.leg.source;
    const auto& wire = context.evidence.wire(player);
    const Between report{Endpoint{context.source_address(), 0}, {}};
    const auto sent = wire.count(out, {"igmp"}, report);
    const auto& host = *context.scenario.host(player);
    const auto& at_firewall = context.evidence.wire(firewall);
    const auto arrived = in_zone(at_firewall, in, "igmp", report, host.zone);
    if (sent > 0) leg.evidence.push_back(fmt::format("{}'s interface: IGMP report sent {}.", player, times(sent)));
    if (arrived > 0)
        leg.evidence.push_back(fmt::format("The firewall's interface: IGMP report received {}.", times(arrived)));
    const auto joined = context.view.at(player, "join", What::announced);
    const auto failed = context.view.at(player, "join", What::listen_failed);
    if (media_arrived) {
        leg.verdict = Verdict::pass;
        return leg;
    }
    if (!failed.empty()) {
        return doubt(leg, Reason::not_listening,
                     fmt::format("{} could not join {}: {}.", player, context.leg.destination,
                                 text_field(*failed.back(), "error")));
    }
    if (joined.empty() && sent == 0) {
        return doubt(leg, Reason::not_tried, fmt::format("{} did not join {}.", player, context.leg.destination));
    }
    if (wire.complete() && sent == 0) {
        return doubt(
            leg, Reason::not_sent,
            fmt::format("No IGMP report for {} left {}: the host itself stopped it.", context.leg.destination, player));
    }
    if (at_firewall.complete() && arrived == 0 && host.zone != context.scenario.host(context.instance.from)->zone) {
        return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                        fmt::format("The IGMP report of {} for {} was sent {} and never reached the firewall.", player,
                                    context.leg.destination, times(std::max<std::uint64_t>(sent, 1))));
    }
    leg.verdict = Verdict::pass;
    return leg;
}

// Whether the lab says that it has a route for the group; nothing: it does not say.
std::optional<bool> routed(const LegContext& context, std::string_view to_zone) {
    const auto* up = context.evidence.lab_up();
    const auto* routes = up == nullptr ? nullptr : up->fields.if_contains("routes");
    if (routes == nullptr || !routes->is_array()) return std::nullopt;
    const auto group = context.destination_address(), source = context.source_address();
    for (const auto& entry : routes->get_array()) {
        if (!entry.is_object()) continue;
        const auto text_at = [&](std::string_view name) -> std::string_view {
            const auto* value = entry.get_object().if_contains(name);
            return value != nullptr && value->is_string() ? std::string_view{value->get_string()} : std::string_view{};
        };
        if (text_at("group") != group || text_at("source") != source) continue;
        const auto* zones = entry.get_object().if_contains("to");
        if (zones == nullptr || !zones->is_array()) continue;
        for (const auto& zone : zones->get_array()) {
            if (zone.is_string() && zone.get_string() == to_zone) return true;
        }
    }
    return false;
}

LegResult judge_group_media(const LegContext& context, const std::string& player) {
    auto datagrams = media_datagrams(context, context.instance.from, player);
    const auto port =
        context.leg.destination_ports.empty() ? std::uint16_t{0} : context.leg.destination_ports.front().first;
    const Endpoint group{context.destination_address(), port};
    datagrams.destination = group;
    // The player's socket counts as bound to the group once it has joined.
    if (!datagrams.bound.empty() || !context.view.at(player, "join", What::announced).empty()) datagrams.bound = group;
    datagrams.destination_seen = {};
    auto leg = judge_udp(context, datagrams);
    leg.destination_seen.clear();
    if (leg.verdict != Verdict::blocked || leg.cause != Cause::dropped) return leg;

    const auto& sender_host = *context.scenario.host(context.instance.from);
    const auto& player_host = *context.scenario.host(player);
    if (sender_host.zone == player_host.zone) return leg;
    const auto& wire = context.evidence.wire(firewall);
    const Between between{Endpoint{context.source_address(), 0}, group};
    std::optional<unsigned> ttl;
    const auto arrived = in_zone(wire, in, "udp", between, sender_host.zone, &ttl);
    const auto left = in_zone(wire, out, "udp", between, player_host.zone);
    if (!ttl) ttl = context.instance.flow->ttl;
    const auto stream = fmt::format("UDP from {} to {}", context.instance.from, group.text());
    const auto say = [&](std::string text) { leg.explanation = std::move(text); };
    if (*ttl <= 1) {
        say(fmt::format("{} has a time to live of {}: it cannot cross the firewall, whatever the rules say.", stream,
                        *ttl));
    } else if (wire.complete() && arrived == 0) {
        say(fmt::format("{} never reached the firewall.", stream));
    } else if (left > 0) {
        say(fmt::format("{} left the firewall {} into zone {} and never reached {}.", stream, times(left),
                        player_host.zone, player));
    } else if (const auto has_route = routed(context, player_host.zone); has_route == false) {
        say(fmt::format("{} reached the firewall{}, which has no multicast route for it into zone {}.", stream,
                        arrived > 0 ? " " + times(arrived) : "", player_host.zone));
    } else if (arrived > 0 && wire.complete()) {
        say(fmt::format("{} reached the firewall {} and was not forwarded into zone {}: {}.", stream, times(arrived),
                        player_host.zone,
                        has_route == true ? "a rule dropped it" : "a rule dropped it or there is no route"));
    }
    return leg;
}

}  // namespace

FlowResult judge_multicast(const FlowContext& context) {
    // One stream serves all players: what the server says of the flow itself is said of each of them.
    auto merged = context.view;
    if (context.instance.id != context.instance.flow->id) {
        const auto& shared = context.evidence.flow(context.instance.flow->id).at(context.instance.from);
        auto& own = merged.hosts[context.instance.from];
        own.insert(own.end(), shared.begin(), shared.end());
    }
    const FlowContext whole{context.scenario, context.evidence, context.names, context.instance, merged};
    auto flow = blank_flow(whole);
    const auto& sender = context.instance.from;
    const auto& player = context.instance.to;
    const auto account = account_media(merged, sender, player, true);
    if (account.sender_told || account.receiver_told) flow.media = account.media;
    for (auto& leg : leg_contexts(whole)) {
        leg.forward = leg.leg.name == "join" ? "to->group" : "from->to";
        leg.back = leg.leg.name == "join" ? "group->to" : "to->from";
        flow.legs.push_back(leg.leg.name == "join" ? judge_join(leg, account.media.packets_received > 0)
                                                   : judge_group_media(leg, player));
    }
    auto& media = flow.legs.back();
    const auto amount = fmt::format("{} of media sent, {} received", counted(account.media.packets_sent, "packet"),
                                    account.media.packets_received);
    if (account.modified && account.media.packets_received > 0) {
        conclude(media, Verdict::blocked, Cause::modified, "from->to",
                 fmt::format("{} that reached {} differ from what {} sent ({}).", counted(account.altered, "packet"),
                             player, sender, amount));
        settle(flow, media);
        return flow;
    }
    if (account.proven) {
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("{}; every packet that arrived is as it was sent.", amount);
        if (account.media.loss > context.instance.flow->max_loss) {
            media.verdict = Verdict::degraded;
            media.cause = account.tail_lost ? Cause::starved : Cause::dropped;
            media.direction = "from->to";
            media.explanation = fmt::format("{}: {:.1f} % were lost, {:.1f} % are allowed.", amount,
                                            account.media.loss * 100, context.instance.flow->max_loss * 100);
            settle(flow, media);
        }
        return flow;
    }
    for (const auto& leg : flow.legs) {
        if (leg.verdict == Verdict::pass) continue;
        settle(flow, leg);
        // Static routes forward without a join; one that never arrived stops nothing by itself, so say both.
        if (leg.name == "join" && media.verdict == Verdict::blocked) flow.explanation += " " + media.explanation;
        return flow;
    }
    if (const auto error = protocol_end(whole)) {
        flow.verdict = Verdict::failed;
        flow.leg = media.name;
        flow.explanation = *error;
        return flow;
    }
    doubt_flow(flow, Reason::no_outcome, media.name,
               fmt::format("What {} received cannot be matched with what {} sent ({}).", player, sender, amount));
    return flow;
}

}  // namespace wmlab::lab
