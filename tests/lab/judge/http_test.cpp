// http and mms-auto: the player's rollover, web proxies that play, refuse, cannot get through, or are not fresh.
#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

FlowResult judged(const Story& story) {
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("rollover: each attempt is judged, the transport that worked wins", "[judge]") {
    Story story{mms_flow("f", "mms-auto")};
    mms_processes(story, {"f"});
    story.listening("media", "tcp", 80, "http");
    const auto attempt = [&](const std::string& transport) {
        story.on("player", "f", "", What::flow_started, {{"type", "mms-auto"}, {"transport", transport}});
    };
    const auto udp_dropped = [&] {
        attempt("udp");
        const auto control = story.connect("f", "control", "player", "media", 1755);
        const auto here = story.address("player", 1217), there = story.address("media", 1755);
        story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = here;
        story.talk(control);
        auto& started = story.on("media", "f", "media", What::media_started, {{"connection", control.number}});
        started.local = there;
        started.remote = here;
        story.wire("media", "out", "udp", "udp", there, here, 5);
        story.close(control);
    };
    const auto silent = [&](const std::string& transport, const std::string& leg, unsigned port) {
        attempt(transport);
        const auto c = story.fail("f", leg, "player", "media", port, Story::timeout());
        story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 2, Fate::lost);
    };
    SECTION("UDP blocked, TCP plays") {
        udp_dropped();
        attempt("tcp");
        const auto control = story.connect("f", "control", "player", "media", 1755);
        story.talk(control);
        story.media({"f", "media", "player", control.remote, control.local, "control"});
        story.close(control);
        story.ended("player", "f", "worked", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(flow.transport == "tcp");
        REQUIRE(flow.attempts.size() == 2);
        CHECK(flow.attempts[0].verdict == Verdict::blocked);
        CHECK(flow.attempts[0].leg == "media");
        CHECK(flow.attempts[0].cause == Cause::dropped);
    }
    SECTION("everything blocked: every attempt is listed") {
        silent("udp", "control", 1755);
        silent("tcp", "control", 1755);
        silent("http", "http", 80);
        story.ended("player", "f", "failed", "http");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        REQUIRE(flow.attempts.size() == 3);
        for (const auto& one : flow.attempts) CHECK(one.cause == Cause::dropped);
        CHECK(flow.attempts[2].leg == "http");
    }
}

namespace {

Story proxied() {
    Story story{"  - { id: f, type: http, from: player, to: media, proxy: { host: proxy, port: 3128 } }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 80, "http");
    story.process("player", "client_sim", {"f"});
    story.started("player", "f", "http", "http-proxy");
    return story;
}

// The player's connection to the proxy, which writes no journal; `status` is what the player is answered.
Story::Connection to_proxy(Story& story, int status, const std::string& reason) {
    const auto c = story.connect("f", "proxy", "player", "proxy", 3128);
    auto& sent = story.on("player", "f", "proxy", What::sent, {{"message", "Describe"}});
    sent.local = c.local;
    sent.remote = c.remote;
    auto& received = story.on("player", "f", "proxy", What::received,
                              {{"message", "Response"}, {"status", status}, {"reason", reason}});
    received.local = c.local;
    received.remote = c.remote;
    return c;
}

// The server's end of what the proxy passed on, and the media.
void plays(Story& story, const Story::Connection& c) {
    const auto local = story.address("proxy", 51000), remote = story.address("media", 80);
    for (const auto what : {What::accepted, What::received, What::sent}) {
        auto& event = story.on("media", "f", "http", what, {{"connection", 9}, {"message", "Describe"}});
        event.local = remote;
        event.remote = local;
    }
    story.media({"f", "media", "player", remote, c.local, "http"});
    story.ended("player", "f", "worked", "http-proxy");
}

}  // namespace

TEST_CASE("http through a proxy: it plays, it is denied, the proxy cannot reach the server", "[judge]") {
    auto story = proxied();
    SECTION("it plays") {
        const auto c = to_proxy(story, 200, "OK");
        plays(story, c);
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(flow.transport == "http-proxy");
        CHECK(flow.legs.size() == 2);
    }
    SECTION("the proxy refuses") {
        to_proxy(story, 403, "Filtered");
        story.ended("player", "f", "failed", "http-proxy", "403 Filtered");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "proxy");
        CHECK(flow.cause == Cause::proxy_denied);
        CHECK(has(flow.explanation, "proxy answered 403 (Filtered)"));
        // An open firewall changes nothing: the proxy's own words are the proof.
        CHECK(needs_control(judge(story.scenario(), story.events())).empty());
        JudgeOptions options;
        options.control_run = true;
        const auto events = story.events();
        CHECK(judge(story.scenario(), events, events, options).flows.at(0).verdict == Verdict::blocked);
    }
    SECTION("the firewall drops what the proxy sends on") {
        to_proxy(story, 504, "Gateway Timeout");
        story.crosses("proxy", "media", "tcp", "syn", story.address("proxy", 51000), story.address("media", 80), 4,
                      Fate::lost);
        story.ended("player", "f", "failed", "http-proxy", "504 Gateway Timeout");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "http");
        CHECK(flow.cause == Cause::dropped);
        CHECK(flow.direction == "proxy->to");
    }
    SECTION("the proxy still waits for the server when the player gives up") {
        const auto c = story.connect("f", "proxy", "player", "proxy", 3128);
        auto& sent = story.on("player", "f", "proxy", What::sent, {{"message", "Describe"}});
        sent.local = c.local;
        sent.remote = c.remote;
        story.crosses("proxy", "media", "tcp", "syn", story.address("proxy", 51000), story.address("media", 80), 2,
                      Fate::lost);
        story.ended("player", "f", "failed", "http-proxy", "no answer within 3000 ms");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "http");
        CHECK(flow.cause == Cause::dropped);
    }
}

TEST_CASE("media that is not fresh is never a plain pass", "[judge]") {
    auto story = proxied();
    const auto c = to_proxy(story, 200, "OK");
    const auto stale = [&](const std::string& kind, const std::string& why) {
        story.on("player", "f", "proxy", What::media_stale, {{"kind", kind}, {"why", why}}).local = c.local;
    };
    SECTION("held back") {
        stale("delayed", "the media came 4.0 s later than its own pace");
        plays(story, c);
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::degraded);
        CHECK(flow.leg == "proxy");
        CHECK(has(flow.explanation, "proxy held it back: the media came 4.0 s later"));
    }
    SECTION("out of a cache that asked the server") {
        stale("cached", "X-Cache: HIT from proxy");
        plays(story, c);
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::degraded);
        CHECK(has(flow.explanation, "out of a cache: X-Cache: HIT from proxy"));
    }
    SECTION("out of a cache, the server never asked") {
        stale("cached", "Age: 77");
        story.on("player", "f", "proxy", What::media_ended, {{"packets", 5}, {"bytes", 100}}).local = c.local;
        story.ended("player", "f", "worked", "http-proxy");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "proxy");
        CHECK(flow.cause == Cause::modified);
        CHECK(has(flow.explanation, "out of a cache (Age: 77)"));
    }
}
