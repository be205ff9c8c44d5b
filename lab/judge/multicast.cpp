// Multicast: did the player join, did the report reach the firewall, did the firewall have a route, was the time to
// live enough, did the ruleset let the datagrams through.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>

#include "common/scenario/boxes.hpp"
#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

using enum Way;

bool link_local(scenario::Ipv4 group) { return group.value >> 8 == 0xE00000; }  // 224.0.0.0/24

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

// IGMP messages in which the player says that it has joined the group; in journals that do not tell, all of its IGMP.
std::uint64_t reports(const WireRecord& wire, Way way, const LegContext& context, std::string_view zone) {
    const auto group = context.destination_address();
    std::uint64_t packets = 0;
    for (const auto* line : wire.find(way, {"igmp"}, {Endpoint{context.source_address(), 0}, {}})) {
        if (!line->zone.empty() && line->zone != zone) continue;
        const bool tells = std::ranges::any_of(wire.lines(), [](const WireLine& one) { return !one.joins.empty(); });
        if (!tells || std::ranges::find(line->joins, group) != line->joins.end()) packets += line->packets;
    }
    return packets;
}

// `routes` of the lab: what its firewall routes. Null: this lab's firewall is none of ours.
const boost::json::array* lab_routes(const LegContext& context) {
    const auto* up = context.evidence.lab_up();
    return up == nullptr ? nullptr : list_field(*up, field::routes);
}

// The firewalls from the sender to the player; inside a zone it is none.
std::vector<scenario::Hop> hops_to(const LegContext& context, const std::string& player) {
    const auto *from = context.scenario.host(context.instance.from), *to = context.scenario.host(player);
    return from == nullptr || to == nullptr ? std::vector<scenario::Hop>{} : scenario::way(context.scenario, from->zone, to->zone);
}

// Whether the multicast routing of the firewall in the player's zone heard that somebody there joined; nothing: it is
// none of ours.
std::optional<bool> heard(const LegContext& context, const std::string& group, std::string_view zone, std::string_view router) {
    if (lab_routes(context) == nullptr) return std::nullopt;
    return std::ranges::any_of(context.evidence.runner(What::group_joined), [&](const Event* event) {
        const auto box = text_field(*event, field::box);
        return text_field(*event, field::group) == group && text_field(*event, field::zone) == zone && (box.empty() || box == router);
    });
}

std::string sentence_start(std::string words) {
    words[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(words[0])));
    return words;
}

LegResult judge_join(const LegContext& context, bool media_arrived) {
    auto leg = blank(context);
    const auto& player = context.leg.source;
    const auto& wire = context.wire(player);
    const auto hops = hops_to(context, player);
    const auto router = hops.empty() ? context.scenario.firewall.name : hops.back().box;
    const auto firewall = scenario::box_words(context.scenario, router);
    const auto& at_firewall = context.wire(router);
    const auto& zone = context.scenario.host(player)->zone;
    const auto& group = context.leg.destination;
    const auto sent = reports(wire, out, context, zone), arrived = reports(at_firewall, in, context, zone);
    if (sent > 0) leg.evidence.push_back(fmt::format("{}'s interface: IGMP report sent {}.", player, times(sent)));
    if (arrived > 0)
        leg.evidence.push_back(fmt::format("{}'s interface: IGMP report received {}.", sentence_start(firewall), times(arrived)));
    const auto joined = context.view.at(player, "join", What::announced);
    const auto failed = context.view.at(player, "join", What::listen_failed);
    const auto is_heard = heard(context, group, zone, router);
    if (is_heard == true)
        leg.evidence.push_back(fmt::format("{}'s multicast routing: {} is wanted in zone {}.", sentence_start(firewall), group, zone));
    if (media_arrived) {
        leg.verdict = Verdict::pass;
        return leg;
    }
    if (!failed.empty()) {
        return doubt(leg, Reason::not_listening, fmt::format("{} could not join {}: {}.", player, group, text_field(*failed.back(), field::error)));
    }
    if (joined.empty() && sent == 0) {
        return doubt(leg, Reason::not_tried, fmt::format("{} did not join {}.", player, group));
    }
    leg.verdict = Verdict::pass;
    // Inside a zone the switch forwards, and a group that no router forwards need not be reported to one.
    if (zone == context.scenario.host(context.instance.from)->zone || link_local(context.leg.destination_address))
        return leg;
    if (wire.complete() && sent == 0) {
        return doubt(leg, Reason::not_sent,
                     fmt::format("No IGMP report for {} left {}: the host itself stopped it.", group, player));
    }
    if (at_firewall.complete() && arrived == 0) {
        leg.certain = true;  // whatever the firewall's rules are
        return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                        fmt::format("The IGMP report of {} for {} was sent {} and never reached {}: look at the switches of zone {}.",
                                    player, group, times(std::max<std::uint64_t>(sent, 1)), firewall, zone));
    }
    if (arrived > 0 && is_heard == false) {
        if (scenario::several_boxes(context.scenario)) leg.box = router;
        return conclude(
            leg, Verdict::blocked, Cause::dropped, context.forward,
            fmt::format(
                "The IGMP report of {} for {} reached {}'s interface {} and was dropped by its ruleset: its multicast routing never heard that {} is wanted in zone {}.",
                player, group, firewall, times(arrived), group, zone));
    }
    return leg;
}

