// The flow types with rules of their own: probe, command, msbd, dcom, encoder-alias.
#include <spdlog/fmt/fmt.h>

#include <functional>

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

// --- probe ---

void probe_udp(Story& story, unsigned port, Fate fate) {
    const auto local = story.address("player", 50000), remote = story.address("media", port);
    auto& sent = story.on("player", "f", "probe", What::probe_sent,
                          {{"protocol", "udp"}, {"port", port}, {"nonce", "n" + std::to_string(port)}});
    sent.local = local;
    sent.remote = remote;
    story.crosses("player", "media", "udp", "udp", local, remote, 1, fate);
    if (fate == Fate::lost) return;
    auto& received = story.on("media", "f", "probe", What::probe_received,
                              {{"protocol", "udp"}, {"port", port}, {"nonce", "n" + std::to_string(port)}});
    received.local = remote;
    received.remote = local;
}

Story probes(const std::string& ports) {
    Story story{"  - { id: f, type: probe, from: player, to: media, protocol: udp, ports: " + ports + " }\n"};
    story.process("media", "server_sim", {"f"});
    for (const unsigned port : {2000U, 2001U, 2002U}) story.listening("media", "udp", port, "probe");
    story.process("player", "client_sim", {"f"});
    return story;
}

}  // namespace

TEST_CASE("probes: all arrive, none, some, and one whose port was not bound", "[judge]") {
    auto story = probes("2000-2002");
    SECTION("all") {
        for (const unsigned port : {2000U, 2001U, 2002U}) probe_udp(story, port, Fate::arrives);
        const auto flow = judged(story);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(has(flow.explanation, "UDP ports 2000-2002: every probe arrived"));
    }
    SECTION("none") {
        for (const unsigned port : {2000U, 2001U, 2002U}) probe_udp(story, port, Fate::lost);
        const auto flow = judged(story);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.cause == Cause::dropped);
        CHECK(flow.direction == "from->to");
        CHECK(has(flow.explanation, "The same for ports 2000-2002"));
    }
    SECTION("some: neither pass nor blocked") {
        probe_udp(story, 2000, Fate::arrives);
        probe_udp(story, 2001, Fate::lost);
        probe_udp(story, 2002, Fate::arrives);
        const auto flow = judged(story);
        CHECK(flow.verdict == Verdict::degraded);
        CHECK(has(flow.explanation, "UDP port 2001: dropped"));
    }
    SECTION("an answer nobody asked for proves nothing") {
        for (const unsigned port : {2000U, 2001U, 2002U}) probe_udp(story, port, Fate::lost);
        story.on("media", "f", "probe", What::probe_received,
                 {{"protocol", "udp"}, {"port", 2000}, {"nonce", "stranger"}});
        CHECK(judged(story).verdict == Verdict::blocked);
    }
}

TEST_CASE("a probe to a port that nobody bound is inconclusive", "[judge]") {
    auto story = probes("2999");
    probe_udp(story, 2999, Fate::lost);
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::inconclusive);
    CHECK(flow.reason == Reason::not_listening);
}

