// The words of trace events: what is written is read back, anything else reads as nothing.
#include "common/evidence/trace.hpp"

#include "tests/catch.hpp"

using namespace wmlab::evidence;

TEST_CASE("fates and rewritings are read as they are written, and another version's words are nothing", "[trace]") {
    Event event;
    event.event = What::trace;
    CHECK_FALSE(fate_of(event));
    for (const auto fate : {Fate::forwarded, Fate::dropped, Fate::unfinished, Fate::unknown}) {
        event.fields[field::fate] = text(fate);
        CHECK(fate_of(event) == fate);
    }
    for (const auto* strange : {"", "Dropped", "dropped ", "lost"}) {
        event.fields[field::fate] = strange;
        CHECK_FALSE(fate_of(event));
    }
    event.fields[field::fate] = 1;
    CHECK_FALSE(fate_of(event));

    Fields rule;
    CHECK_FALSE(rewritten_by(rule));
    for (const auto what : {Rewritten::address, Rewritten::port, Rewritten::ttl, Rewritten::header, Rewritten::payload}) {
        rule[field::what] = text(what);
        CHECK(rewritten_by(rule) == what);
    }
    rule[field::what] = "mark";
    CHECK_FALSE(rewritten_by(rule));
}
