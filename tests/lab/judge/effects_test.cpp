// What events did to flows, read from made-up accounts of packets.
#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

const std::string sender = "10.10.0.10:1755", sink = "10.20.0.10:1217";
constexpr double first = 1500, play = 4000, apart = 20;  // ms: the stream's first packet, how long it plays, between packets

struct Happens {
    std::string kind = "reload";
    double began = 2500, lasts = 1;
    bool gap = false;
};

struct Course {
    std::vector<Happens> events = {{}};
    double lost_from = 0, lost_to = 0;      // packets that left then never arrived
    double silent_from = 0, silent_to = 0;  // none left then
    double ends = first + play;             // its last packet
    double begins = first;                  // its first one
};

bool within(double at, double from, double to) { return at >= from && at < to; }

void clock(Event& event, double milliseconds) { event.monotonic = std::chrono::nanoseconds{static_cast<std::int64_t>(milliseconds * 1e6)}; }

FlowResult judged(const Course& course, const std::string& wish = "") {
    Story story{"  - { id: f, type: mms-udp, from: player, to: media, play: 4s, max_loss: 1 }\nevents:\n  - { at: 1s, reload: new.nft" + wish +
                " }\n  - { at: 2s, reload: new.nft }\n"};
    mms_processes(story, {"f"});
    for (const auto* host : {"media", "player"}) story.blind(host);
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = sink;
    story.talk(control);
    std::vector<Story::Packet> packets;
    std::set<unsigned> missing;
    for (double at = course.begins; at < course.ends; at += apart) {
        if (within(at, course.silent_from, course.silent_to)) continue;
        const bool lost = within(at, course.lost_from, course.lost_to);
        if (lost) missing.insert(static_cast<unsigned>(packets.size()));
        packets.push_back({at, lost ? Fate::lost : Fate::arrives});
    }
    story.media({"f", "media", "player", sender, sink, "media", static_cast<unsigned>(packets.size()), missing, {}, 30});
    for (const auto* host : {"media", "player"}) story.watch(host);
    story.passes("media", "player", "udp", sender, sink, packets);
    std::vector<Event> all;
    std::size_t index = 0;
    for (const auto& happens : course.events) {
        const auto began = static_cast<std::int64_t>(happens.began * 1e6);
        story.add("lab", What::happened,
                  {{"incident", index++},
                   {"kind", happens.kind},
                   {"what", "an event"},
                   {"began", began},
                   {"ended", began + static_cast<std::int64_t>(happens.lasts * 1e6)},
                   {"gap", happens.gap}});
    }
    const bool whole = course.lost_to < course.ends && course.ends >= first + play;
    story.ended("player", "f", whole ? "worked" : "failed", "udp");
    all = story.events();
    for (auto& event : all) {
        if (event.event == What::flow_ended) clock(event, course.ends + 100);
        if (event.event == What::media_started && event.host == "player") clock(event, course.begins + 1);
    }
    const auto report = judge(story.scenario(), all);
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

}  // namespace

