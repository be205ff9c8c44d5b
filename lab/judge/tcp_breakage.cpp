// What stopped a connection that was open.
#include <spdlog/fmt/fmt.h>

#include "lab/judge/ledger.hpp"
#include "lab/judge/path.hpp"
#include "lab/judge/tcp_leg.hpp"

namespace wmlab::lab {
namespace {

Failure failure_in(const Event* closed) { return closed == nullptr ? Failure{} : failure_of(*closed).value_or(Failure{}); }

// Steps in order; the first that knows what happened says it.
class Breakage {
public:
    Breakage(const LegContext& context, const Conversation& conversation, const Carried& carried, LegResult& leg)
        : Breakage{context, conversation, carried, leg, ends_of(context, conversation)} {}

    void judge() {
        using Step = bool (Breakage::*)();
        for (const Step step :
             {&Breakage::came_elsewhere, &Breakage::answered_by_another, &Breakage::handshake_lost, &Breakage::nobody_listened, &Breakage::reset_by_itself,
              &Breakage::reset_by_another, &Breakage::near_got_icmp, &Breakage::far_got_icmp, &Breakage::closed_by_another, &Breakage::ended_by_the_far_end,
              &Breakage::real_program_lost, &Breakage::nobody_gave_up, &Breakage::requests_lost, &Breakage::answers_lost, &Breakage::media_lost})
            if ((this->*step)()) return;
        doubt_silence();
    }

private:
    Breakage(const LegContext& context, const Conversation& conversation, const Carried& carried, LegResult& leg, const Between& ends)
        : context_{context},
          conversation_{conversation},
          carried_{carried},
          leg_{leg},
          path_{follow(context, ends.source, ends.destination, conversation.accepted)},
          from_{context.leg.source},
          host_{context.leg.destination},
          to_{context.names.at(ends.destination)},
          far_silent_{conversation.accepted == nullptr && !conversation.heard()},
          near_failure_{failure_in(conversation.closed)},
          far_failure_{failure_in(conversation.peer_closed)} {}

    bool blocked(Cause cause, std::string direction, std::string explanation) {
        conclude(leg_, Verdict::blocked, cause, std::move(direction), std::move(explanation));
        return true;
    }

    bool came_elsewhere() {
        const auto place = came_to(context_, "tcp", path_.near);
        return place && place->host != host_ &&
               blocked(Cause::translated, context_.forward,
                       fmt::format("The connection of {} to {} was translated on the way and came to {} on {}.", from_, to_,
                                   context_.names.at(place->between.destination), place->host));
    }

    bool answered_by_another() {
        return far_silent_ && path_.destination_complete && path_.syn_in == 0 && path_.syn_ack_in > 0 &&
               blocked(Cause::dropped, context_.forward,
                       fmt::format("{} was answered in the name of {} by something on the way: no SYN ever reached {}.", from_, to_, host_));
    }

    bool handshake_lost() {
        const bool told = path_.icmp_to_source || path_.rst_to_source > 0;  // what follows says by whom
        return far_silent_ && path_.destination_complete && path_.syn_ack_out > 0 && path_.ack_in == 0 && !told &&
               blocked(
                   Cause::dropped, context_.forward,
                   fmt::format(
                       "{} took the connection to {} for open, but {} never got the last ACK of the handshake nor any data: packets from {} were lost after the SYN.",
                       from_, to_, host_, from_));
    }

    bool nobody_listened() { return far_silent_ && context_.destination_speaks && !listener_known(context_, path_, leg_); }

    // --- a reset

    bool near_reset() const { return near_failure_.kind == "reset" || (near_failure_.kind == "refused" && !near_failure_.icmp); }
    // Resets that the host whose name they bear did not send.
    bool near_forged() const { return path_.rst_to_source > 0 && path_.destination_complete && path_.rst_from_destination == 0; }
    bool far_forged() const { return path_.rst_to_destination > 0 && path_.source_complete && path_.rst_to_destination > path_.rst_from_source; }
    // A host that was reset in the other's name answers what still comes with a RST of its own.
    bool in_turn() const { return far_forged() && path_.rst_from_destination > 0; }

    bool reset_by_itself() {
        if (!near_reset() || path_.rst_from_destination == 0 || in_turn()) return false;
        conclude(leg_, Verdict::failed, Cause::refused, context_.back, fmt::format("{} itself reset the connection of {}.", to_, from_));
        return true;
    }

    // Who is told by RST is whose packets were not wanted.
    bool reset_by_another() {
        const bool ttl_differs = path_.rst_ttl && path_.other_ttl && *path_.rst_ttl != *path_.other_ttl;
        const bool near = !in_turn() && (near_forged() || (near_reset() && (far_failure_.kind == "reset" || ttl_differs))), far = far_forged();
        if (!near && !far) return false;
        const auto whom = near && far ? fmt::format("both {} and {}", from_, host_) : near ? from_ : host_;
        const auto who = near && far ? std::string{"neither of them"} : (near ? host_ : from_) + " never";
        return blocked(Cause::reset,
                       near && far ? std::string{}
                       : near      ? context_.forward
                                   : context_.back,
                       fmt::format("The open connection of {} to {} was reset by something on the way: {} got a RST that {} sent.", from_, to_, whom, who));
    }

    // --- an ICMP message

    // A program may not be told of one: its host's wire is.
    bool near_got_icmp() {
        const auto icmp = near_failure_.icmp ? near_failure_.icmp : path_.icmp_to_source;
        if (!icmp || icmp->from == context_.destination_address()) return false;
        icmp_ended(context_, path_, *icmp, context_.forward, fmt::format("The open connection of {} to {}", from_, to_), "", leg_);
        return true;
    }

