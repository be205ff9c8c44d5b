#include "lab/judge/udp_leg.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/ledger.hpp"
#include "lab/judge/path.hpp"

namespace wmlab::lab {
namespace {

using enum Way;

std::optional<Icmp> icmp_about(const LegContext& context, const std::string& host, const Between& quoted) {
    for (const auto* line : context.wire(host).find(in, {"icmp"}, quoted)) {
        if (line->icmp && line->protocol != "tcp" && line->icmp->type == 3 && line->icmp->code != 4) return line->icmp;
    }
    return std::nullopt;
}

// Datagrams on the receiver's wire that may be these, seen after translation.
std::vector<const WireLine*> translated_arrivals(const LegContext& context, const Datagrams& datagrams) {
    std::vector<const WireLine*> found;
    for (const auto* line : context.wire(datagrams.receiver).find(in, {"udp"}, {{}, datagrams.bound})) {
        if (line->source.address != datagrams.source.address && !context.names.knows(line->source.address)) {
            found.push_back(line);
        }
    }
    return found;
}

LegContext context_between(LegContext context, const Datagrams& datagrams) {
    context.leg.source = datagrams.sender;
    context.leg.destination = datagrams.receiver;
    return context;
}

void first_addresses(const Event& event, Endpoint& local, Endpoint& remote) {
    if (local.empty() && !event.local.empty()) local = Endpoint::from(event.local);
    if (remote.empty() && !event.remote.empty()) remote = Endpoint::from(event.remote);
}

std::uint64_t whole(const Event& event, std::string_view name) {
    return static_cast<std::uint64_t>(std::max(0.0, number_field(event, name).value_or(0)));
}

}  // namespace

LegResult judge_udp(const LegContext& context, const Datagrams& datagrams) {
    auto leg = blank(context);
    if (!datagrams.source.empty()) leg.source = datagrams.source.text();
    if (!datagrams.destination.empty()) leg.destination = datagrams.destination.text();
    if (!datagrams.source_seen.empty() && datagrams.source_seen != datagrams.source) {
        leg.source_seen = datagrams.source_seen.text();
    }
    const auto& own = datagrams.bound;
    if (!own.empty() && !datagrams.destination.empty() && own != datagrams.destination)
        leg.destination_seen = own.text();
    if (datagrams.received > 0) {
        leg.verdict = Verdict::pass;
        return leg;
    }
    const auto& sender_wire = context.wire(datagrams.sender);
    const auto& receiver_wire = context.wire(datagrams.receiver);
    const auto destination = datagrams.destination.empty() ? own : datagrams.destination;
    const Between between{datagrams.source, destination};
    // Only with both ports known are packets on the wire surely these.
    const bool known = datagrams.source.port != 0 && destination.port != 0;
    const auto wire_out = known || datagrams.sent > 0 ? sender_wire.count(out, {"udp"}, between) : 0;
    const auto sent = std::max(datagrams.sent, wire_out);
    const auto from =
        context.names.at(datagrams.source.empty() ? Endpoint{context.source_address(), 0} : datagrams.source);
    const auto to = context.names.at(destination.empty() ? Endpoint{context.destination_address(), 0} : destination);
    if (wire_out > 0) {
        leg.evidence.push_back(
            fmt::format("{}'s interface: UDP to {} sent {}.", datagrams.sender, to, times(wire_out)));
    } else if (sender_wire.complete() && !destination.empty()) {
        leg.evidence.push_back(fmt::format("{}'s interface: no UDP to {} sent.", datagrams.sender, to));
    }
    if (sent == 0 && !datagrams.failure) {
        auto sentence = fmt::format("{} sent no datagram to {}", datagrams.sender, to);
        const auto told = context.view.at(datagrams.sender, context.leg.name, What::retry);
        if (!told.empty()) sentence += fmt::format(": {}", text_field(*told.back(), "reason"));
        return doubt(leg, Reason::not_tried, sentence + ".");
    }
    if (datagrams.receiver_speaks && own.empty()) {
        if (datagrams.bind_failed != nullptr) {
            return doubt(leg, Reason::not_listening,
                         fmt::format("{} could not bind UDP {}: {}.", datagrams.receiver, datagrams.bind_failed->local,
                                     text_field(*datagrams.bind_failed, "error")));
        }
        return doubt(leg, Reason::not_listening,
                     fmt::format("Nothing in the journals shows that {} had a socket on UDP {}.", datagrams.receiver,
                                 destination.text()));
    }
    const auto amount = fmt::format("UDP from {} to {} was sent {}", from, to, times(std::max<std::uint64_t>(sent, 1)));
    // A published address leads to the host where the firewall translates; that it is another proves nothing.
    const auto* receiving = context.scenario.host(datagrams.receiver);
    const auto receiver_address = scenario::Ipv4::from(destination.address);
    const bool published = receiving != nullptr && receiver_address && receiving->published_at(*receiver_address);
    if (!own.empty() && !destination.empty() && own.address != destination.address && !published) {
        return conclude(
            leg, Verdict::blocked, Cause::translated, context.forward,
            fmt::format("{} and never arrived: {} is the address that {} sees for {}, whose own address is {}. "
                        "The connection was translated, and nothing leads datagrams back.",
                        amount, destination.text(), datagrams.sender, datagrams.receiver, own.text()));
    }
    if (receiver_wire.complete() && known && receiver_wire.count(in, {"udp"}, between) == 0) {
        if (const auto elsewhere = sent_elsewhere(context, "udp", between)) {
            return conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                            fmt::format("{} and never arrived: it was translated on the way and sent to {}.", amount,
                                        context.names.at(*elsewhere)));
        }
    }
    auto icmp = datagrams.failure ? datagrams.failure->icmp : std::nullopt;
    if (!icmp) icmp = icmp_about(context, datagrams.sender, between);
    if (icmp) {
        icmp->name = context.names.of(icmp->from);
        leg.icmp = icmp;
        const bool own_message = icmp->from == destination.address;
        const bool forged = own_message && receiver_wire.complete() && receiver_wire.count(out, {"icmp"}, between) == 0;
        if (own_message && !forged) {
            return conclude(leg, Verdict::failed, Cause::refused, context.forward,
                            fmt::format("{} and refused by {} itself with {}.", amount, icmp->name, icmp_words(*icmp)));
        }
        return conclude(leg, Verdict::blocked, Cause::rejected, context.forward,
                        forged ? fmt::format("{} and rejected with {} in the name of {}, which sent no such message: something on the way did.",
                                             amount, icmp_words(*icmp), icmp->name)
                               : fmt::format("{} and rejected by {} ({}) with {}.", amount, icmp->name, icmp->from,
                                             icmp_words(*icmp)));
    }
    if (datagrams.failure && datagrams.failure->kind == "refused") {
        return conclude(leg, Verdict::blocked, Cause::rejected, context.forward,
                        fmt::format("{} and rejected ({}); who sent the ICMP message is not recorded.", amount,
                                    datagrams.failure->error));
    }
    if (sender_wire.complete() && wire_out == 0 && !destination.empty()) {
        return doubt(
            leg, Reason::not_sent,
            fmt::format("UDP from {} to {} never left {}: the host itself stopped it.", from, to, datagrams.sender));
    }
    // The trace knows the addresses they went on with; without one, what is left of them tells.
    const auto trace = traced(context, "udp", between);
    const auto arrived = receiver_wire.count(in, {"udp"}, published ? Between{datagrams.source, own} : between) +
                         (trace.as.source == between.source && trace.as.destination == between.destination
                              ? 0
                              : receiver_wire.count(in, {"udp"}, trace.as));
    const auto ledger = known ? account(context_between(context, datagrams), "udp", between) : ConnectionLedger{};
    if (ledger.there.none_arrived() && !ledger.elsewhere && arrived > 0) {
        return conclude(leg, Verdict::blocked, Cause::dropped, context.forward,
                        fmt::format("{} and never arrived whole: {} of {} reached {}'s interface without all of its fragments.",
                                    amount, arrived, counted(ledger.there.left, "datagram"), datagrams.receiver));
    }
    const auto translated = trace.known ? std::vector<const WireLine*>{} : translated_arrivals(context, datagrams);
    if (arrived > 0 || !translated.empty()) {
        leg.evidence.push_back(fmt::format("{}'s interface: UDP from {} received {}.", datagrams.receiver, from,
                                           times(arrived > 0 ? arrived : translated.front()->packets)));
        for (const auto* event : context.view.at(datagrams.receiver)) {
            if (event->event != What::malformed || text_field(*event, "field") != "source address") continue;
            return conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                            fmt::format("{} and arrived from {}, which is not the address that {} reaches {} by: "
                                        "translation stands between them, and a player takes no such media.",
                                        amount, event->remote, datagrams.receiver, datagrams.sender));
        }
        if (known && ledger.far.source != between.source) {
            return conclude(leg, Verdict::blocked, Cause::translated, context.forward,
                            fmt::format("{} and arrived as if from {}: {} knows no {} at that address, and takes nothing from there.", amount,
                                        ledger.far.source.text(), datagrams.receiver, datagrams.sender));
        }
        return doubt(leg, Reason::host_silent,
                     fmt::format("UDP from {} reached the interface of {}, whose program did not see it.", from,
                                 datagrams.receiver));
    }
    if (receiver_wire.complete()) {
        leg.evidence.push_back(fmt::format("{}'s interface: no UDP from {} received.", datagrams.receiver, from));
    }
    return conclude(
        leg, Verdict::blocked, Cause::dropped, context.forward,
        fmt::format("{} and never arrived{}.", amount,
                    receiver_wire.complete() ? fmt::format(": nothing of it reached {}'s interface", datagrams.receiver)
                                             : std::string{}));
}

