#include "lab/judge/tcp_leg.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>

#include "lab/judge/path.hpp"

namespace wmlab::lab {
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
                        fmt::format("{} was rejected{} with {} in the name of {} ({}), which sent no such message: "
                                    "something on the way did.",
                                    what, waited, icmp_words(message), message.name, message.from));
    }
    return conclude(leg, Verdict::blocked, Cause::rejected, direction,
                    fmt::format("{} was rejected by {} ({}) with {}{}.", what, message.name, message.from,
                                icmp_words(message), waited));
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
                fmt::format("TCP from {} to {} was reset{} by something on the way: the SYN never reached {}, "
                            "and {} sent no RST.",
                            source_name(context), to, after(failure.waited), host, host));
        }
        if (path.syn_ack_in > 0) {  // who is told by RST is whose packets were not wanted
            return conclude(leg, Verdict::blocked, Cause::reset, context.forward,
                            fmt::format("TCP from {} to {} was reset{} by something on the way: the SYN was answered, "
                                        "and what {} sent then got a RST that {} did not send.",
                                        source_name(context), to, after(failure.waited), context.leg.source, host));
        }
        return conclude(leg, Verdict::blocked, Cause::reset, context.back,
                        fmt::format("TCP from {} to {} was reset{} by something on the way: the SYN reached {}, which "
                                    "sent no RST.",
                                    source_name(context), to, after(failure.waited), host));
    }
    if (path.rst_from_destination > 0) {
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
            fmt::format("TCP from {} to {} was reset{} by something on the way: the RST came with TTL {}, "
                        "other packets of {} with {}.",
                        source_name(context), to, after(failure.waited), *path.rst_ttl, host, *path.other_ttl));
    }
    if (!context.destination_speaks) {
        return doubt(leg, Reason::not_listening,
                     fmt::format("TCP from {} to {} was reset{}, and nothing shows whether {} or something on the way "
                                 "did it.",
                                 source_name(context), to, after(failure.waited), host));
    }
    // Started by hand, a server that pulls may be faster than the one it pulls from.
    const auto port = path.near.destination.port;
    const auto* const listening =
        context.evidence.bound(host, scenario::Protocol::tcp, {{port, port}}, context.instance.id).listening;
    if (conversation.failed != nullptr && listening != nullptr && listening->utc > conversation.failed->utc) {
        return doubt(leg, Reason::not_listening,
                     fmt::format("TCP from {} to {} was reset{}, and by the times in the journals {} began to listen "
                                 "there only after that.",
                                 source_name(context), to, after(failure.waited), host));
    }
    // The program on the far host was listening to its end, so the RST cannot be the host's own.
    return conclude(
        leg, Verdict::blocked, Cause::reset, "",
        fmt::format("TCP from {} to {} was reset{}, although {} was listening there all the time: something on "
                    "the way sent the RST.",
                    source_name(context), to, after(failure.waited), host));
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
    if (path.syn_in > 0 || path.syn_ack_out > 0 || conversation.accepted != nullptr) {
        if (path.icmp_to_destination) {
            return icmp_ended(context, path, *path.icmp_to_destination, context.back,
                              fmt::format("{}'s answer to the SYN of {}", host, from), "", leg);
        }
        if (path.rst_to_destination > 0 && path.source_complete && path.rst_from_source == 0) {
            return conclude(
                leg, Verdict::blocked, Cause::reset, context.back,
                fmt::format("The SYN reached {}, but its answer was reset on the way: {} got a RST in the name "
                            "of {}, which sent none and heard nothing{}.",
                            to, host, from, waited));
        }
        if (path.syn_ack_out == 0 && conversation.accepted == nullptr) {
            if (path.destination_complete && path.near.source.address != path.far.source.address) {
                return conclude(
                    leg, Verdict::blocked, Cause::translated, context.back,
                    fmt::format("The SYN of {} reached {} as {}, and no answer left {}: from there nothing leads back "
                                "to that address.",
                                from, host, path.far.source.text(), host));
            }
            if (path.destination_complete) {
                return doubt(
                    leg, Reason::host_silent,
                    fmt::format("The SYN of {} reached the interface of {}, which did not answer it.", from, host));
            }
            return doubt(leg, Reason::host_silent,
                         fmt::format("The SYN of {} reached {}; whether it was answered is not known.", from, host));
        }
        const auto answers = path.syn_ack_out > 0 ? fmt::format("{} answered {}", host, times(path.syn_ack_out))
                                                  : fmt::format("{} answered", host);
        return conclude(
            leg, Verdict::blocked, Cause::dropped, context.back,
            fmt::format("{} arrived, and {}, but the answer never reached {}{}.", syns, answers, from, waited));
    }
    if (path.destination_complete) {
        return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                        fmt::format("{} left {} and never reached {}: no answer{}.", syns, from, host, waited));
    }
    return conclude(leg, Verdict::blocked, Cause::dropped, "",
                    fmt::format("{} got no answer{}; in which direction it was lost is not known, because the wire of "
                                "{} was not watched.",
                                syns, waited, host));
}

