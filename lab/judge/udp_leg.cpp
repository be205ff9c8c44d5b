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

std::uint64_t whole(const Event& event, evidence::Number name) { return static_cast<std::uint64_t>(std::max(0.0, number_field(event, name).value_or(0))); }

// Steps in order; the first that knows what became of the datagrams says it.
class UdpJudgement {
public:
    UdpJudgement(const LegContext& context, const Datagrams& datagrams)
        : context_{context},
          datagrams_{datagrams},
          own_{datagrams.bound},
          sender_wire_{context.wire(datagrams.sender)},
          receiver_wire_{context.wire(datagrams.receiver)},
          destination_{datagrams.destination.empty() ? own_ : datagrams.destination},
          between_{datagrams.source, destination_},
          known_{datagrams.source.port != 0 && destination_.port != 0},
          wire_out_{known_ || datagrams.sent > 0 ? sender_wire_.count(out, {"udp"}, between_) : 0},
          sent_{std::max(datagrams.sent, wire_out_)},
          from_{context.names.at(datagrams.source.empty() ? Endpoint{context.source_address(), 0} : datagrams.source)},
          to_{context.names.at(destination_.empty() ? Endpoint{context.destination_address(), 0} : destination_)},
          published_{is_published()},
          amount_{fmt::format("UDP from {} to {} was sent {}", from_, to_, times(std::max<std::uint64_t>(sent_, 1)))},
          leg_{blank(context)} {}

    LegResult judge() {
        write_addresses();
        using Step = bool (UdpJudgement::*)();
        for (const Step step : {&UdpJudgement::received, &UdpJudgement::not_tried, &UdpJudgement::not_listening, &UdpJudgement::no_way_back,
                                &UdpJudgement::sent_elsewhere_by_the_way, &UdpJudgement::told_by_icmp, &UdpJudgement::told_by_socket, &UdpJudgement::not_sent,
                                &UdpJudgement::arrived_unseen})
            if ((this->*step)()) return std::move(leg_);
        if (receiver_wire_.complete()) leg_.evidence.push_back(fmt::format("{}'s interface: no UDP from {} received.", datagrams_.receiver, from_));
        blocked(Cause::dropped,
                fmt::format("{} and never arrived{}.", amount_,
                            receiver_wire_.complete() ? fmt::format(": nothing of it reached {}'s interface", datagrams_.receiver) : std::string{}));
        return std::move(leg_);
    }

private:
    bool blocked(Cause cause, std::string explanation) {
        conclude(leg_, Verdict::blocked, cause, context_.forward, std::move(explanation));
        return true;
    }
    bool doubted(Reason reason, std::string explanation) {
        doubt(leg_, reason, std::move(explanation));
        return true;
    }

    // A published address leads to the host where the firewall translates; that it is another proves nothing.
    bool is_published() const {
        const auto* receiving = context_.scenario.host(datagrams_.receiver);
        const auto address = scenario::Ipv4::from(destination_.address);
        return receiving != nullptr && address && receiving->published_at(*address);
    }

    void write_addresses() {
        if (!datagrams_.source.empty()) leg_.source = datagrams_.source.text();
        if (!datagrams_.destination.empty()) leg_.destination = datagrams_.destination.text();
        if (!datagrams_.source_seen.empty() && datagrams_.source_seen != datagrams_.source) leg_.source_seen = datagrams_.source_seen.text();
        if (!own_.empty() && !datagrams_.destination.empty() && own_ != datagrams_.destination) leg_.destination_seen = own_.text();
    }

    bool received() {
        if (datagrams_.received == 0) return false;
        leg_.verdict = Verdict::pass;
        return true;
    }

    bool not_tried() {
        if (wire_out_ > 0)
            leg_.evidence.push_back(fmt::format("{}'s interface: UDP to {} sent {}.", datagrams_.sender, to_, times(wire_out_)));
        else if (sender_wire_.complete() && !destination_.empty())
            leg_.evidence.push_back(fmt::format("{}'s interface: no UDP to {} sent.", datagrams_.sender, to_));
        if (sent_ > 0 || datagrams_.failure) return false;
        auto sentence = fmt::format("{} sent no datagram to {}", datagrams_.sender, to_);
        const auto told = context_.view.at(datagrams_.sender, context_.leg.name, What::retry);
        if (!told.empty()) sentence += fmt::format(": {}", text_field(*told.back(), field::reason));
        return doubted(Reason::not_tried, sentence + ".");
    }

    bool not_listening() {
        if (!datagrams_.receiver_speaks || !own_.empty()) return false;
        if (datagrams_.bind_failed != nullptr)
            return doubted(Reason::not_listening, fmt::format("{} could not bind UDP {}: {}.", datagrams_.receiver, datagrams_.bind_failed->local,
                                                              text_field(*datagrams_.bind_failed, field::error)));
        return doubted(Reason::not_listening,
                       fmt::format("Nothing in the journals shows that {} had a socket on UDP {}.", datagrams_.receiver, destination_.text()));
    }

    bool no_way_back() {
        return !own_.empty() && !destination_.empty() && own_.address != destination_.address && !published_ &&
               blocked(
                   Cause::translated,
                   fmt::format(
                       "{} and never arrived: {} is the address that {} sees for {}, whose own address is {}. The connection was translated, and nothing leads datagrams back.",
                       amount_, destination_.text(), datagrams_.sender, datagrams_.receiver, own_.text()));
    }

