#include "lab/judge/tcp_leg.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "lab/judge/path.hpp"

namespace wmlab::lab {

LegResult& icmp_ended(const LegContext& context, const Path& path, const Icmp& icmp, const std::string& direction,
                      const std::string& what, const std::string& waited, LegResult& leg) {
    auto message = icmp;
    message.name = context.names.of(icmp.from);
    const auto own = direction == context.forward ? context.destination_address() : context.source_address();
    leg.icmp = message;
    if (message.from == own) {
        const bool forged =
            path.destination_complete && path.icmp_from_destination == 0 && direction == context.forward;
        if (!forged) {
            return conclude(
                leg, Verdict::failed, Cause::refused, direction,
                fmt::format("{} was refused by {} itself with {}{}.", what, message.name, icmp_words(message), waited));
        }
        return conclude(leg, Verdict::blocked, Cause::rejected, direction,
                        fmt::format("{} was rejected{} with {} in the name of {} ({}), which sent no such message: something on the way did.",
                                    what, waited, icmp_words(message), message.name, message.from));
    }
    return conclude(leg, Verdict::blocked, Cause::rejected, direction,
                    fmt::format("{} was rejected by {} ({}) with {}{}.", what, message.name, message.from,
                                icmp_words(message), waited));
}

bool listener_known(const LegContext& context, const Path& path, LegResult& leg) {
    const auto bound = context.evidence.bound(
        context.leg.destination, scenario::Protocol::tcp,
        path.near.destination.port != 0 ? scenario::PortList{{path.near.destination.port, path.near.destination.port}}
                                        : context.leg.destination_ports,
        context.instance.id);
    if (bound.listening != nullptr) return true;
    if (path.translated) {  // a translated port is not the one the host listens on
        const auto any = context.evidence.bound(context.leg.destination, scenario::Protocol::tcp,
                                                context.leg.destination_ports, context.instance.id);
        if (any.listening != nullptr) return true;
    }
    if (!context.destination_speaks) {
        // A real program says nothing of itself: its port is known to be bound when it answered anybody.
        const Between answers{{}, {}};
        for (const auto* line : context.wire(context.leg.destination).find(Way::out, {"syn-ack"}, answers)) {
            if (line->source.port == path.near.destination.port) return true;
        }
        if (path.syn_in == 0 && path.destination_complete && bound.failed == nullptr) return true;  // see needs_control
    }
    const auto where = Endpoint{context.destination_address(), path.near.destination.port}.text();
    if (bound.failed != nullptr) {
        const auto holder = text_field(*bound.failed, field::holder);
        doubt(leg, Reason::not_listening,
              fmt::format("{} could not bind TCP {}: {}{}.", context.leg.destination, bound.failed->local, text_field(*bound.failed, field::error),
                          holder.empty() ? "" : fmt::format(" (held by {})", holder)));
    } else {
        doubt(leg, Reason::not_listening,
              fmt::format("Nothing in the journals shows that {} was listening on TCP {}.", context.leg.destination,
                          where));
    }
    return false;
}

namespace {

// How an attempt to connect ended, whoever says so: the opening program, or the wire of a host without a journal.
enum class Ending { none, connected, silence, reset, unreachable, other };

struct Attempted {
    Ending ending = Ending::none;
    Failure failure;
};

Attempted ending_of(const LegContext& context, const Conversation& conversation, const Path& path) {
    if (conversation.connected != nullptr) return {Ending::connected, {}};
    if (conversation.failed != nullptr) {
        auto failure = failure_of(*conversation.failed).value_or(Failure{});
        if (!failure.icmp && path.icmp_to_source) failure.icmp = path.icmp_to_source;
        if (failure.icmp) return {Ending::unreachable, failure};
        if (failure.kind == "timeout") return {Ending::silence, failure};
        if (failure.kind == "refused" || failure.kind == "reset") return {Ending::reset, failure};
        return {failure.kind == "unreachable" ? Ending::unreachable : Ending::other, failure};
    }
    if (context.source_speaks) return {};
    Failure failure;
    failure.icmp = path.icmp_to_source;
    if (path.icmp_to_source) return {Ending::unreachable, failure};
    if (path.rst_to_source > 0 && path.syn_ack_in == 0) return {Ending::reset, failure};
    if (path.syn_ack_in > 0) return {Ending::connected, failure};
    return {path.syn_out > 0 ? Ending::silence : Ending::none, failure};
}

std::string source_name(const LegContext& context) { return context.leg.source; }
std::string destination_at(const LegContext& context, const Path& path) {
    return context.names.at(path.near.destination);
}

void note_wires(const LegContext& context, const Path& path, LegResult& leg) {
    const auto say = [&](bool complete, std::uint64_t count, std::string_view what, const std::string& host) {
        if (count > 0) {
            leg.evidence.push_back(fmt::format("{}'s interface: {} {}.", host, what, times(count)));
        } else if (complete) {
            leg.evidence.push_back(fmt::format("{}'s interface: no {}.", host, what));
        }
    };
    say(path.source_complete, path.syn_out, "SYN sent", context.leg.source);
    say(path.destination_complete, path.syn_in, "SYN received", context.leg.destination);
    if (path.syn_in > 0) say(path.destination_complete, path.syn_ack_out, "SYN-ACK sent", context.leg.destination);
    if (path.syn_ack_out > 0) say(path.source_complete, path.syn_ack_in, "SYN-ACK received", context.leg.source);
    if (path.rst_to_source > 0) {
        say(false, path.rst_to_source, "RST received", context.leg.source);
        say(path.destination_complete, path.rst_from_destination, "RST sent", context.leg.destination);
    }
    if (path.rst_to_destination > 0) {
        say(false, path.rst_to_destination, "RST received", context.leg.destination);
        say(path.source_complete, path.rst_from_source, "RST sent", context.leg.source);
    }
    if (path.translated) {
        leg.evidence.push_back(fmt::format("{} -> {} at {} is {} -> {} at {}.", path.near.source.text(),
                                           path.near.destination.text(), context.leg.source, path.far.source.text(),
                                           path.far.destination.text(), context.leg.destination));
    }
}

std::string after(std::optional<double> waited) { return waited ? fmt::format(" after {:.0f} ms", *waited) : ""; }

// A RST ended the attempt: whose was it?
LegResult& reset_ended(const LegContext& context, const Conversation& conversation, const Path& path,
                       const Failure& failure, LegResult& leg) {
    const auto to = destination_at(context, path);
    const auto& host = context.leg.destination;
    if (path.destination_complete && path.rst_from_destination == 0) {
        if (path.syn_in == 0) {
            return conclude(
                leg, Verdict::blocked, Cause::reset, context.forward,
                fmt::format("TCP from {} to {} was reset{} by something on the way: the SYN never reached {}, and {} sent no RST.",
                            source_name(context), to, after(failure.waited), host, host));
        }
        if (path.syn_ack_in > 0) {  // who is told by RST is whose packets were not wanted
            return conclude(
                leg, Verdict::blocked, Cause::reset, context.forward,
                fmt::format(
                    "TCP from {} to {} was reset{} by something on the way: the SYN was answered, and what {} sent then got a RST that {} did not send.",
                    source_name(context), to, after(failure.waited), context.leg.source, host));
        }
        return conclude(leg, Verdict::blocked, Cause::reset, context.back,
                        fmt::format("TCP from {} to {} was reset{} by something on the way: the SYN reached {}, which sent no RST.",
                                    source_name(context), to, after(failure.waited), host));
    }
    if (path.rst_from_destination > 0) {
        if (path.destination_complete && path.syn_in == 0 && path.syn_ack_in > 0) {
            return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                            fmt::format("{} was answered in the name of {} by something on the way: no SYN ever reached {}, which reset what came after it.",
                                        source_name(context), to, host));
        }
        if (path.translated) {
            return conclude(
                leg, Verdict::blocked, Cause::translated, context.forward,
                fmt::format("TCP from {} to {} was translated on the way to {}, where {} refused it with a RST.",
                            path.near.source.text(), path.near.destination.text(), path.far.destination.text(), host));
        }
        return conclude(
            leg, Verdict::failed, Cause::refused, context.forward,
            fmt::format("TCP from {} to {} was refused by {} itself: the SYN arrived and {} sent the RST{}.",
                        source_name(context), to, host, host, after(failure.waited)));
    }
    const bool ttl_differs = path.rst_ttl && path.other_ttl && *path.rst_ttl != *path.other_ttl;
    if (ttl_differs) {
        return conclude(
            leg, Verdict::blocked, Cause::reset, context.forward,
            fmt::format("TCP from {} to {} was reset{} by something on the way: the RST came with TTL {}, other packets of {} with {}.",
                        source_name(context), to, after(failure.waited), *path.rst_ttl, host, *path.other_ttl));
    }
    if (!context.destination_speaks) {
        return doubt(leg, Reason::not_listening,
                     fmt::format("TCP from {} to {} was reset{}, and nothing shows whether {} or something on the way did it.",
                                 source_name(context), to, after(failure.waited), host));
    }
    // Started by hand, a server that pulls may be faster than the one it pulls from.
    const auto port = path.near.destination.port;
    const auto* const listening =
        context.evidence.bound(host, scenario::Protocol::tcp, {{port, port}}, context.instance.id).listening;
    if (conversation.failed != nullptr && listening != nullptr && listening->utc > conversation.failed->utc) {
        return doubt(leg, Reason::not_listening,
                     fmt::format("TCP from {} to {} was reset{}, and by the times in the journals {} began to listen there only after that.",
                                 source_name(context), to, after(failure.waited), host));
    }
    // The program on the far host was listening to its end, so the RST cannot be the host's own.
    return conclude(
        leg, Verdict::blocked, Cause::reset, "",
        fmt::format("TCP from {} to {} was reset{}, although {} was listening there all the time: something on the way sent the RST.",
                    source_name(context), to, after(failure.waited), host));
}

// The SYN, as `syns` tells of it, reached the host: what became of the answer?
LegResult& answer_lost(const LegContext& context, const Conversation& conversation, const Path& path, const std::string& syns, const std::string& waited,
                       LegResult& leg) {
    const auto to = destination_at(context, path);
    const auto& from = context.leg.source;
    const auto& host = context.leg.destination;
    // Whatever became of the host's RST: no connection was to be had there.
    if (path.syn_ack_out == 0 && conversation.accepted == nullptr && path.destination_complete && path.near.destination != path.far.destination) {
        return conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                        fmt::format("The SYN of {} to {} was translated on the way to {}, where {} took no connection{}.", from, to,
                                    path.far.destination.text(), host, path.rst_from_destination > 0 ? ": its RST did not come back" : ""));
    }
    if (path.icmp_to_destination) {
        return icmp_ended(context, path, *path.icmp_to_destination, context.back, fmt::format("{}'s answer to the SYN of {}", host, from), "", leg);
    }
    if (path.rst_to_destination > 0 && path.source_complete && path.rst_from_source == 0) {
        return conclude(
            leg, Verdict::blocked, Cause::reset, context.back,
            fmt::format("The SYN reached {}, but its answer was reset on the way: {} got a RST in the name of {}, which sent none and heard nothing{}.", to,
                        host, from, waited));
    }
    if (path.syn_ack_out == 0 && conversation.accepted == nullptr) {
        if (path.destination_complete && path.near.source.address != path.far.source.address) {
            return conclude(leg, Verdict::blocked, Cause::translated, context.back,
                            fmt::format("The SYN of {} reached {} as {}, and no answer left {}: from there nothing leads back to that address.", from, host,
                                        path.far.source.text(), host));
        }
        if (path.destination_complete) {
            return doubt(leg, Reason::host_silent, fmt::format("The SYN of {} reached the interface of {}, which did not answer it.", from, host));
        }
        return doubt(leg, Reason::host_silent, fmt::format("The SYN of {} reached {}; whether it was answered is not known.", from, host));
    }
    const auto answers = path.syn_ack_out > 0 ? fmt::format("{} answered {}", host, times(path.syn_ack_out)) : fmt::format("{} answered", host);
    return conclude(leg, Verdict::blocked, Cause::dropped, context.back,
                    fmt::format("{} arrived, and {}, but the answer never reached {}{}.", syns, answers, from, waited));
}

