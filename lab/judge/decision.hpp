// The decision: from what became of a leg's packets and how its protocol ended, to what is said of the leg. One table,
// the first row that fits; each row is a test (tests/lab/judge/decision_test.cpp).
#pragma once
#include <optional>
#include <string_view>

#include "lab/judge/ledger.hpp"

namespace wmlab::lab {

enum class Outcome {
    worked,   // the protocol came to its end
    failed,   // an end says that it failed, or refused
    unclear,  // neither
};
enum class Alteration { none, header, payload, destination };

// What the ledger of one connection comes to.
struct Account {
    bool complete = false;  // both wires told of each packet
    bool lost = false;      // a wire was watched, and its record is not whole: what is missing proves nothing
    enum class Loss { none, there, back } loss = Loss::none;  // of packets that were needed
    bool all = false;       // nothing at all arrived that way
    Loss only = Loss::none;  // the one direction of a TCP connection that lost any packet, whatever came of it when it was sent again
    Alteration change = Alteration::none;
    bool change_there = true;
    bool answered = false;  // packets came in the far end's name that it never sent
    bool udp = false;
};
Account sum_up(const LegContext& context, const ConnectionLedger& ledger);

struct Decision {
    Verdict verdict;
    std::optional<Cause> cause;
    enum class Direction { none, there, back } direction = Direction::none;
    std::string_view row;  // of the table: "what was sent back did not arrive"
};
// Nothing: the ledger has nothing to say against the outcome.
std::optional<Decision> decide(const Account& account, Outcome outcome);

}  // namespace wmlab::lab
