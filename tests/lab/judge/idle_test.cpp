// Streams with a pause: whether they went on, and which time-out of the firewall ended them.
#include <functional>

#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

const std::string server = "10.10.0.10:1755", player = "10.20.0.10:1217";
constexpr double paused_at = 2000, on_at = 6000;  // ms

struct Paused {
    bool reached = true, heard = true, told = true, dies = true;
    bool assured = false, flushed = false, tells_end = true;
    double forgotten_at = on_at + 31;  // 0: it is not
    std::string forgotten_source = server;
    unsigned udp_played = 2;
};

void at(Event& event, double milliseconds) { event.monotonic = std::chrono::nanoseconds{static_cast<std::int64_t>(milliseconds * 1e6)}; }

void tell_runner(Story& story, const Paused& how) {
    if (how.told)
        story.add("lab", What::time_outs,
                  {{"divisor", 75.0},
                   {"heard", how.heard},
                   {"settings", boost::json::array{Fields{{"name", "nf_conntrack_udp_timeout"}, {"real", 30}, {"played", how.udp_played}},
                                                   Fields{{"name", "nf_conntrack_udp_timeout_stream"}, {"real", 180}, {"played", 3}}}}});
    if (how.forgotten_at > 0)
        at(story.add("lab", What::forgotten,
                     {{"protocol", "udp"}, {"source", how.forgotten_source}, {"destination", player}, {"replied", how.assured}, {"assured", how.assured}}),
           how.forgotten_at);
    if (how.flushed) at(story.add("lab", What::happened, {{"kind", "flush-conntrack"}, {"incident", 0}, {"began", 1}, {"ended", 2}}), 3000);
}

FlowResult judged(const Paused& how) {
    Story story{"  - { id: f, type: mms-udp, from: player, to: media, idle: 5m }\n"};
    mms_processes(story, {"f"});
    for (const auto* host : {"media", "player"}) story.blind(host);
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = player;
    story.talk(control);
    std::set<unsigned> missing;
    for (unsigned packet = 20; how.dies && packet < 40; ++packet) missing.insert(packet);
    story.media({"f", "media", "player", server, player, "media", 40, missing, {}, 30});
    for (const auto* host : {"media", "player"}) story.watch(host);
    story.passes("player", "media", "tcp", control.local, control.remote,
                 {{900, Fate::arrives, "data"}, {1995, Fate::arrives, "data"}, {6002, Fate::arrives, "data"}});
    // A resend request, once: what the firewall forgets of it is of no concern.
    const std::string asker = "10.20.0.10:1218";
    auto& asked = story.on("player", "f", "resend", What::resend_requested, {{"sequences", boost::json::array{3}}});
    asked.local = asker, asked.remote = server;
    if (how.tells_end) {
        auto& answered = story.on("media", "f", "resend", What::resend_answered, {{"sequences", boost::json::array{3}}});
        answered.local = server, answered.remote = asker;
        story.on("player", "f", "resend", What::resend_answered, {{"sequences", boost::json::array{3}}});
    }
    story.passes("player", "media", "udp", asker, server, {{1100}});
    at(story.add("lab", What::forgotten, {{"protocol", "udp"}, {"source", asker}, {"destination", server}}), 4000);
    std::vector<Story::Packet> media;
    for (int n = 0; n < 20; ++n) media.push_back({1000 + n * 50.0});
    for (int n = 0; n < 20; ++n) media.push_back({on_at + 30 + n * 50.0, how.dies ? Fate::lost : Fate::arrives});
    story.passes("media", "player", "udp", server, player, media);
    if (how.reached) {
        at(story.on("player", "f", "control", What::paused, {{"lasts", 4000}}), paused_at);
        at(story.on("player", "f", "control", What::continued), on_at);
    }
    tell_runner(story, how);
    if (how.dies) at(story.on("player", "f", "media", What::media_silent, {{"waited", 3000}, {"attempt", 0}}), on_at + 3000);
    if (!how.tells_end)
        story.kill("player");
    else
        story.ended("player", "f", how.dies ? "failed" : "worked", "udp", "media came and then no more");
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows.size() == 1);
    REQUIRE(report.flows[0].idle);
    return report.flows[0];
}

}  // namespace