// Nobody answered: which way did the packets get lost?
LegResult& silence(const LegContext& context, const Conversation& conversation, const Path& path,
                   const Failure& failure, LegResult& leg) {
    const auto to = destination_at(context, path);
    const auto& from = context.leg.source;
    const auto& host = context.leg.destination;
    const auto waited = waited_words(failure.waited);
    if (path.source_complete && path.syn_out == 0) {
        return doubt(leg, Reason::not_sent,
                     fmt::format("No SYN to {} ever left {}: the host itself stopped it.", to, from));
    }
    if (path.syn_ack_in > 0) {
        return doubt(
            leg, Reason::host_silent,
            fmt::format("The answer of {} reached the interface of {}, whose program did not see it.", to, from));
    }
    const auto syns = path.syn_out > 0 ? fmt::format("The SYN to {}, sent {},", to, times(path.syn_out))
                                       : fmt::format("The SYN to {}", to);
    if (path.syn_in > 0 || path.syn_ack_out > 0 || conversation.accepted != nullptr) return answer_lost(context, conversation, path, syns, waited, leg);
    if (path.destination_complete) {
        return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                        fmt::format("{} left {} and never reached {}: no answer{}.", syns, from, host, waited));
    }
    return conclude(leg, Verdict::blocked, Cause::dropped, "",
                    fmt::format("{} got no answer{}; in which direction it was lost is not known, because the wire of {} was not watched.",
                                syns, waited, host));
}

