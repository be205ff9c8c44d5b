// DCOM: what the endpoint mapper, the reserved range and the object reference can do to a flow.
#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

FlowResult dcom_judged(const Story& story) {
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

Story dcom_story(unsigned processes) {
    Story story{"  - { id: f, type: dcom, from: player, to: media, reserved_ports: 3001-3002, processes: " +
                std::to_string(processes) + " }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 135, "mapper");
    story.listening("media", "tcp", 3001, "object");
    story.process("player", "client_sim", {"f"});
    story.started("player", "f", "dcom", "tcp");
    const auto mapper = story.connect("f", "mapper", "player", "media", 135);
    story.talk(mapper);
    return story;
}

}  // namespace

TEST_CASE("dcom: a range with no port left is named with the status, number or text", "[judge][dcom]") {
    const boost::json::value hr = GENERATE(boost::json::value(0x800706B9u), boost::json::value("0x800706B9"));
    auto story = dcom_story(3);
    story.on("media", "f", "mapper", What::sent,
             {{"message", "RemoteCreateInstance"}, {"exhausted", "3001-3002"}, {"hr", hr}});
    story.ended("player", "f", "failed", "tcp", "the server has no port left", {{"hr", hr}});
    const auto flow = dcom_judged(story);
    CHECK(flow.verdict == Verdict::failed);
    CHECK(flow.cause == Cause::exhausted);
    CHECK(flow.leg == "object");
    CHECK(flow.explanation ==
          "The reserved range 3001-3002 of media has no port left for another process (3 asked for): activation was answered with 0x800706B9.");
}

TEST_CASE("dcom: an object call that works, and one that is dropped", "[judge][dcom]") {
    auto story = dcom_story(1);
    SECTION("works") {
        const auto object = story.connect("f", "object", "player", "media", 3001);
        story.talk(object);
        story.ended("player", "f", "worked", "tcp");
        CHECK(dcom_judged(story).verdict == Verdict::pass);
    }
    SECTION("never sent, as far as the wire knows") {
        story.fail("f", "object", "player", "media", 3001, Story::timeout());
        story.ended("player", "f", "failed", "tcp", "no answer", {{"hr", 0x800706BAu}});
        CHECK(dcom_judged(story).verdict == Verdict::inconclusive);
    }
    SECTION("dropped") {
        const auto call = story.fail("f", "object", "player", "media", 3001, Story::timeout());
        story.crosses("player", "media", "tcp", "syn", call.local, call.remote, 2, Fate::lost);
        story.ended("player", "f", "failed", "tcp", "no answer", {{"hr", 0x800706BAu}});
        const auto flow = dcom_judged(story);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.cause == Cause::dropped);
        CHECK(flow.leg == "object");
    }
}