TEST_CASE("what an event does to a stream is what its packets say", "[judge][effects]") {
    struct Row {
        std::string name;
        Course course;
        Impact impact;
        std::uint64_t lost;
        double interrupted;  // about
    };
    const auto row = GENERATE(values<Row>({
        {"nothing is lost", {}, Impact::untouched, 0, 0},
        {"what was lost before it is not its doing", {.lost_from = 1900, .lost_to = 2100}, Impact::untouched, 0, 0},
        {"one packet", {.lost_from = 2500, .lost_to = 2510}, Impact::lost, 1, 40},
        {"a few: not enough for a stop", {.lost_from = 2500, .lost_to = 2540}, Impact::lost, 2, 60},
        {"half a second", {.lost_from = 2500, .lost_to = 3000}, Impact::interrupted, 25, 520},
        {"for good", {.lost_from = 2500, .lost_to = 9000}, Impact::died, 150, 0},
        {"for good, a while afterwards", {.lost_from = 3500, .lost_to = 9000}, Impact::died, 100, 0},
        {"nobody could send: a link", {.events = {{.kind = "link"}}, .silent_from = 2500, .silent_to = 2900}, Impact::interrupted, 0, 400},
        {"nobody sent, for reasons of their own", {.silent_from = 2500, .silent_to = 2900}, Impact::untouched, 0, 0},
        {"the media began afterwards", {.events = {{.began = 500}}}, Impact::opened, 0, 0},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto flow = judged(row.course);
        REQUIRE(flow.effects.size() == 1);
        const auto& effect = flow.effects[0];
        INFO(flow.explanation);
        CHECK(text(effect.impact) == text(row.impact));
        CHECK(effect.lost == row.lost);
        CHECK(effect.interrupted == Approx(row.interrupted).margin(25));
        CHECK(effect.complete);
        CHECK(effect.slipped == 0);
    }
}

TEST_CASE("a packet is counted for the event before which it did not leave", "[judge][effects]") {
    const auto flow = judged({.events = {{.began = 2000}, {.began = 3000}}, .lost_from = 2900, .lost_to = 3200});
    REQUIRE(flow.effects.size() == 2);
    CHECK(flow.effects[0].lost == 5);   // 2900 to 3000
    CHECK(flow.effects[1].lost == 10);  // 3000 to 3200
    CHECK(flow.effects[0].incident == 0);
    CHECK(flow.effects[1].incident == 1);
}

TEST_CASE("an event when all was over, and one after a stream has died, have no effect", "[judge][effects]") {
    CHECK(judged({.events = {{.began = 9000}}}).effects.empty());
    const auto died = judged({.events = {{.began = 2000}, {.began = 3000}}, .lost_from = 2000, .lost_to = 9000});
    REQUIRE(died.effects.size() == 1);
    CHECK(died.effects[0].impact == Impact::died);
}

TEST_CASE("what the entry of `events` expects of the flows that run", "[judge][effects]") {
    struct Row {
        std::string name, wish;
        Course course;
        bool as_expected;
    };
    const Course interrupted{.lost_from = 2500, .lost_to = 3000}, dead{.lost_from = 2500, .lost_to = 9000};
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing, and it died", "", dead, true},
        {"untouched, and it was", ", expect: untouched", {}, true},
        {"untouched, and it was not", ", expect: untouched", interrupted, false},
        {"survived, and it did", ", expect: survived", interrupted, true},
        {"survived, and it died", ", expect: survived", dead, false},
        {"survived, and it had not begun", ", expect: survived", {.events = {{.began = 500}}}, true},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto flow = judged(row.course, row.wish);
        REQUIRE(flow.effects.size() == 1);
        CHECK(flow.effects[0].as_expected == row.as_expected);
    }
}

TEST_CASE("what came through while there were no rules slipped, if it is stopped before and afterwards", "[judge][effects]") {
    // Lost but for the time of the event.
    Story story{"  - { id: f, type: mms-udp, from: player, to: media }\nevents:\n  - { at: 1s, reload: new.nft }\n"};
    mms_processes(story, {"f"});
    for (const auto* host : {"media", "player"}) story.blind(host);
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = sink;
    story.talk(control);
    std::vector<Story::Packet> packets;
    std::set<unsigned> missing;
    for (unsigned n = 0; n < 50; ++n) {
        const bool open = n >= 20 && n < 23;
        if (!open) missing.insert(n);
        packets.push_back({1000 + n * apart, open ? Fate::arrives : Fate::lost});
    }
    story.media({"f", "media", "player", sender, sink, "media", 50, missing, {}, 30});
    for (const auto* host : {"media", "player"}) story.watch(host);
    story.passes("media", "player", "udp", sender, sink, packets);
    story.add("lab", What::happened, {{"incident", 0}, {"kind", "reload"}, {"what", "x"}, {"began", 1'395'000'000}, {"ended", 1'455'000'000}, {"gap", true}});
    story.ended("player", "f", "failed", "udp");
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows[0].effects.size() == 1);
    CHECK(report.flows[0].effects[0].slipped == 3);
}
