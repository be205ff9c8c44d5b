// The ledger's word on a flow: no verdict stands against what the wires of both ends say of its packets.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/decision.hpp"
#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

bool open_to_question(const FlowResult& flow) {
    if (flow.by_proxy || flow.certain) return false;
    if (flow.verdict == Verdict::failed) return true;
    if (flow.verdict == Verdict::inconclusive) {
        // Of what no journal tells, and of ports that were not bound, the packets say nothing either.
        return flow.reason == Reason::host_silent || flow.reason == Reason::no_outcome || flow.reason == Reason::not_tried ||
               flow.reason == Reason::contradiction;
    }
    return flow.verdict == Verdict::blocked && (flow.cause == Cause::dropped || flow.cause == Cause::starved);
}

std::string account_words(const LegContext& leg, const ConnectionLedger& ledger, const Decision& decision) {
    const bool there = decision.direction != Decision::Direction::back;
    const auto& lane = there ? ledger.there : ledger.back;
    const auto &from = there ? leg.leg.source : leg.leg.destination, &to = there ? leg.leg.destination : leg.leg.source;
    const auto ends = fmt::format("{} from {} to {}", capital(ledger.protocol), leg.names.at(there ? ledger.near.source : ledger.near.destination),
                                  leg.names.at(there ? ledger.near.destination : ledger.near.source));
    if (decision.cause == Cause::translated)
        return fmt::format("{} was translated on the way and came to {}{}.", ends, leg.names.at(ledger.far.destination),
                           ledger.elsewhere ? ", another host than " + leg.leg.destination : "");
    if (decision.cause == Cause::modified && lane.changed == 0)
        return fmt::format("{}: the header of packets of {} was rewritten on the way: to {} they mean something else.", ends, from, to);
    if (decision.cause == Cause::modified)
        return fmt::format("{}: {} of {} came changed to {}.", ends, lane.changed, counted(lane.left, "packet"), to);
    if (decision.cause == Cause::reset)
        return fmt::format("{}: {} in the name of {} came to {} that {} never sent.", ends, counted(ledger.back.foreign, "packet"),
                           leg.leg.destination, from, leg.leg.destination);
    auto words = fmt::format("{}: {} left {}, {} of them never reached {}", ends, counted(lane.left, "packet"), from, lane.lost.size(), to);
    if (lane.bytes_missing > 0) words += fmt::format("; {} of the stream are missing", counted(lane.bytes_missing, "byte"));
    return words + ".";
}

// Media that the receiver misses although all of it came to its wire: its program could not take it.
bool lost_behind_the_wire(FlowResult& flow) {
    if (flow.verdict != Verdict::degraded || (flow.cause != Cause::dropped && flow.cause != Cause::starved)) return false;
    for (auto& leg : flow.legs) {
        if (leg.name != flow.leg || leg.protocol != "udp" || !leg.ledger || !leg.ledger->complete) continue;
        const auto& lane = leg.ledger->there.direction == flow.direction ? leg.ledger->there : leg.ledger->back;
        if (lane.direction != flow.direction || lane.left == 0 || lane.dropped > 0 || lane.changed > 0) return false;
        auto words = fmt::format("All {} left one wire and came to the other as they were, so the firewall lost none; the program did not get them: {}",
                                 counted(lane.left, "datagram"), flow.explanation);
        doubt(leg, Reason::overloaded, words);
        doubt_flow(flow, Reason::overloaded, leg.name, std::move(words));
        return true;
    }
    return false;
}

// What the ends miss of a connection that lost nothing and was not changed on the way: a program did not come to it in time.
bool missed_behind_the_wire(const std::vector<LegContext>& legs, const std::vector<std::vector<ConnectionLedger>>& accounts, FlowResult& flow) {
    if (flow.verdict != Verdict::blocked || (flow.cause != Cause::dropped && flow.cause != Cause::starved)) return false;
    const auto whole = [](const ConnectionLedger& ledger) {
        const auto untouched = [](const Lane& lane) { return lane.known && lane.lost.empty() && lane.changed + lane.foreign == 0; };
        const bool rewritten = ledger.header_rewritten_there || ledger.header_rewritten_back;
        return ledger.protocol == "tcp" && !ledger.elsewhere && !rewritten && untouched(ledger.there) && untouched(ledger.back) &&
               ledger.there.arrived + ledger.back.arrived > 0;
    };
    for (std::size_t i = 0; i < accounts.size(); ++i) {
        auto& leg = flow.legs[i];
        if (leg.name != flow.leg || accounts[i].empty() || !std::ranges::all_of(accounts[i], whole)) continue;
        auto words = fmt::format(
            "All packets between {} and {} came to the other's wire as they were, so the firewall lost none; a program did not get to them in time: {}",
            legs[i].leg.source, legs[i].leg.destination, flow.explanation);
        doubt(leg, Reason::overloaded, words);
        doubt_flow(flow, Reason::overloaded, leg.name, std::move(words));
        return true;
    }
    return false;
}

}  // namespace

void settle_by_ledger(const std::vector<LegContext>& legs, FlowResult& flow) {
    std::vector<std::vector<ConnectionLedger>> accounts;
    for (std::size_t i = 0; i < legs.size() && i < flow.legs.size(); ++i) {
        accounts.push_back(account_leg(legs[i]));
        flow.legs[i].ledger = ledger_of(legs[i], accounts.back());
    }
    if (lost_behind_the_wire(flow) || !open_to_question(flow)) return;
    if (missed_behind_the_wire(legs, accounts, flow)) return;
    const auto outcome = flow.verdict == Verdict::failed ? Outcome::failed : Outcome::unclear;
    std::optional<Decision> doubt;
    for (const bool optional : {false, true}) {
        for (std::size_t i = 0; i < accounts.size(); ++i) {
            auto& leg = flow.legs[i];
            if (leg.optional != optional) continue;
            // The newest connection is the one that decides; earlier ones were tries.
            for (auto one = accounts[i].rbegin(); one != accounts[i].rend(); ++one) {
                const auto decision = decide(sum_up(legs[i], *one), outcome);
                if (!decision) continue;
                if (decision->verdict != Verdict::blocked) {
                    if (decision->verdict == Verdict::inconclusive) doubt = decision;
                    continue;
                }
                const auto direction = decision->direction == Decision::Direction::there ? legs[i].forward : legs[i].back;
                // The verdict is that already; its words say more.
                if (flow.verdict == Verdict::blocked && leg.name == flow.leg &&
                    (flow.direction == direction || decision->cause == Cause::translated))
                    return;
                // The leg that stopped first is known: what it did not let begin stopped nothing.
                if (flow.verdict == Verdict::blocked && leg.name != flow.leg) continue;
                const auto before = flow.explanation;
                conclude(leg, Verdict::blocked, *decision->cause, direction, account_words(legs[i], *one, *decision));
                settle(flow, leg);
                if (!before.empty()) flow.explanation += " What the ends say: " + before;
                if (leg.optional) flow.verdict = leg.verdict = Verdict::degraded;
                return;
            }
        }
    }
    if (doubt && flow.verdict == Verdict::failed)
        doubt_flow(flow, Reason::contradiction, flow.leg,
                   fmt::format("Not all packets are accounted for, so that it is not known whether they were stopped: {}", flow.explanation));
}

}  // namespace wmlab::lab
