// The ladder of a flow draws the flow's own packets, also where it does not know a port of one of its legs.
#include "lab/judge/picture.hpp"

#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

TEST_CASE("a ladder has no packets of a neighbour between the same two hosts", "[judge]") {
    for (const bool lost : {true, false}) {
        DYNAMIC_SECTION((lost ? "media lost" : "media arrived")) {
            Story story{mms_flow("f", "mms-udp") + mms_flow("g", "mms-udp")};
            mms_processes(story, {"f", "g"});
            // Nobody asks for packets again: the leg `resend` of both flows has no port of the player.
            UdpSession session{.ask_again = false, .outcome = "failed"};
            if (lost)
                for (unsigned n = 0; n < session.sent; ++n) session.missing.insert(n);
            mms_udp_session(story, "f", session);
            session.sink = 2048;
            mms_udp_session(story, "g", session);
            const auto events = story.events();
            const auto report = judge(story.scenario(), events);
            const auto picture = picture_of(report, story.scenario(), events);
            for (const auto& [flow, port] : {std::pair{"f", 1217}, {"g", 2048}}) {
                const auto& ladder = picture->ladders.at(flow);
                std::size_t media = 0;
                for (const auto& step : ladder.steps) {
                    INFO(flow << ": " << step.label);
                    if (step.label.find("UDP to") == std::string::npos && step.kind != Step::Kind::media) continue;
                    CHECK(step.label.ends_with(":" + std::to_string(port)));
                    CHECK(step.arrived != lost);
                    media += step.count;
                }
                CHECK(media == session.sent);
            }
        }
    }
}