// A listener in the journal, or a port that was seen to answer.
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
        for (const auto* line : context.evidence.wire(context.leg.destination).find(Way::out, {"syn-ack"}, answers)) {
            if (line->source.port == path.near.destination.port) return true;
        }
        if (path.syn_in == 0 && path.destination_complete && bound.failed == nullptr) return true;  // see needs_control
    }
    const auto where = Endpoint{context.destination_address(), path.near.destination.port}.text();
    if (bound.failed != nullptr) {
        const auto holder = text_field(*bound.failed, "holder");
        doubt(leg, Reason::not_listening,
              fmt::format("{} could not bind TCP {}: {}{}.", context.leg.destination, bound.failed->local,
                          text_field(*bound.failed, "error"),
                          holder.empty() ? "" : fmt::format(" (held by {})", holder)));
    } else {
        doubt(leg, Reason::not_listening,
              fmt::format("Nothing in the journals shows that {} was listening on TCP {}.", context.leg.destination,
                          where));
    }
    return false;
}

}  // namespace

std::vector<Conversation> conversations(const LegContext& context) {
    std::vector<Conversation> found;
    const auto matching = [&](const Event& event) -> Conversation* {
        const auto remote = Endpoint::from(event.remote), local = Endpoint::from(event.local);
        for (auto i = found.rbegin(); i != found.rend(); ++i) {
            const bool remote_fits = remote.empty() || i->remote.empty() || i->remote == remote;
            const bool local_fits = local.empty() || i->local.empty() || i->local.port == 0 || i->local == local;
            if (remote_fits && local_fits) return &*i;
        }
        return nullptr;
    };
    const auto opened = [&](const Event& event) -> Conversation& {
        auto* conversation = matching(event);
        if (conversation == nullptr) conversation = &found.emplace_back();
        if (!event.local.empty()) conversation->local = Endpoint::from(event.local);
        if (!event.remote.empty()) conversation->remote = Endpoint::from(event.remote);
        return *conversation;
    };
    const auto fresh = [&](const Event& event, const Event* Conversation::*which) -> Conversation& {
        // A second outcome of the same kind belongs to a second connection whose `connecting` is missing.
        auto* conversation = matching(event);
        if (conversation != nullptr && (conversation->connected != nullptr || conversation->failed != nullptr ||
                                        conversation->*which != nullptr)) {
            found.emplace_back().remote = Endpoint::from(event.remote);
        }
        return opened(event);
    };
    if (context.source_speaks) {
        for (const auto* event : context.view.at(context.leg.source, context.leg.name)) {
            switch (event->event) {
                case What::connecting: {
                    auto& conversation = found.emplace_back();
                    conversation.connecting = event;
                    conversation.remote = Endpoint::from(event->remote);
                    conversation.local = Endpoint::from(event->local);
                    break;
                }
                case What::connected:
                    fresh(*event, &Conversation::connected).connected = event;
                    break;
                case What::connect_failed:
                    fresh(*event, &Conversation::failed).failed = event;
                    break;
                case What::closed:
                    if (auto* conversation = matching(*event)) conversation->closed = event;
                    break;
                case What::sent:
                case What::probe_sent:
                    opened(*event).sent.push_back(event);
                    break;
                case What::received:
                case What::probe_answered:
                    opened(*event).received.push_back(event);
                    break;
                default:
                    break;
            }
        }
    }
    // The answering end: by the address it sees, else (NAT) in the order of time.
    std::vector<const Event*> accepted = context.view.at(context.leg.destination, context.leg.name, What::accepted);
    std::vector<Conversation*> waiting;
    for (auto& conversation : found) {
        const auto exact = std::ranges::find_if(accepted, [&](const Event* event) {
            return !conversation.local.empty() && Endpoint::from(event->remote) == conversation.local;
        });
        if (exact != accepted.end()) {
            conversation.accepted = *exact;
            accepted.erase(exact);
        } else if (conversation.connected != nullptr) {
            waiting.push_back(&conversation);
        }
    }
    // A connection from another known address is not ours; one from an unknown address may be ours, translated.
    for (auto* conversation : waiting) {
        const auto translated = std::ranges::find_if(
            accepted, [&](const Event* event) { return !context.names.knows(Endpoint::from(event->remote).address); });
        if (translated == accepted.end()) break;
        conversation->accepted = *translated;
        accepted.erase(translated);
    }
    if (!context.source_speaks) {
        for (const auto* event : accepted) {
            auto& conversation = found.emplace_back();
            conversation.accepted = event;
            conversation.local = Endpoint::from(event->remote);
            conversation.remote = Endpoint::from(event->local);
        }
    }
    for (const auto* event : context.view.at(context.leg.destination, context.leg.name)) {
        const bool heard = event->event == What::received || event->event == What::probe_received;
        if (event->event != What::sent && !heard && event->event != What::closed) continue;
        Conversation* mine = nullptr;
        const auto number = number_field(*event, "connection");
        const auto remote = Endpoint::from(event->remote);
        for (auto& conversation : found) {
            const auto* entry = conversation.accepted;
            const bool by_number = number && entry != nullptr && number_field(*entry, "connection") == number;
            const bool by_address = !remote.empty() && (remote == conversation.local ||
                                                        (entry != nullptr && Endpoint::from(entry->remote) == remote));
            if (by_number || by_address) mine = &conversation;
        }
        if (mine == nullptr && !number && remote.empty() && !found.empty()) mine = &found.back();
        // The line `accepted` may be lost; what was received on the only connection is still received.
        if (mine == nullptr && found.size() == 1 && found.front().accepted == nullptr) mine = &found.front();
        if (mine == nullptr) continue;
        if (event->event == What::sent) mine->peer_sent.push_back(event);
        if (heard) mine->peer_received.push_back(event);
        if (event->event == What::closed) mine->peer_closed = event;
    }
    return found;
}