// It was tried, and there never was a connection.
LegResult& judge_refusal(const LegContext& context, const Conversation& conversation, const Path& path, const Attempted& attempt, const Endpoint& remote,
                         LegResult& leg) {
    const auto what = fmt::format("TCP from {} to {}", context.leg.source, context.names.at(remote));
    if (path.destination_complete && path.syn_in == 0) {
        if (const auto elsewhere = sent_elsewhere(context, "tcp", path.near))
            return conclude(
                leg, Verdict::blocked, Cause::translated, context.forward,
                fmt::format("{} was translated on the way and sent to {}: it never reached {}.", what, context.names.at(*elsewhere), context.leg.destination));
    }
    if (attempt.ending == Ending::silence) return silence(context, conversation, path, attempt.failure, leg);
    if (attempt.ending == Ending::reset) return reset_ended(context, conversation, path, attempt.failure, leg);
    if (attempt.ending != Ending::unreachable) return doubt(leg, Reason::not_sent, fmt::format("{} could not be opened: {}.", what, attempt.failure.error));
    if (!attempt.failure.icmp)
        return doubt(
            leg, Reason::not_sent,
            fmt::format("{} could not be opened: {}, without any message from the network: {} has no route.", what, attempt.failure.error, context.leg.source));
    // A SYN that was answered was not what was rejected, whomever the message went to.
    const bool answer = path.syn_in > 0 && path.syn_ack_out > 0 && path.syn_ack_in == 0;
    return icmp_ended(context, path, *attempt.failure.icmp, answer ? context.back : context.forward,
                      answer ? fmt::format("{}'s answer to the SYN of {}", context.leg.destination, context.leg.source) : what, after(attempt.failure.waited),
                      leg);
}

}  // namespace