    bool far_got_icmp() {
        // Where nothing came, what the host sends is no answer: its last word, said when it gave up.
        const bool gave_up_unheard = path_.destination_complete && path_.data_out > 0 && path_.data_in == 0 && path_.back_out == 0;
        if (!path_.icmp_to_destination || path_.icmp_to_destination->from == context_.source_address() || gave_up_unheard) return false;
        icmp_ended(context_, path_, *path_.icmp_to_destination, context_.back, fmt::format("What {} sent on the open connection of {}", host_, from_), "",
                   leg_);
        return true;
    }

    // --- an end. One that closed of its own will, with a reason, was not stopped on the way.

    static bool closed_by(const Event* closed, std::string_view whom) { return closed != nullptr && text_field(*closed, field::by) == whom; }
    bool near_ended_it() const { return closed_by(conversation_.closed, "self") && near_failure_.kind.empty(); }
    bool far_ended_it() const { return closed_by(conversation_.peer_closed, "self") && far_failure_.kind.empty(); }

    bool closed_by_another() {
        return closed_by(conversation_.closed, "peer") && conversation_.peer_closed != nullptr && !far_ended_it() && path_.destination_complete &&
               path_.fin_back_out == 0 && path_.fin_back_in > 0 &&
               blocked(Cause::reset, context_.back, fmt::format("Something on the way closed the connection of {} to {}: {} did not.", from_, to_, host_));
    }

    bool ended_by_the_far_end() { return far_ended_it() && closed_by(conversation_.closed, "peer"); }  // the flow says how the session ended

    // --- silence: what one end sent and the other never got

    bool wire_lost_there() const { return path_.destination_complete && path_.data_out > 0 && path_.data_in == 0; }
    bool wire_lost_back() const { return path_.source_complete && path_.back_out > 0 && path_.back_in == 0; }
    std::string did_not_arrive(const std::string& sender) const {
        return fmt::format("The connection of {} to {} was open, then what {} sent did not arrive", from_, to_, sender);
    }

    bool real_program_lost() {  // of one only the wires tell
        if ((context_.source_speaks && context_.destination_speaks) || (!wire_lost_there() && !wire_lost_back())) return false;
        const bool there = wire_lost_there();
        return blocked(Cause::starved, there ? context_.forward : context_.back, did_not_arrive(there ? from_ : host_) + ".");
    }

    bool nobody_gave_up() {
        const bool neither_closed = conversation_.closed == nullptr && conversation_.peer_closed == nullptr;
        return near_failure_.kind != "timeout" && far_failure_.kind != "timeout" && !carried_.silent && !neither_closed && !near_ended_it();
    }

    bool requests_lost() {
        // What reached the host's interface was not stopped on the way, whatever its journal makes of it.
        const bool unseen = path_.destination_complete && path_.data_in > 0 && conversation_.peer_received.empty();
        const auto sent = conversation_.sent.size(), arrived = conversation_.peer_received.size();
        if (!context_.destination_speaks || unseen || sent + conversation_.received.size() == 0 || (sent <= arrived && !wire_lost_there())) return false;
        const auto waited = waited_words(near_failure_.waited);
        return blocked(
            Cause::starved, context_.forward,
            fmt::format("{}: {} sent, {} received{}.", did_not_arrive(from_), counted(sent, "message"), arrived, waited.empty() ? "" : ", no answer" + waited));
    }

    bool answers_lost() {
        const bool media = carried_.backwards && carried_.sent > carried_.received;
        const auto sent = conversation_.peer_sent.size(), arrived = conversation_.received.size();
        if (!media && sent <= arrived && !wire_lost_back()) return false;
        const auto account = media ? fmt::format("{} of media sent, {} received", counted(carried_.sent, "packet"), carried_.received)
                                   : fmt::format("{} sent, {} received", counted(sent, "message"), arrived);
        const auto waited = waited_words(near_failure_.waited);
        return blocked(Cause::starved, context_.back,
                       fmt::format("{}: {}{}.", did_not_arrive(host_), account, waited.empty() ? "" : ", then silence" + waited));
    }

    bool media_lost() {
        return !carried_.backwards && carried_.sent > carried_.received &&
               blocked(Cause::starved, context_.forward,
                       fmt::format("{}: {} of media sent, {} received.", did_not_arrive(from_), counted(carried_.sent, "packet"), carried_.received));
    }

    void doubt_silence() {
        if (leg_.verdict != Verdict::inconclusive) return;
        if (far_silent_)
            doubt(leg_, Reason::host_silent, fmt::format("{} connected to {}, but nothing of {} shows that the connection arrived there.", from_, to_, host_));
        else
            doubt(leg_, Reason::host_silent,
                  fmt::format("{} connected to {}, and no application data went {}.", from_, to_,
                              conversation_.heard() ? "back: " + host_ + " did not answer" : "over the connection"));
    }

    const LegContext& context_;
    const Conversation& conversation_;
    const Carried& carried_;
    LegResult& leg_;
    Path path_;
    const std::string &from_, &host_;
    std::string to_;
    bool far_silent_;
    Failure near_failure_, far_failure_;
};

}  // namespace

void judge_breakage(const LegContext& context, const Conversation& conversation, const Carried& carried, LegResult& leg) {
    Breakage{context, conversation, carried, leg}.judge();
}

}  // namespace wmlab::lab