namespace {

// Local and remote address of the opening end, as far as they are known.
Between ends_of(const LegContext& context, const Conversation& conversation) {
    auto local = conversation.local, remote = conversation.remote;
    if (local.empty()) local = {context.source_address(), 0};
    if (remote.empty()) {
        remote.address = context.destination_address();
        const auto& ports = context.leg.destination_ports;
        if (ports.size() == 1 && ports.front().first == ports.front().last) remote.port = ports.front().first;
    }
    return {local, remote};
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
    if (conversation.connected != nullptr) leg.milliseconds = number_field(*conversation.connected, "milliseconds");

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
    switch (attempt.ending) {
        case Ending::none:
            if (conversation.connecting != nullptr) {
                return doubt(leg, Reason::no_outcome,
                             fmt::format("{} began to connect to {}; how that ended is not recorded.",
                                         context.leg.source, context.names.at(remote)));
            }
            return doubt(leg, Reason::not_tried, fmt::format("{} did not open this connection.", context.leg.source));
        case Ending::connected:
            judge_breakage(context, conversation, {}, leg);
            return leg;
        default:
            break;
    }
    if (!listener_known(context, path, leg)) return leg;
    const auto what = fmt::format("TCP from {} to {}", context.leg.source, context.names.at(remote));
    if (path.destination_complete && path.syn_in == 0) {
        if (const auto elsewhere = sent_elsewhere(context, "tcp", path.near)) {
            return conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                            fmt::format("{} was translated on the way and sent to {}: it never reached {}.", what,
                                        context.names.at(*elsewhere), context.leg.destination));
        }
    }
    switch (attempt.ending) {
        case Ending::silence:
            return silence(context, conversation, path, attempt.failure, leg);
        case Ending::reset:
            return reset_ended(context, conversation, path, attempt.failure, leg);
        case Ending::unreachable:
            if (attempt.failure.icmp) {
                return icmp_ended(context, path, *attempt.failure.icmp, context.forward, what,
                                  after(attempt.failure.waited), leg);
            }
            return doubt(
                leg, Reason::not_sent,
                fmt::format("{} could not be opened: {}, without any message from the network: {} has no route.", what,
                            attempt.failure.error, context.leg.source));
        default:
            return doubt(leg, Reason::not_sent,
                         fmt::format("{} could not be opened: {}.", what, attempt.failure.error));
    }
}