    bool sent_elsewhere_by_the_way() {
        if (!receiver_wire_.complete() || !known_ || receiver_wire_.count(in, {"udp"}, between_) > 0) return false;
        const auto elsewhere = sent_elsewhere(context_, "udp", between_);
        return elsewhere && blocked(Cause::translated,
                                    fmt::format("{} and never arrived: it was translated on the way and sent to {}.", amount_, context_.names.at(*elsewhere)));
    }

    bool told_by_icmp() {
        auto icmp = datagrams_.failure ? datagrams_.failure->icmp : std::nullopt;
        if (!icmp) icmp = icmp_about(context_, datagrams_.sender, between_);
        if (!icmp) return false;
        icmp->name = context_.names.of(icmp->from);
        leg_.icmp = icmp;
        const bool own_message = icmp->from == destination_.address;
        const bool forged = own_message && receiver_wire_.complete() && receiver_wire_.count(out, {"icmp"}, between_) == 0;
        if (own_message && !forged) {
            conclude(leg_, Verdict::failed, Cause::refused, context_.forward,
                     fmt::format("{} and refused by {} itself with {}.", amount_, icmp->name, icmp_words(*icmp)));
            return true;
        }
        return blocked(Cause::rejected, forged ? fmt::format("{} and rejected with {} in the name of {}, which sent no such message: something on the way did.",
                                                             amount_, icmp_words(*icmp), icmp->name)
                                               : fmt::format("{} and rejected by {} ({}) with {}.", amount_, icmp->name, icmp->from, icmp_words(*icmp)));
    }

    bool told_by_socket() {
        return datagrams_.failure && datagrams_.failure->kind == "refused" &&
               blocked(Cause::rejected, fmt::format("{} and rejected ({}); who sent the ICMP message is not recorded.", amount_, datagrams_.failure->error));
    }

    bool not_sent() {
        return sender_wire_.complete() && wire_out_ == 0 && !destination_.empty() &&
               doubted(Reason::not_sent, fmt::format("UDP from {} to {} never left {}: the host itself stopped it.", from_, to_, datagrams_.sender));
    }

    // They came to the receiver's interface, but not to its program.
    bool arrived_unseen() {
        // The trace knows the addresses they went on with; without one, what is left of them tells.
        const auto trace = traced(context_, "udp", between_);
        const bool unchanged = trace.as.source == between_.source && trace.as.destination == between_.destination;
        const auto arrived = receiver_wire_.count(in, {"udp"}, published_ ? Between{datagrams_.source, own_} : between_) +
                             (unchanged ? 0 : receiver_wire_.count(in, {"udp"}, trace.as));
        const auto ledger = known_ ? account(context_between(context_, datagrams_), "udp", between_) : ConnectionLedger{};
        if (ledger.there.none_arrived() && !ledger.elsewhere && arrived > 0)
            return blocked(Cause::dropped, fmt::format("{} and never arrived whole: {} of {} reached {}'s interface without all of its fragments.", amount_,
                                                       arrived, counted(ledger.there.left, "datagram"), datagrams_.receiver));
        const auto translated = trace.known ? std::vector<const WireLine*>{} : translated_arrivals(context_, datagrams_);
        if (arrived == 0 && translated.empty()) return false;
        leg_.evidence.push_back(
            fmt::format("{}'s interface: UDP from {} received {}.", datagrams_.receiver, from_, times(arrived > 0 ? arrived : translated.front()->packets)));
        for (const auto* event : context_.view.at(datagrams_.receiver)) {
            if (event->event != What::malformed || text_field(*event, field::unreadable) != evidence::source_address) continue;
            return blocked(
                Cause::translated,
                fmt::format(
                    "{} and arrived from {}, which is not the address that {} reaches {} by: translation stands between them, and a player takes no such media.",
                    amount_, event->remote, datagrams_.receiver, datagrams_.sender));
        }
        if (known_ && ledger.far.source != between_.source)
            return blocked(Cause::translated, fmt::format("{} and arrived as if from {}: {} knows no {} at that address, and takes nothing from there.",
                                                          amount_, ledger.far.source.text(), datagrams_.receiver, datagrams_.sender));
        return doubted(Reason::host_silent, fmt::format("UDP from {} reached the interface of {}, whose program did not see it.", from_, datagrams_.receiver));
    }

    const LegContext& context_;
    const Datagrams& datagrams_;
    const Endpoint& own_;
    const WireRecord &sender_wire_, &receiver_wire_;
    Endpoint destination_;
    Between between_;
    bool known_;  // both ports: only then are packets on the wire surely these
    std::uint64_t wire_out_, sent_;
    std::string from_, to_;
    bool published_;
    std::string amount_;
    LegResult leg_;
};

}  // namespace

LegResult judge_udp(const LegContext& context, const Datagrams& datagrams) { return UdpJudgement{context, datagrams}.judge(); }

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
            packets += whole(*event, field::packets);
            datagram_count += whole(*event, field::datagrams);
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
        if (event->event == What::media_ended) got += whole(*event, field::packets);
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
        if (asked || (event->leg == context.leg.name && has_field(*event, field::failure))) {
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