Datagrams media_datagrams(const LegContext& context, const std::string& sender, const std::string& receiver) {
    Datagrams datagrams;
    datagrams.sender = sender;
    datagrams.receiver = receiver;
    std::uint64_t packets = 0, datagram_count = 0, messages = 0, started = 0;
    for (const auto* event : context.view.at(sender)) {
        const bool mine = event->leg == context.leg.name || event->leg.empty();
        if (event->event == What::media_started || event->event == What::media_ended ||
            (mine && !event->leg.empty() && (event->event == What::sent || event->event == What::connect_failed))) {
            first_addresses(*event, datagrams.source, datagrams.destination);
            if (auto failure = failure_of(*event)) datagrams.failure = std::move(failure);
        }
        if (event->event == What::media_started) ++started;
        if (event->event == What::sent && event->leg == context.leg.name) ++messages;
        if (event->event == What::media_ended) {
            packets += whole(*event, "packets");
            datagram_count += whole(*event, "datagrams");
        }
    }
    datagrams.sent = std::max({packets, datagram_count, messages, started});
    std::uint64_t got = 0, got_messages = 0;
    for (const auto* event : context.view.at(receiver)) {
        Endpoint ignored;
        if (event->event == What::announced) datagrams.bound = Endpoint::from(event->local);
        if (event->event == What::listening && event->leg == context.leg.name) {
            datagrams.bound = Endpoint::from(event->local);
        }
        if (event->event == What::listen_failed && event->leg == context.leg.name) datagrams.bind_failed = event;
        if (event->event == What::received && event->leg == context.leg.name) ++got_messages;
        if (event->event == What::media_ended) got += whole(*event, "packets");
        const bool tells = event->event == What::media_started || (event->event == What::media_ended && got > 0) ||
                           (event->event == What::received && event->leg == context.leg.name);
        if (tells) first_addresses(*event, datagrams.destination_seen, datagrams.source_seen);
        if (event->event == What::media_started) got_messages = std::max<std::uint64_t>(got_messages, 1);
    }
    datagrams.received = std::max(got, got_messages);
    if (datagrams.bound.empty()) datagrams.bound = datagrams.destination_seen;
    return datagrams;
}