void judge_breakage(const LegContext& context, const Conversation& conversation, const Carried& carried,
                    LegResult& leg) {
    const auto [local, remote] = ends_of(context, conversation);
    const auto path = follow(context, local, remote, conversation.accepted);
    const auto to = context.names.at(remote);
    const auto& from = context.leg.source;
    const auto& host = context.leg.destination;
    const bool far_silent = conversation.accepted == nullptr && !conversation.heard();

    if (far_silent && path.destination_complete && path.syn_in == 0 && path.syn_ack_in > 0) {
        conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                 fmt::format("{} was answered in the name of {} by something on the way: no SYN ever reached {}.", from,
                             to, host));
        return;
    }
    if (far_silent && path.destination_complete && path.syn_ack_out > 0 && path.ack_in == 0) {
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
    const bool far_forged = path.rst_to_destination > 0 && path.source_complete && path.rst_from_source == 0;
    const bool ttl_differs = path.rst_ttl && path.other_ttl && *path.rst_ttl != *path.other_ttl;
    if (near_reset && path.rst_from_destination > 0) {
        conclude(leg, Verdict::failed, Cause::refused, context.back,
                 fmt::format("{} itself reset the connection of {}.", to, from));
        return;
    }
    // Who is told by RST is whose packets were not wanted.
    const bool near_told = near_forged || (near_reset && (far_failure.kind == "reset" || ttl_differs));
    if (near_told || far_forged) {
        const auto whom = near_told && far_forged ? fmt::format("both {} and {}", from, host) : near_told ? from : host;
        const auto who =
            near_told && far_forged ? std::string{"neither of them"} : (near_told ? host : from) + " never";
        conclude(leg, Verdict::blocked, Cause::reset,
                 near_told && far_forged ? std::string{}
                 : near_told             ? context.forward
                                         : context.back,
                 fmt::format("The open connection of {} to {} was reset by something on the way: {} got a RST that {} "
                             "sent.",
                             from, to, whom, who));
        return;
    }
    if (near_failure.icmp && near_failure.icmp->from != context.destination_address()) {
        icmp_ended(context, path, *near_failure.icmp, context.forward,
                   fmt::format("The open connection of {} to {}", from, to), "", leg);
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
            fmt::format("The connection of {} to {} was open, then what {} sent did not arrive: {} of media sent, {} "
                        "received.",
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