// Whether the lab says that it may route the group there; nothing: it does not say.
std::optional<bool> routed(const LegContext& context, std::string_view to_zone) {
    const auto* routes = lab_routes(context);
    if (routes == nullptr) return std::nullopt;
    const auto group = context.destination_address(), source = context.source_address();
    for (const auto& entry : *routes) {
        const auto* route = entry.if_object();
        if (route == nullptr || text_field(*route, field::group) != group || text_field(*route, field::source) != source) continue;
        const auto* zones = list_field(*route, field::to);
        if (zones != nullptr && std::ranges::any_of(*zones, [&](const auto& zone) { return evidence::text_in(zone) == to_zone; })) return true;
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
    const auto hops = hops_to(context, player);
    if (hops.empty()) return leg;
    const Between between{Endpoint{context.source_address(), 0}, group};
    // The firewall that it got to and did not get past.
    auto hop = hops.begin();
    while (hop + 1 != hops.end() && in_zone(context.wire(hop->box), out, "udp", between, hop->out) > 0) ++hop;
    const auto firewall = scenario::box_words(context.scenario, hop->box);
    const auto& wire = context.wire(hop->box);
    std::optional<unsigned> ttl;
    const auto arrived = in_zone(wire, in, "udp", between, hop->in, &ttl);
    const auto left = in_zone(wire, out, "udp", between, hop->out);
    if (scenario::several_boxes(context.scenario) && arrived > 0 && left == 0) leg.box = hop->box;
    if (!ttl) ttl = context.instance.flow->ttl;
    const auto stream = fmt::format("UDP from {} to {}", context.instance.from, group.text());
    const auto say = [&](std::string text) { leg.explanation = std::move(text); };
    // What holds for every ruleset: with the firewall open it would be the same.
    const auto for_certain = [&](std::string text) {
        leg.explanation = std::move(text);
        leg.certain = true;
    };
    const auto& zone = hop->out;
    const auto has_route = routed(context, player_host.zone);
    const auto is_heard = heard(context, context.leg.destination, player_host.zone, hops.back().box);
    const auto reached = arrived > 0 ? " reached " + firewall + " " + times(arrived) : " never crossed " + firewall;
    if (wire.complete() && arrived == 0) {
        say(fmt::format("{} never reached {}.", stream, firewall));
    } else if (link_local(context.leg.destination_address)) {
        for_certain(
            fmt::format("{}{}: the group is link-local (224.0.0.0/24), no router forwards it, whatever the rules say.",
                        stream, reached));
    } else if (*ttl <= 1) {
        for_certain(
            fmt::format("{}{} with a time to live (TTL) of {}, which is too small: it cannot cross a router, whatever the rules say.",
                        stream, reached, *ttl));
    } else if (left > 0) {
        say(fmt::format("{} left {} {} into zone {} and never reached {}.", stream, firewall, times(left), zone, player));
    } else if (has_route == false) {
        for_certain(fmt::format("{}{}, which has no multicast route for it into zone {}.", stream, reached, zone));
    } else if (is_heard == false) {
        say(
            fmt::format("{}{} and was not forwarded into zone {}: {} had not heard that anybody there joined.",
                        stream, reached, zone, scenario::box_words(context.scenario, hops.back().box)));
    } else if (arrived > 0 && wire.complete()) {
        say(fmt::format("{} reached {} {} and was not forwarded into zone {}: {}.", stream, firewall, times(arrived),
                        zone, has_route == true ? "its ruleset dropped it" : "a rule dropped it or there is no route"));
    }
    return leg;
}

FlowResult judge_stream(const FlowContext& context) {
    auto flow = blank_flow(context);
    const auto& sender = context.instance.from;
    const auto& player = context.instance.to;
    const auto account = account_media(context.view, sender, player, true);
    if (account.sender_told || account.receiver_told) flow.media = account.media;
    for (auto& leg : leg_contexts(context)) {
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
            media.cause = account.stopped() ? Cause::starved : Cause::dropped;
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
    if (const auto error = protocol_end(context)) {
        flow.verdict = Verdict::failed;
        flow.leg = media.name;
        flow.explanation = *error;
        return flow;
    }
    doubt_flow(flow, Reason::no_outcome, media.name,
               fmt::format("What {} received cannot be matched with what {} sent ({}).", player, sender, amount));
    return flow;
}

}  // namespace

FlowView stream_view(const FlowContext& context) {
    auto merged = context.view;
    if (context.instance.id != context.instance.flow->id) {
        const auto& shared = context.evidence.flow(context.instance.flow->id).at(context.instance.from);
        auto& own = merged.hosts[context.instance.from];
        own.insert(own.end(), shared.begin(), shared.end());
    }
    return merged;
}

std::vector<LegContext> stream_legs(const FlowContext& whole) {
    auto legs = leg_contexts(whole);
    for (auto& leg : legs) {
        if (leg.leg.protocol == scenario::Protocol::udp) leg.leg.destination = whole.instance.to;
        leg.forward = leg.leg.name == "join" ? "to->group" : "from->to";
        leg.back = leg.leg.name == "join" ? "group->to" : "to->from";
    }
    return legs;
}

FlowResult judge_multicast(const FlowContext& context) {
    const auto merged = stream_view(context);
    const FlowContext whole{context.scenario, context.evidence, context.names, context.instance, merged};
    auto flow = judge_stream(whole);
    settle_by_ledger(stream_legs(whole), flow);
    return flow;
}

}  // namespace wmlab::lab