Datagrams resend_datagrams(const LegContext& context) {
    Datagrams datagrams;
    datagrams.sender = context.leg.source;
    datagrams.receiver = context.leg.destination;
    for (const auto* event : context.view.at(datagrams.sender)) {
        const bool asked =
            event->event == What::resend_requested || (event->event == What::sent && event->leg == context.leg.name);
        if (event->event == What::resend_requested) ++datagrams.sent;
        if (asked || (event->leg == context.leg.name && event->fields.contains("failure"))) {
            first_addresses(*event, datagrams.source, datagrams.destination);
            if (auto failure = failure_of(*event)) datagrams.failure = std::move(failure);
        }
        if (event->event == What::resend_answered) ++datagrams.received;
    }
    for (const auto* event : context.view.at(datagrams.receiver)) {
        if (event->event == What::resend_answered ||
            (event->event == What::received && event->leg == context.leg.name)) {
            ++datagrams.received;
            first_addresses(*event, datagrams.destination_seen, datagrams.source_seen);
        }
    }
    if (datagrams.destination.empty() && !context.leg.destination_ports.empty()) {
        datagrams.destination = {context.destination_address(), context.leg.destination_ports.front().first};
    }
    const auto bound = context.evidence.bound(datagrams.receiver, scenario::Protocol::udp,
                                              context.leg.destination_ports, context.instance.id);
    if (bound.listening != nullptr) datagrams.bound = Endpoint::from(bound.listening->local);
    datagrams.bind_failed = bound.failed;
    return datagrams;
}