TEST_CASE("a TCP probe needs the echo: connected is not enough", "[judge]") {
    Story story{"  - { id: f, type: probe, from: player, to: media, protocol: tcp, ports: 2000 }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 2000, "probe");
    story.process("player", "client_sim", {"f"});
    const auto c = story.connect("f", "probe", "player", "media", 2000);
    const Fields nonce{{"port", 2000}, {"nonce", "a"}};
    const auto say = [&](const std::string& host, What what) {
        auto& event = story.on(host, "f", "probe", what, nonce);
        event.local = host == "player" ? c.local : c.remote;
        event.remote = host == "player" ? c.remote : c.local;
    };
    say("player", What::probe_sent);
    SECTION("sent only") { CHECK(judged(story).verdict != Verdict::pass); }
    SECTION("received, no echo") {
        say("media", What::probe_received);
        CHECK(judged(story).verdict != Verdict::pass);
    }
    SECTION("echoed") {
        say("media", What::probe_received);
        say("player", What::probe_answered);
        CHECK(judged(story).verdict == Verdict::pass);
    }
}

TEST_CASE("a command passes on exit 0, what failed is blocked only with the control", "[judge]") {
    const auto told = [](int code) {
        Story story{"  - { id: f, type: command, from: player, to: media, run: [curl, \"http://media/\"] }\n"};
        story.process("media", "server_sim", {"f"});
        story.process("player", "client_sim", {"f"});
        auto& exited = story.on("player", "f", "", What::program_exited,
                                {{"exit", code}, {"output", "first\ncurl: (28) timeout\n"}});
        exited.process = "wmlab";
        return story;
    };
    CHECK(judged(told(0)).verdict == Verdict::pass);
    const auto failed = told(28);
    auto events = failed.events();
    // The runner wrote one of the lines; the simulator's count does not have it.
    for (auto& event : events) event.fields.erase("lines");
    const auto alone = judge(failed.scenario(), events).flows.at(0);
    CHECK(alone.verdict == Verdict::failed);
    CHECK(has(alone.explanation, "curl: (28) timeout"));
    JudgeOptions options;
    options.control_run = true;
    auto open = told(0).events();
    for (auto& event : open) event.fields.erase("lines");
    CHECK(judge(failed.scenario(), events, open, options).flows.at(0).verdict == Verdict::blocked);
}

TEST_CASE("msbd on its fallback port: the port is named", "[judge]") {
    Story story{"  - { id: f, type: msbd, from: edge, to: media, source: server, port: fallback }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 2345, "msbd");
    story.process("edge", "server_sim", {"f"});
    SECTION("blocked") {
        const auto c = story.fail("f", "msbd", "edge", "media", 2345, Story::timeout());
        story.crosses("edge", "media", "tcp", "syn", c.local, c.remote, 4, Fate::lost);
        story.ended("edge", "f", "failed", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "msbd");
        CHECK(has(flow.explanation, "media:2345"));
    }
    SECTION("passes") {
        const auto c = story.connect("f", "msbd", "edge", "media", 2345);
        story.talk(c);
        story.media({"f", "media", "edge", c.remote, c.local, "msbd"});
        story.ended("edge", "f", "worked", "tcp");
        CHECK(judged(story).verdict == Verdict::pass);
    }
}

TEST_CASE("dcom: pass, object port shut, exhausted, translated", "[judge]") {
    Story story{"  - { id: f, type: dcom, from: studio, to: media, processes: 2, reserved_ports: 3001-3010 }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 135, "mapper");
    story.listening("media", "tcp", 3001, "object");
    story.listening("media", "tcp", 3002, "object");
    story.process("studio", "client_sim", {"f"});
    const auto call = [&](const std::string& leg, unsigned port) {
        story.talk(story.connect("f", leg, "studio", "media", port));
    };
    call("mapper", 135);
    SECTION("pass") {
        call("object", 3001);
        call("object", 3002);
        story.ended("studio", "f", "worked", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(has(flow.explanation, "2 ports"));
    }
    SECTION("one of the ports is shut") {
        call("object", 3001);
        const auto c = story.fail("f", "object", "studio", "media", 3002, Story::timeout());
        story.crosses("studio", "media", "tcp", "syn", c.local, c.remote, 3, Fate::lost);
        story.ended("studio", "f", "failed", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "object");
        CHECK(has(flow.explanation, "media:3002"));
    }
    SECTION("no port left") {
        story.on("media", "f", "mapper", What::sent,
                 {{"message", "RemoteActivation"}, {"hr", "0x800706BA"}, {"exhausted", "3001-3010"}});
        story.ended("studio", "f", "failed", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::failed);
        CHECK(flow.cause == Cause::exhausted);
        CHECK(flow.leg == "object");
    }
    SECTION("the reference names an address that cannot be reached") {
        auto& connecting = story.on("studio", "f", "object", What::connecting);
        connecting.remote = "192.168.7.7:3001";
        auto& failed = story.on("studio", "f", "object", What::connect_failed, {{"failure", Story::timeout()}});
        failed.remote = "192.168.7.7:3001";
        failed.local = story.address("studio", 45000);
        story.tcp_wire("studio", "out", "syn", failed.local, failed.remote, 3, 64);
        story.ended("studio", "f", "failed", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "object");
        CHECK(flow.cause == Cause::translated);
        CHECK(has(flow.explanation, "names 192.168.7.7:3001, but studio reached it as 10.10.0.10:135"));
    }
}

namespace {

// The request from `client` reaches `server` or not; the answer never comes back.
FlowResult unanswered_call(const std::string& client, const std::string& server, bool arrives) {
    Story story{"  - { id: f, type: dcom, transport: udp, from: " + client + ", to: " + server + ", reserved_ports: 3001-3010 }\n",
                "hosts:\n  " + server + ": { zone: inside, address: 10.10.0.10 }\n  " + client + ": { zone: outside, address: 10.20.0.11 }\n"};
    story.process(server, "server_sim", {"f"});
    story.listening(server, "udp", 135, "mapper");
    story.process(client, "client_sim", {"f"});
    const auto here = story.address(client, 46000), there = story.address(server, 135);
    auto& sent = story.on(client, "f", "mapper", What::sent, {{"message", "ept_map"}});
    sent.local = here;
    sent.remote = there;
    story.crosses(client, server, "udp", "udp", here, there, 3, arrives ? Fate::arrives : Fate::lost);
    if (arrives) {
        for (const auto what : {What::received, What::sent}) {
            auto& event = story.on(server, "f", "mapper", what, {{"message", "ept_map"}});
            event.local = there;
            event.remote = here;
        }
        story.crosses(server, client, "udp", "udp", there, here, 3, Fate::lost);
    }
    story.ended(client, "f", "failed", "udp");
    return judged(story);
}

}  // namespace

TEST_CASE("dcom over UDP: request and answer are told apart, whatever the hosts are named", "[judge]") {
    const bool arrives = GENERATE(false, true);
    const auto [client, server] =
        GENERATE(table<std::string, std::string>({{"studio", "media"}, {"request", "media"}, {"studio", "request"}, {"answer", "reached"}}));
    DYNAMIC_SECTION(client << " calls " << server << (arrives ? ", the answer is lost" : ", the request is lost")) {
        const auto flow = unanswered_call(client, server, arrives);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "mapper");
        CHECK(flow.cause == Cause::dropped);
        CHECK(flow.direction == (arrives ? "to->from" : "from->to"));
        const auto back = fmt::format("The request reached {}; the answer did not come back: UDP from {}:135 to {}:46000 was sent", server, server, client);
        const auto there = fmt::format("UDP from {}:46000 to {}:135 was sent", client, server);
        CHECK(has(flow.explanation, arrives ? back : there));
        CHECK(has(flow.explanation, "The request reached") == arrives);
    }
}

TEST_CASE("encoder-alias: the server's pull back to the encoder is a leg of its own", "[judge]") {
    Story story{
        "  - { id: f, type: encoder-alias, from: studio, to: media, alias: lecture, reserved_ports: 3001-3010 }\n"};
    story.process("media", "server_sim", {"f"});
    story.listening("media", "tcp", 135, "mapper");
    story.listening("media", "tcp", 3001, "object");
    story.process("studio", "encoder_sim", {"f"});
    story.listening("studio", "tcp", 7007, "msbd");
    story.talk(story.connect("f", "mapper", "studio", "media", 135));
    story.talk(story.connect("f", "object", "studio", "media", 3001));
    SECTION("pass") {
        const auto pull = story.connect("f", "msbd", "media", "studio", 7007);
        story.talk(pull);
        story.media({"f", "studio", "media", pull.remote, pull.local, "msbd"});
        story.ended("studio", "f", "worked", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(flow.legs.size() == 3);
    }
    SECTION("the pull is dropped") {
        const auto c = story.fail("f", "msbd", "media", "studio", 7007, Story::timeout());
        story.crosses("media", "studio", "tcp", "syn", c.local, c.remote, 4, Fate::lost);
        story.ended("studio", "f", "failed", "tcp");
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::blocked);
        CHECK(flow.leg == "msbd");
        CHECK(flow.direction == "to->from");
    }
}
