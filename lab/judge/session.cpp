// Flows that carry media: mms-udp, mms-tcp, http (direct or by a proxy), http-distribution, msbd, encoder-alias.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "common/scenario/vlc.hpp"
#include "lab/judge/flow.hpp"
#include "lab/judge/ledger.hpp"

namespace wmlab::lab {
namespace {

struct Ends {
    std::string sender, receiver;  // of the media
    std::string carrier;           // the leg that carries it
};

Ends media_ends(const FlowContext& context, const std::vector<LegContext>& legs) {
    const auto& instance = context.instance;
    const auto type = instance.flow->type;
    const bool forwards = type == scenario::FlowType::encoder_alias;  // the encoder opened, and sends
    return {forwards ? instance.from : instance.to, forwards ? instance.to : instance.from,
            type == scenario::FlowType::mms_udp ? "media" : legs.back().leg.name};
}

std::string packets_words(const MediaAccount& account) {
    return fmt::format("{} of media sent, {} received", counted(account.media.packets_sent, "packet"),
                       account.media.packets_received);
}

// Connections that failed before the one that worked.
void note_retries(const LegContext& context, FlowResult& flow) {
    const auto all = conversations(context);
    std::size_t failures = 0;
    std::string why;
    for (const auto& conversation : all) {
        if (conversation.failed != nullptr) {
            ++failures;
            const auto failure = failure_of(*conversation.failed).value_or(Failure{});
            why = failure.kind + waited_words(failure.waited);
        } else if (conversation.connected != nullptr && failures > 0) {
            flow.retries.push_back(
                fmt::format("{}: connected at attempt {} after: {}", context.leg.name, failures + 1, why));
            return;
        }
    }
}

// Media over TCP that came late: it lags, and segments of it were lost. The direction that the media goes, else nothing.
std::optional<Lane> slowed_down(const MediaAccount& account, const std::vector<LegContext>& legs, const Ends& ends) {
    constexpr double lag_min = 500;       // ms: less is a busy machine
    constexpr double share_min = 0.02;    // of the segments
    if (account.behind < lag_min) return std::nullopt;
    for (const auto& leg : legs) {
        if (leg.leg.name != ends.carrier) continue;
        for (auto& connection : account_leg(leg)) {
            const auto& lane = leg.leg.destination == ends.sender ? connection.back : connection.there;
            if (lane.known && lane.data_left > 0 &&
                static_cast<double>(lane.data_lost) >= share_min * static_cast<double>(lane.data_left))
                return lane;
        }
    }
    return std::nullopt;
}

// Each end says that the other one closed the connection: something between them did.
bool closed_between(const FlowContext& context, const Ends& ends) {
    const auto by_peer = [&](const std::string& host) {
        const auto* closed = context.view.last(host, What::closed);
        return closed != nullptr && text_field(*closed, "by") == "peer";
    };
    const auto type = context.instance.flow->type;
    const bool ends_by_closing = type == scenario::FlowType::http || type == scenario::FlowType::http_distribution;
    return ends_by_closing && by_peer(ends.sender) && by_peer(ends.receiver);
}

bool explains_itself(const LegResult& leg) { return leg.verdict == Verdict::blocked || leg.verdict == Verdict::failed; }

// Everything but whether the media is fresh.
FlowResult judge_media(const FlowContext& context) {
    auto flow = blank_flow(context);
    const auto contexts = leg_contexts(context);
    const auto ends = media_ends(context, contexts);
    const bool udp = ends.carrier == "media";
    const auto account = account_media(context.view, ends.sender, ends.receiver, udp);
    if (account.sender_told || account.receiver_told) flow.media = account.media;
    if (const auto* ended = context.view.last(ends.receiver, What::media_ended)) {
        const auto recovered = whole_field(*ended, "recovered").value_or(0);
        if (recovered > 0) {
            flow.notes.push_back(fmt::format("media: {} were lost at first and came when asked for again",
                                             counted(recovered, "packet")));
        }
    }

    if (udp && context.instance.flow->client_ports.first == scenario::vlc_port) {
        flow.notes.push_back(fmt::format("media: port {} is VLC's own; KB189416 names 1024-5000 for players",
                                         scenario::vlc_port));
    }
    for (const auto* event : context.view.all(What::media_resumed)) {
        flow.notes.push_back(
            fmt::format("media: the connection was lost and opened again; nothing came for {:.1f} s, {}{} are missing",
                        number_field(*event, "gap").value_or(0) / 1000, true_field(*event, "estimated") ? "about " : "",
                        counted(whole_field(*event, "lost").value_or(0), "packet")));
    }

    for (const auto& leg : contexts) {
        flow.legs.push_back(judge_leg(leg));
        if (leg.leg.protocol == scenario::Protocol::tcp) note_retries(leg, flow);
        const auto& seen = flow.legs.back();
        const bool said = seen.cause == Cause::translated;
        if (!said && (!seen.source_seen.empty() || !seen.destination_seen.empty())) {
            flow.notes.push_back(fmt::format("{}: translated on the way: {} -> {} is {} -> {} at the other end",
                                             seen.name, seen.source, seen.destination,
                                             seen.source_seen.empty() ? seen.source : seen.source_seen,
                                             seen.destination_seen.empty() ? seen.destination : seen.destination_seen));
        }
    }
    if (context.instance.flow->type == scenario::FlowType::encoder_alias) {
        judge_references(context, flow.legs);
        if (judge_exhaustion(context, flow)) return flow;
    }

    const auto* end = flow_end(context);
    const bool said_failed = end != nullptr && text_field(*end, "outcome") == "failed";
    const auto carrier = std::ranges::find(flow.legs, ends.carrier, &LegResult::name);
    if (account.modified && account.media.packets_received > 0) {
        conclude(
            *carrier, Verdict::blocked, Cause::modified, "to->from",
            account.header_differs
                ? fmt::format("The ASF header that reached {} is not the one that {} sent: it was changed on the way.",
                              ends.receiver, ends.sender)
                : fmt::format("{} that reached {} differ from what {} sent: they were changed on the way ({}).",
                              counted(std::max(account.altered, account.media.damaged), "packet"), ends.receiver,
                              ends.sender, packets_words(account)));
        if (ends.sender == context.instance.from) carrier->direction = "from->to";
        settle(flow, *carrier);
        return flow;
    }

    const bool cut = closed_between(context, ends) && account.media.packets_received > 0;
    if (cut) {
        const bool proxied = context.instance.flow->proxy.has_value();
        const auto between = proxied ? context.instance.flow->proxy->host : std::string{"something on the way"};
        auto& leg = proxied ? flow.legs.front() : *carrier;
        conclude(leg, Verdict::blocked, proxied ? Cause::starved : Cause::reset, leg.name == "proxy" ? "proxy->from" : std::string{},
                 fmt::format("The connection was closed before {} had enough, and neither {} nor {} closed it: {} did ({}).", ends.receiver,
                             ends.sender, ends.receiver, between, packets_words(account)));
        settle(flow, leg);
        flow.by_proxy = proxied;
        return flow;
    }
    const bool starved = account.proven && account.tail_lost && (said_failed || account.silent);
    if (account.proven && !starved && !said_failed) {
        for (auto& leg : flow.legs) {  // media that arrived proves every leg without which it could not
            if (leg.optional || leg.verdict == Verdict::pass) continue;
            leg.verdict = Verdict::pass;
            leg.cause.reset();
            leg.reason.reset();
            leg.direction.clear();
            leg.explanation.clear();
            leg.icmp.reset();
        }
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("{}; every packet that arrived is as it was sent.", packets_words(account));
        if (account.media.loss > context.instance.flow->max_loss) {
            flow.verdict = Verdict::degraded;
            flow.leg = ends.carrier;
            flow.direction = ends.sender == context.instance.to ? "to->from" : "from->to";
            flow.cause = account.stopped() ? Cause::starved : Cause::dropped;
            flow.explanation = fmt::format("{}: {:.1f} % were lost, {:.1f} % are allowed.", packets_words(account),
                                           account.media.loss * 100, context.instance.flow->max_loss * 100);
            carrier->verdict = Verdict::degraded;
            carrier->cause = flow.cause;
            carrier->direction = flow.direction;
            carrier->explanation = flow.explanation;
            return flow;
        }
        if (const auto slowed = slowed_down(account, contexts, ends); !udp && slowed) {
            flow.media->lost = account.tail;
            flow.media->loss = static_cast<double>(account.tail) / static_cast<double>(account.media.packets_sent);
            conclude(*carrier, Verdict::degraded, Cause::starved, ends.sender == context.instance.to ? "to->from" : "from->to",
                     fmt::format("{}: the media lags {:.1f} s behind its rate, because {} of {} that {} sent were lost on the way and had to be sent again.",
                                 packets_words(account), account.behind / 1000, slowed->data_lost, counted(slowed->data_left, "segment"),
                                 ends.sender));
            settle(flow, *carrier);
            return flow;
        }
        for (const auto& leg : flow.legs) {
            if (!leg.optional || leg.verdict == Verdict::pass) continue;
            if (leg.verdict == Verdict::inconclusive && leg.reason == Reason::not_tried) {
                // Never asked for: that is known only from a journal that is whole.
                const auto trouble = context.evidence.trouble(context.instance.from, context.instance.id);
                if (trouble) {
                    doubt_flow(flow, trouble->reason, leg.name,
                               fmt::format("The media arrived; whether {} works is not known. {}", leg.name,
                                           trouble->sentence));
                    return flow;
                }
                flow.notes.push_back(fmt::format("{}: not used in this session, so nothing is known of it", leg.name));
                continue;
            }
            settle(flow, leg);
            if (leg.verdict == Verdict::inconclusive) {
                flow.explanation =
                    fmt::format("The media arrived; whether {} works is not known. {}", leg.name, leg.explanation);
                return flow;
            }
            flow.verdict = Verdict::degraded;
            flow.explanation = fmt::format("The media arrived ({}), but {} does not work: {}", packets_words(account),
                                           leg.name, leg.explanation);
            return flow;
        }
        return flow;
    }

    // It did not work: the first leg that stopped says why.
    if (context.instance.flow->proxy) judge_proxied(context, flow);
    const auto stopped = std::ranges::find_if(
        flow.legs, [](const LegResult& leg) { return !leg.optional && leg.verdict != Verdict::pass; });
    if (stopped != flow.legs.end() && explains_itself(*stopped)) {
        settle(flow, *stopped);
        return flow;
    }
    // The legs came up, or nothing more is known of the one that did not: did an open connection break?
    for (std::size_t i = 0; i < contexts.size(); ++i) {
        auto& leg = flow.legs[i];
        if (leg.verdict != Verdict::pass || contexts[i].leg.protocol != scenario::Protocol::tcp) continue;
        const auto all = conversations(contexts[i]);
        if (all.empty()) continue;
        Carried carried;
        const bool both_told = account.sender_told && account.receiver_told;
        if (leg.name == ends.carrier && (both_told || account.silent)) {
            carried.sent = account.media.packets_sent;
            carried.received = account.media.packets_received;
            carried.backwards = contexts[i].leg.destination == ends.sender;
            carried.silent = account.silent;
        }
        judge_breakage(contexts[i], all.back(), carried, leg);
        if (leg.verdict != Verdict::pass) {
            settle(flow, leg);
            return flow;
        }
    }
    if (udp && carrier->verdict == Verdict::pass && (account.silent || starved || said_failed) &&
        (account.tail > 1 || (account.silent && account.media.packets_sent > account.media.packets_received))) {
        conclude(*carrier, Verdict::blocked, Cause::starved,
                 ends.sender == context.instance.to ? "to->from" : "from->to",
                 fmt::format("UDP from {} to {} arrived at first, then no more: {}.",
                             context.names.at(Endpoint::from(carrier->source)),
                             context.names.at(Endpoint::from(carrier->destination)), packets_words(account)));
        settle(flow, *carrier);
        return flow;
    }
    if (const auto error = protocol_end(context)) {
        flow.verdict = Verdict::failed;
        flow.leg = stopped != flow.legs.end() ? stopped->name : ends.carrier;
        flow.explanation = *error;
        if (stopped != flow.legs.end()) flow.explanation += " " + stopped->explanation;
        return flow;
    }
    if (stopped != flow.legs.end()) {
        settle(flow, *stopped);
        return flow;
    }
    const auto why = end != nullptr ? fmt::format("{}: {}", end->host, text_field(*end, "reason")) : std::string{};
    if (account.sender_told && account.receiver_told) {
        doubt_flow(flow, Reason::contradiction, ends.carrier,
                   fmt::format("The connections worked, but what arrived cannot be matched with what was sent ({}).{}",
                               packets_words(account), why.empty() ? "" : " " + why));
    } else {
        doubt_flow(flow, Reason::no_outcome, ends.carrier,
                   fmt::format("The connections worked, but {} left no account of the media.{}",
                               account.sender_told ? ends.receiver : ends.sender, why.empty() ? "" : " " + why));
    }
    return flow;
}

}  // namespace

FlowResult judge_session(const FlowContext& context) {
    auto flow = judge_media(context);
    judge_freshness(context, flow);
    settle_by_ledger(leg_contexts(context), flow);
    return flow;
}

}  // namespace wmlab::lab