LegResult judge_conversation(const LegContext& context, const Conversation& conversation) {
    auto leg = blank(context);
    const auto [local, remote] = ends_of(context, conversation);
    const auto path = follow(context, local, remote, conversation.accepted);
    leg.source = path.near.source.text();
    leg.destination = remote.text();
    if (path.translated) {
        leg.source_seen = path.far.source.text();
        leg.destination_seen = path.far.destination.text();
    }
    if (conversation.connected != nullptr) leg.milliseconds = number_field(*conversation.connected, field::milliseconds);

    const bool heard = conversation.heard() || (!context.destination_speaks && conversation.answered());
    const bool lost_back = path.source_complete && path.back_out > 0 && path.back_in == 0;
    const bool answered = conversation.answered() || (!context.source_speaks && conversation.heard() && !lost_back);
    if (heard && answered) {
        leg.verdict = Verdict::pass;
        if (path.translated) note_wires(context, path, leg);
        return leg;
    }
    note_wires(context, path, leg);
    const auto attempt = ending_of(context, conversation, path);
    if (attempt.ending == Ending::none)
        return conversation.connecting == nullptr
                   ? doubt(leg, Reason::not_tried, fmt::format("{} did not open this connection.", context.leg.source))
                   : doubt(leg, Reason::no_outcome,
                           fmt::format("{} began to connect to {}; how that ended is not recorded.", context.leg.source, context.names.at(remote)));
    if (attempt.ending == Ending::connected)
        judge_breakage(context, conversation, {}, leg);
    else if (listener_known(context, path, leg))
        judge_refusal(context, conversation, path, attempt, remote, leg);
    return leg;
}

LegResult judge_tcp(const LegContext& context) {
    const auto all = conversations(context);
    if (all.empty()) return judge_conversation(context, {});
    // The newest connection to each port counts; earlier ones to the same port were retries or parts of the same
    // session.
    std::map<std::uint16_t, const Conversation*> newest;
    for (const auto& conversation : all) newest[conversation.remote.port] = &conversation;
    std::optional<LegResult> worst;
    const auto badness = [](const LegResult& leg) {
        switch (leg.verdict) {
            case Verdict::pass:
                return 0;
            case Verdict::degraded:
                return 1;
            case Verdict::inconclusive:
                return 2;
            case Verdict::failed:
                return 3;
            default:
                return 4;
        }
    };
    for (const auto& [port, conversation] : newest) {
        auto leg = judge_conversation(context, *conversation);
        if (!worst || badness(leg) > badness(*worst)) worst = std::move(leg);
    }
    return *worst;
}

}  // namespace wmlab::lab
