// What stopped a connection that was open.
#include <spdlog/fmt/fmt.h>

#include "lab/judge/ledger.hpp"
#include "lab/judge/path.hpp"
#include "lab/judge/tcp_leg.hpp"

namespace wmlab::lab {

void judge_breakage(const LegContext& context, const Conversation& conversation, const Carried& carried,
                    LegResult& leg) {
    const auto [local, remote] = ends_of(context, conversation);
    const auto path = follow(context, local, remote, conversation.accepted);
    const auto to = context.names.at(remote);
    const auto& from = context.leg.source;
    const auto& host = context.leg.destination;
    const bool far_silent = conversation.accepted == nullptr && !conversation.heard();

    if (const auto place = came_to(context, "tcp", path.near); place && place->host != host) {
        conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                 fmt::format("The connection of {} to {} was translated on the way and came to {} on {}.", from, to,
                             context.names.at(place->between.destination), place->host));
        return;
    }
    if (far_silent && path.destination_complete && path.syn_in == 0 && path.syn_ack_in > 0) {
        conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                 fmt::format("{} was answered in the name of {} by something on the way: no SYN ever reached {}.", from,
                             to, host));
        return;
    }
    const bool told = path.icmp_to_source || path.rst_to_source > 0;  // what follows says by whom
    if (far_silent && path.destination_complete && path.syn_ack_out > 0 && path.ack_in == 0 && !told) {
        conclude(
            leg, Verdict::blocked, Cause::dropped, context.forward,
            fmt::format("{} took the connection to {} for open, but {} never got the last ACK of the handshake nor any "
                        "data: packets from {} were lost after the SYN.",
                        from, to, host, from));
        return;
    }
    if (far_silent && context.destination_speaks && !listener_known(context, path, leg)) return;

    // A reset that the far host did not send.
    const auto failure = [](const Event* closed) -> Failure {
        return closed == nullptr ? Failure{} : failure_of(*closed).value_or(Failure{});
    };
    const auto near_failure = failure(conversation.closed), far_failure = failure(conversation.peer_closed);
    const auto by = [](const Event* closed) {
        return closed == nullptr ? std::string_view{} : text_field(*closed, "by");
    };
    const bool near_reset = near_failure.kind == "reset" || (near_failure.kind == "refused" && !near_failure.icmp);
    const bool near_forged = path.rst_to_source > 0 && path.destination_complete && path.rst_from_destination == 0;
    const bool far_forged =
        path.rst_to_destination > 0 && path.source_complete && path.rst_to_destination > path.rst_from_source;
    const bool ttl_differs = path.rst_ttl && path.other_ttl && *path.rst_ttl != *path.other_ttl;
    // A host that was reset in the other's name answers what still comes with a RST of its own.
    const bool in_turn = far_forged && path.rst_from_destination > 0;
    if (near_reset && path.rst_from_destination > 0 && !in_turn) {
        conclude(leg, Verdict::failed, Cause::refused, context.back,
                 fmt::format("{} itself reset the connection of {}.", to, from));
        return;
    }
    // Who is told by RST is whose packets were not wanted.
    const bool near_told = !in_turn && (near_forged || (near_reset && (far_failure.kind == "reset" || ttl_differs)));
    if (near_told || far_forged) {
        const auto whom = near_told && far_forged ? fmt::format("both {} and {}", from, host) : near_told ? from : host;
        const auto who =
            near_told && far_forged ? std::string{"neither of them"} : (near_told ? host : from) + " never";
        conclude(leg, Verdict::blocked, Cause::reset,
                 near_told && far_forged ? std::string{}
                 : near_told             ? context.forward
                                         : context.back,
                 fmt::format("The open connection of {} to {} was reset by something on the way: {} got a RST that {} sent.",
                             from, to, whom, who));
        return;
    }
    // A program may not be told of an ICMP message: its host's wire is.
    const auto near_icmp = near_failure.icmp ? near_failure.icmp : path.icmp_to_source;
    if (near_icmp && near_icmp->from != context.destination_address()) {
        icmp_ended(context, path, *near_icmp, context.forward, fmt::format("The open connection of {} to {}", from, to),
                   "", leg);
        return;
    }
    // Where nothing came, what the host sends is no answer: its last word, said when it gave up.
    const bool gave_up_unheard =
        path.destination_complete && path.data_out > 0 && path.data_in == 0 && path.back_out == 0;
    if (path.icmp_to_destination && path.icmp_to_destination->from != context.source_address() && !gave_up_unheard) {
        icmp_ended(context, path, *path.icmp_to_destination, context.back,
                   fmt::format("What {} sent on the open connection of {}", host, from), "", leg);
        return;
    }

    // An end that closed of its own will, with a reason, was not stopped on the way.
    const bool near_ended_it = by(conversation.closed) == "self" && near_failure.kind.empty();
    const bool far_ended_it = by(conversation.peer_closed) == "self" && far_failure.kind.empty();
    const bool forged_end = by(conversation.closed) == "peer" && conversation.peer_closed != nullptr && !far_ended_it &&
                            path.destination_complete && path.fin_back_out == 0 && path.fin_back_in > 0;
    if (forged_end) {
        conclude(leg, Verdict::blocked, Cause::reset, context.back,
                 fmt::format("Something on the way closed the connection of {} to {}: {} did not.", from, to, host));
        return;
    }
    if (far_ended_it && by(conversation.closed) == "peer") return;  // the flow says how the session ended

    // Silence: what one end sent and the other never got.
    const auto waited = waited_words(near_failure.waited);
    const auto bytes = [](const Event* closed, std::string_view name) {
        return closed == nullptr ? std::nullopt : number_field(*closed, name);
    };
    const auto lost = [&](const Events& sent, const Events& received, const Event* sender, const Event* receiver,
                          bool wire_lost) {
        const auto out = bytes(sender, "bytes_sent"), in = bytes(receiver, "bytes_received");
        return sent.size() > received.size() || (out && in && *out > *in) || wire_lost;
    };
    const bool gave_up = near_failure.kind == "timeout" || far_failure.kind == "timeout" || carried.silent ||
                         (conversation.closed == nullptr && conversation.peer_closed == nullptr) || near_ended_it;
    if (!context.source_speaks || !context.destination_speaks) {  // of a real program only the wires tell
        const bool lost_there = path.destination_complete && path.data_out > 0 && path.data_in == 0;
        const bool lost_back = path.source_complete && path.back_out > 0 && path.back_in == 0;
        if (lost_there || lost_back) {
            conclude(leg, Verdict::blocked, Cause::starved, lost_there ? context.forward : context.back,
                     fmt::format("The connection of {} to {} was open, then what {} sent did not arrive.", from, to,
                                 lost_there ? from : host));
            return;
        }
    }
    if (!gave_up) return;
    // What reached the host's interface was not stopped on the way, whatever its journal makes of it.
    const bool unseen = path.destination_complete && path.data_in > 0 && conversation.peer_received.empty();
    if (context.destination_speaks && conversation.sent.size() + conversation.received.size() > 0 &&
        lost(conversation.sent, conversation.peer_received, conversation.closed, conversation.peer_closed,
             path.destination_complete && path.data_out > 0 && path.data_in == 0) &&
        !unseen) {
        const auto arrived = conversation.peer_received.size();
        conclude(leg, Verdict::blocked, Cause::starved, context.forward,
                 fmt::format(
                     "The connection of {} to {} was open, then what {} sent did not arrive: {} sent, {} received{}.",
                     from, to, from, counted(conversation.sent.size(), "message"), arrived,
                     waited.empty() ? "" : ", no answer" + waited));
        return;
    }
    const bool media_lost = carried.backwards && carried.sent > carried.received;
    if (media_lost || lost(conversation.peer_sent, conversation.received, conversation.peer_closed, conversation.closed,
                           path.source_complete && path.back_out > 0 && path.back_in == 0)) {
        const auto ledger =
            media_lost ? fmt::format("{} of media sent, {} received", counted(carried.sent, "packet"), carried.received)
                       : fmt::format("{} sent, {} received", counted(conversation.peer_sent.size(), "message"),
                                     conversation.received.size());
        conclude(leg, Verdict::blocked, Cause::starved, context.back,
                 fmt::format("The connection of {} to {} was open, then what {} sent did not arrive: {}{}.", from, to,
                             host, ledger, waited.empty() ? "" : ", then silence" + waited));
        return;
    }
    if (!carried.backwards && carried.sent > carried.received) {
        conclude(
            leg, Verdict::blocked, Cause::starved, context.forward,
            fmt::format("The connection of {} to {} was open, then what {} sent did not arrive: {} of media sent, {} received.",
                        from, to, from, counted(carried.sent, "packet"), carried.received));
        return;
    }
    if (leg.verdict == Verdict::inconclusive) {
        if (far_silent) {
            doubt(leg, Reason::host_silent,
                  fmt::format("{} connected to {}, but nothing of {} shows that the connection arrived there.", from,
                              to, host));
        } else {
            doubt(leg, Reason::host_silent,
                  fmt::format("{} connected to {}, and no application data went {}.", from, to,
                              conversation.heard() ? "back: " + host + " did not answer" : "over the connection"));
        }
    }
}

}  // namespace wmlab::lab