TEST_CASE("a stream that does not go on after its pause: which time-out ended it", "[judge][idle]") {
    struct Row {
        std::string name;
        Paused how;
        std::string time_out, says;
    };
    const auto row = GENERATE(values<Row>({
        {"packets went one way only", {}, "nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout is 30 s, and nothing had passed for 306 s"},
        {"to the kernel it was a stream", {.assured = true}, "nf_conntrack_udp_timeout_stream", "nf_conntrack_udp_timeout_stream is 180 s"},
        {"found out while the pause lasted", {.forgotten_at = 5000}, "nf_conntrack_udp_timeout", "had forgotten the connection"},
        {"the firewall still knew it", {.forgotten_at = 0}, "", "had not forgotten the connection: no time-out"},
        {"it forgot it after the packets were lost", {.forgotten_at = on_at + 2500}, "", "had not forgotten the connection: no time-out"},
        {"it had forgotten it before", {.forgotten_at = 1500}, "", "had not forgotten the connection: no time-out"},
        {"it forgot another one", {.forgotten_source = "10.10.0.10:1756"}, "", "had not forgotten the connection: no time-out"},
        {"the kernel was not heard", {.heard = false, .forgotten_at = 0}, "", "is not known"},
        {"not in the built-in lab", {.told = false, .forgotten_at = 0}, "", "only the built-in lab sees"},
        {"an event of the scenario made it forget", {.flushed = true}, "", "by an event of the scenario"},
        {"the time-out is longer than the silence", {.udp_played = 9}, "", "no time-out that is known explains it"},
    }));
    DYNAMIC_SECTION(row.name) {
        const auto flow = judged(row.how);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "media");
        CHECK(flow.idle->outcome == Idle::Outcome::died);
        CHECK(flow.idle->leg == "media");
        CHECK(flow.idle->time_out == row.time_out);
        CHECK(flow.idle->seconds == 300);
        CHECK(flow.idle->played == 4);
        CHECK(flow.explanation.find(row.says) != std::string::npos);
        CHECK((row.how.told == (flow.explanation.find("were divided by 75") != std::string::npos)));
    }
}

TEST_CASE("a stream that goes on after its pause passes, and what ran out meanwhile is told", "[judge][idle]") {
    for (const bool forgotten : {true, false}) {
        const auto flow = judged({.dies = false, .forgotten_at = forgotten ? on_at + 31 : 0});
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(flow.idle->outcome == Idle::Outcome::survived);
        CHECK(flow.idle->time_out.empty());
        REQUIRE_FALSE(flow.notes.empty());
        CHECK(flow.notes.back().find("resend") == std::string::npos);
        CHECK((flow.notes.back().find("nf_conntrack_udp_timeout (30 s) of the firewall ran out, and the rules let it begin anew") != std::string::npos) ==
              forgotten);
    }
}

TEST_CASE("a pause of which nobody tells how it ended is not known to have ended anything", "[judge][idle]") {
    const auto flow = judged({.dies = false, .tells_end = false});
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::inconclusive);
    CHECK(flow.idle->outcome == Idle::Outcome::unknown);
    CHECK(flow.idle->time_out.empty());
}

TEST_CASE("a stream that ends before its pause says nothing of it", "[judge][idle]") {
    const auto worked = judged({.reached = false, .dies = false});
    CHECK(worked.verdict == Verdict::inconclusive);
    CHECK(worked.reason == Reason::not_tried);
    CHECK(worked.idle->outcome == Idle::Outcome::not_reached);
    const auto starved = judged({.reached = false});
    INFO(starved.explanation);
    CHECK(starved.verdict == Verdict::inconclusive);
    CHECK(starved.explanation.find("set shorter for the pause") != std::string::npos);
}
