#include "lab/judge/decision.hpp"

#include <algorithm>

namespace wmlab::lab {
namespace {

using Loss = Account::Loss;
using Direction = Decision::Direction;

struct Row {
    std::string_view name;
    bool (*fits)(const Account&, Outcome);
    Verdict verdict;
    std::optional<Cause> cause;
    Direction direction;
};

// From top to bottom; what nothing fits, the ledger does not decide.
constexpr Row table[] = {
    {"it worked", [](const Account&, Outcome outcome) { return outcome == Outcome::worked; }, Verdict::pass, {}, Direction::none},
    {"a wire lost packets to its witness, and the protocol failed",
     [](const Account& a, Outcome outcome) { return a.lost && outcome == Outcome::failed; },
     Verdict::inconclusive,
     {},
     Direction::none},
    {"nothing sent there arrived", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::there && a.all; }, Verdict::blocked, Cause::dropped,
     Direction::there},
    {"nothing sent back arrived", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::back && a.all; }, Verdict::blocked, Cause::dropped,
     Direction::back},
    {"it went to another place", [](const Account& a, Outcome) { return a.complete && a.change == Alteration::destination; }, Verdict::blocked,
     Cause::translated, Direction::there},
    {"of datagrams sent there some did not arrive", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::there && a.udp; }, Verdict::blocked,
     Cause::dropped, Direction::there},
    {"of datagrams sent back some did not arrive", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::back && a.udp; }, Verdict::blocked,
     Cause::dropped, Direction::back},
    {"of the stream there some never arrived", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::there; }, Verdict::blocked, Cause::starved,
     Direction::there},
    {"of the stream back some never arrived", [](const Account& a, Outcome) { return a.complete && a.loss == Loss::back; }, Verdict::blocked, Cause::starved,
     Direction::back},
    {"what was sent there came changed", [](const Account& a, Outcome) { return a.complete && a.change == Alteration::payload && a.change_there; },
     Verdict::blocked, Cause::modified, Direction::there},
    {"what was sent back came changed", [](const Account& a, Outcome) { return a.complete && a.change == Alteration::payload; }, Verdict::blocked,
     Cause::modified, Direction::back},
    {"what was sent there came with another header", [](const Account& a, Outcome) { return a.complete && a.change == Alteration::header && a.change_there; },
     Verdict::blocked, Cause::modified, Direction::there},
    {"what was sent back came with another header", [](const Account& a, Outcome) { return a.complete && a.change == Alteration::header; }, Verdict::blocked,
     Cause::modified, Direction::back},
    {"packets were lost there and sent again, and none back",
     [](const Account& a, Outcome outcome) { return a.complete && a.only == Loss::there && outcome == Outcome::unclear; }, Verdict::blocked, Cause::starved,
     Direction::there},
    {"packets were lost back and sent again, and none there",
     [](const Account& a, Outcome outcome) { return a.complete && a.only == Loss::back && outcome == Outcome::unclear; }, Verdict::blocked, Cause::starved,
     Direction::back},
    {"something answered in another's name", [](const Account& a, Outcome) { return a.complete && a.answered; }, Verdict::blocked, Cause::reset,
     Direction::there},
    {"nothing is known to have been lost or changed",
     [](const Account& a, Outcome outcome) { return !a.lost && outcome == Outcome::failed; },
     Verdict::failed,
     {},
     Direction::none},
};

// Whether the packets came to an address and port of the far end that the leg is for: by its own address, or by the one
// that it is published as.
bool belongs(const LegContext& context, const ConnectionLedger& ledger) {
    const auto& there = ledger.far.destination;
    if (there == ledger.near.destination || ledger.host.empty()) return true;
    const auto* host = context.scenario.host(context.leg.destination);
    const auto& ports = context.leg.destination_ports;
    return host != nullptr && there.address == host->address.text() &&
           (there.port == ledger.near.destination.port ||
            std::ranges::any_of(ports, [&](const auto& range) { return range.first <= there.port && there.port <= range.last; }));
}

}  // namespace

Account sum_up(const LegContext& context, const ConnectionLedger& ledger) {
    Account account;
    account.complete = ledger.known();
    const auto overrun = [&](const std::string& host) { return !context.wire(host).empty() && !context.wire(host).complete(); };
    account.lost = overrun(context.leg.source) || overrun(context.leg.destination);
    account.udp = ledger.protocol == "udp";
    const auto lost = [&](const Lane& lane, const Lane& other) {
        if (account.udp) return !lane.lost.empty();
        // What was acknowledged in vain is sent again and again.
        const bool never_used = lane.data_left + other.data_left == 0;
        // What was sent once, at the very end, may have come after the last look at the wire: where the other way is known to lose
        // packets, it says nothing.
        const auto too_late = [](const Lane& one, const Lane& its_other) { return one.bytes_missing > 0 && one.repeated == 0 && !its_other.lost.empty(); };
        if (too_late(other, lane)) return true;
        return lane.none_arrived() || (lane.bytes_missing > 0 && !too_late(lane, other)) || (lane.opening_lost > 0 && never_used) ||
               (lane.acks_lost > 0 && other.repeated > 0 && other.data_left > 0);
    };
    const bool there = lost(ledger.there, ledger.back), back = lost(ledger.back, ledger.there);
    const auto since = [](const Lane& lane) { return lane.lost.empty() ? 0 : lane.bytes_missing > 0 ? lane.missing_since : lane.lost.front().at; };
    if (there && (!back || since(ledger.there) <= since(ledger.back))) {
        account.loss = Loss::there;
        account.all = ledger.there.none_arrived();
    } else if (back) {
        account.loss = Loss::back;
        account.all = ledger.back.none_arrived();
    }
    if (!account.udp && ledger.there.lost.empty() != ledger.back.lost.empty()) account.only = ledger.there.lost.empty() ? Loss::back : Loss::there;
    if (ledger.elsewhere || !belongs(context, ledger)) {
        account.change = Alteration::destination;
    } else if (ledger.there.changed + ledger.back.changed > 0) {
        account.change = Alteration::payload;
        account.change_there = ledger.there.changed > 0;
    } else if (ledger.header_rewritten_there || ledger.header_rewritten_back) {
        account.change = Alteration::header;
        account.change_there = ledger.header_rewritten_there;
    }
    account.answered = !account.udp && ledger.back.foreign > 0 && ledger.there.foreign == 0;
    return account;
}

std::optional<Decision> decide(const Account& account, Outcome outcome) {
    const auto* row = std::ranges::find_if(table, [&](const Row& one) { return one.fits(account, outcome); });
    if (row == std::end(table)) return std::nullopt;
    return Decision{row->verdict, row->cause, row->direction, row->name};
}

}  // namespace wmlab::lab