LegResult judge_udp_calls(const LegContext& context) {
    Datagrams there, back;
    there.sender = back.receiver = context.leg.source;
    there.receiver = back.sender = context.leg.destination;
    for (const auto* event : context.view.at(context.leg.source, context.leg.name)) {
        if (event->event == What::sent || event->event == What::connecting || event->event == What::connect_failed) {
            first_addresses(*event, there.source, there.destination);
        }
        if (auto failure = failure_of(*event)) there.failure = std::move(failure);
        if (event->event == What::sent) ++there.sent;
        if (event->event == What::received) ++back.received;
    }
    for (const auto* event : context.view.at(context.leg.destination, context.leg.name)) {
        if (event->event == What::received) {
            ++there.received;
            first_addresses(*event, there.destination_seen, there.source_seen);
        }
        if (event->event == What::sent) {
            ++back.sent;
            first_addresses(*event, back.source, back.destination);
        }
        if (event->event == What::connect_failed) back.failure = failure_of(*event);
    }
    const auto bound = context.evidence.bound(there.receiver, scenario::Protocol::udp,
                                              there.destination.port != 0
                                                  ? scenario::PortList{{there.destination.port, there.destination.port}}
                                                  : context.leg.destination_ports,
                                              context.instance.id);
    if (bound.listening != nullptr) there.bound = Endpoint::from(bound.listening->local);
    there.bind_failed = bound.failed;
    if (back.received > 0) there.received = std::max<std::uint64_t>(there.received, 1);
    auto leg = judge_udp(context, there);
    if (leg.verdict != Verdict::pass || back.received > 0) return leg;
    back.bound = there.source;
    if (back.destination.empty()) back.destination = there.source_seen.empty() ? there.source : there.source_seen;
    if (back.source.empty()) back.source = there.destination;
    auto turned = context;
    std::swap(turned.forward, turned.back);
    std::swap(turned.leg.source, turned.leg.destination);
    std::swap(turned.leg.source_address, turned.leg.destination_address);
    auto answer = judge_udp(turned, back);
    answer.name = leg.name;
    answer.source = leg.source;
    answer.destination = leg.destination;
    if (answer.verdict == Verdict::inconclusive && answer.reason == Reason::not_tried) {
        return doubt(answer, Reason::host_silent,
                     fmt::format("The request of {} reached {}, which did not answer.", context.leg.source,
                                 context.leg.destination));
    }
    answer.explanation =
        fmt::format("The request reached {}; the answer did not come back: {}", context.leg.destination, answer.explanation);
    return answer;
}

}  // namespace wmlab::lab
