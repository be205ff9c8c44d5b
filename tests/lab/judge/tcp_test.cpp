// TCP legs: everything a firewall may do to a connection (the whole table of what a blocked connection looks like), in
// each direction, as both ends and both wires see it.
#include <functional>

#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

const std::string firewall_outside = "10.20.0.1", firewall_inside = "10.10.0.1";

FlowResult judged(const Story& story) {
    const auto report = judge(story.scenario(), story.events());
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

Story mms_tcp() {
    Story story{mms_flow("f", "mms-tcp")};
    mms_processes(story, {"f"});
    return story;
}

void gives_up(Story& story, const std::string& reason = "no connection") {
    story.ended("player", "f", "failed", "tcp", reason);
}

}  // namespace

TEST_CASE("a TCP leg that could not be opened: who stopped it, and how", "[judge]") {
    struct Row {
        std::string name;
        std::function<void(Story&)> happens;
        Verdict verdict;
        std::optional<Cause> cause;
        std::string direction;
        std::optional<Icmp> icmp;
        std::string says;  // part of the explanation
    };
    const auto syn = [](Story& story, const Story::Connection& c, unsigned packets, Fate fate) {
        story.crosses("player", "media", "tcp", "syn", c.local, c.remote, packets, fate);
    };
    const auto rejected_row = [&](unsigned code, const std::string& error) {
        return Row{"rejected with ICMP 3/" + std::to_string(code),
                   [=](Story& story) {
                       const auto c = story.fail("f", "control", "player", "media", 1755,
                                                 Story::unreachable(code, firewall_outside, error));
                       syn(story, c, 1, Fate::lost);
                       story.wire("player", "in", "icmp", "icmp", c.local, c.remote, 1,
                                  {{"type", 3}, {"code", code}, {"sender", firewall_outside}});
                   },
                   Verdict::blocked,
                   Cause::rejected,
                   "from->to",
                   Icmp{3, code, firewall_outside, "the firewall (outside)"},
                   "rejected by the firewall (outside) (10.20.0.1) with ICMP 3/" + std::to_string(code)};
    };
    const std::vector<Row> rows{
        {"the SYN is dropped",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
             syn(story, c, 4, Fate::lost);
         },
         Verdict::blocked, Cause::dropped, "from->to", std::nullopt,
         "The SYN to media:1755, sent 4 times, left player and never reached media: no answer within 3000 ms."},
        {"the SYN passes, the SYN-ACK is dropped",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
             syn(story, c, 4, Fate::arrives);
             story.crosses("media", "player", "tcp", "syn-ack", c.remote, c.local, 6, Fate::lost);
         },
         Verdict::blocked, Cause::dropped, "to->from", std::nullopt,
         "media answered 6 times, but the answer never reached player"},
        {"the SYN-ACK is rejected with a RST to the server",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
             syn(story, c, 4, Fate::arrives);
             story.crosses("media", "player", "tcp", "syn-ack", c.remote, c.local, 4, Fate::lost);
             story.tcp_wire("media", "in", "rst", c.local, c.remote, 4, 64);
         },
         Verdict::blocked, Cause::reset, "to->from", std::nullopt, "in the name of player, which sent none"},
        {"the SYN-ACK is rejected with ICMP to the server",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
             syn(story, c, 4, Fate::arrives);
             story.crosses("media", "player", "tcp", "syn-ack", c.remote, c.local, 4, Fate::lost);
             story.wire("media", "in", "icmp", "icmp", c.remote, c.local, 4,
                        {{"type", 3}, {"code", 13}, {"sender", firewall_inside}});
         },
         Verdict::blocked, Cause::rejected, "to->from", Icmp{3, 13, firewall_inside, "the firewall (inside)"},
         "media's answer to the SYN of player was rejected by the firewall (inside)"},
        {"the last ACK of the handshake is dropped",
         [&](Story& story) {
             Story::Connection c{
                 "f", "control", "player", "media", story.address("player", 40000), story.address("media", 1755), 0};
             story.on("player", "f", "control", What::connecting).remote = c.remote;
             auto& connected = story.on("player", "f", "control", What::connected);
             connected.local = c.local;
             connected.remote = c.remote;
             story.on("player", "f", "control", What::sent, {{"message", "LinkViewerToMacConnect"}});
             auto& closed =
                 story.on("player", "f", "control", What::closed, {{"by", "error"}, {"failure", Story::timeout()}});
             closed.local = c.local;
             syn(story, c, 1, Fate::arrives);
             story.crosses("media", "player", "tcp", "syn-ack", c.remote, c.local, 4);
             story.crosses("player", "media", "tcp", "data", c.local, c.remote, 5, Fate::lost);
         },
         Verdict::blocked, Cause::dropped, "from->to", std::nullopt,
         "never got the last ACK of the handshake nor any data"},
        {"reset by the firewall",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
             syn(story, c, 1, Fate::lost);
             story.tcp_wire("player", "in", "rst", c.remote, c.local, 1, 64);
         },
         Verdict::blocked, Cause::reset, "from->to", std::nullopt,
         "by something on the way: the SYN never reached media"},
        {"the server refuses itself, although it listens",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
             syn(story, c, 1, Fate::arrives);
             story.crosses("media", "player", "tcp", "rst", c.remote, c.local, 1);
         },
         Verdict::failed, Cause::refused, "from->to", std::nullopt, "refused by media itself"},
        {"the firewall answers for the server, which resets what it does not know",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
             syn(story, c, 1, Fate::lost);
             story.tcp_wire("player", "in", "syn-ack", c.remote, c.local, 1, 64);
             story.crosses("media", "player", "tcp", "rst", c.remote, c.local, 1);
         },
         Verdict::blocked, Cause::dropped, "from->to", std::nullopt, "which reset what came after it"},
        {"port-unreachable from the server itself",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755,
                                       Story::unreachable(3, "10.10.0.10", "ECONNREFUSED"));
             syn(story, c, 1, Fate::arrives);
             story.wire("media", "out", "icmp", "icmp", c.local, c.remote, 1,
                        {{"type", 3}, {"code", 3}, {"sender", "10.10.0.10"}});
             story.wire("player", "in", "icmp", "icmp", c.local, c.remote, 1,
                        {{"type", 3}, {"code", 3}, {"sender", "10.10.0.10"}});
         },
         Verdict::failed, Cause::refused, "from->to", Icmp{3, 3, "10.10.0.10", "media"},
         "refused by media itself with ICMP 3/3"},
        {"port-unreachable in the server's name",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755,
                                       Story::unreachable(3, "10.10.0.10", "ECONNREFUSED"));
             syn(story, c, 1, Fate::lost);
             story.wire("player", "in", "icmp", "icmp", c.local, c.remote, 1,
                        {{"type", 3}, {"code", 3}, {"sender", "10.10.0.10"}});
         },
         Verdict::blocked, Cause::rejected, "from->to", Icmp{3, 3, "10.10.0.10", "media"}, "in the name of media"},
        rejected_row(0, "ENETUNREACH"),
        rejected_row(1, "EHOSTUNREACH"),
        rejected_row(2, "ENOPROTOOPT"),
        rejected_row(3, "ECONNREFUSED"),
        rejected_row(9, "ENETUNREACH"),
        rejected_row(10, "EHOSTUNREACH"),
        rejected_row(13, "EHOSTUNREACH"),
        {"the ICMP message is only on the wire, the program saw ECONNREFUSED",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
             syn(story, c, 1, Fate::lost);
             story.wire("player", "in", "icmp", "icmp", c.local, c.remote, 1,
                        {{"type", 3}, {"code", 3}, {"sender", firewall_outside}});
         },
         Verdict::blocked, Cause::rejected, "from->to", Icmp{3, 3, firewall_outside, "the firewall (outside)"},
         "rejected by the firewall"},
        {"DNAT to another port, where nothing listens",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
             syn(story, c, 1, Fate::lost);
             story.tcp_wire("media", "in", "syn", c.local, story.address("media", 1756));
             story.tcp_wire("media", "out", "rst", story.address("media", 1756), c.local);
             story.tcp_wire("player", "in", "rst", c.remote, c.local);
         },
         Verdict::blocked, Cause::translated, "from->to", std::nullopt, "translated on the way to 10.10.0.10:1756"},
        {"the server's interface gets the SYN and the server says nothing",
         [&](Story& story) {
             const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
             syn(story, c, 4, Fate::arrives);
         },
         Verdict::inconclusive, std::nullopt, "", std::nullopt, "did not answer it"},
        {"the SYN never leaves the player",
         [&](Story& story) { story.fail("f", "control", "player", "media", 1755, Story::timeout()); },
         Verdict::inconclusive, std::nullopt, "", std::nullopt, "ever left player"},
        {"the player has no route",
         [&](Story& story) {
             story.fail("f", "control", "player", "media", 1755,
                        {{"kind", "unreachable"}, {"error", "ENETUNREACH"}, {"waited", 0.0}});
         },
         Verdict::inconclusive, std::nullopt, "", std::nullopt, "has no route"},
    };
    for (const auto& row : rows) {
        DYNAMIC_SECTION(row.name) {
            auto story = mms_tcp();
            story.started("player", "f", "mms-tcp", "tcp");
            row.happens(story);
            gives_up(story);
            const auto flow = judged(story);
            INFO(flow.explanation);
            CHECK(text(flow.verdict) == text(row.verdict));
            CHECK(flow.leg == "control");
            CHECK(flow.cause == row.cause);
            CHECK(flow.direction == row.direction);
            CHECK(flow.icmp.has_value() == row.icmp.has_value());
            if (flow.icmp && row.icmp) {
                CHECK(flow.icmp->code == row.icmp->code);
                CHECK(flow.icmp->from == row.icmp->from);
                CHECK(flow.icmp->name == row.icmp->name);
            }
            CHECK(flow.explanation.find(row.says) != std::string::npos);
        }
    }
}

TEST_CASE("without the far wire a silent TCP leg is dropped in an unknown direction", "[judge]") {
    auto story = mms_tcp();
    story.blind("media");
    const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
    story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 4, Fate::lost);
    gives_up(story);
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.cause == Cause::dropped);
    CHECK(flow.direction.empty());
    CHECK(flow.explanation.find("direction it was lost is not known") != std::string::npos);
}

TEST_CASE("without any wire a RST for a port that is listened on came from something on the way", "[judge]") {
    auto story = mms_tcp();
    story.blind("media");
    story.blind("player");
    story.fail("f", "control", "player", "media", 1755, Story::refused());
    gives_up(story);
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.cause == Cause::reset);
}

TEST_CASE("a RST before the port was listened on, by hand in the wrong order, is never a block", "[judge]") {
    auto story = mms_tcp();
    story.blind("media");
    story.blind("player");
    story.fail("f", "control", "player", "media", 1755, Story::refused());
    story.listening("media", "tcp", 1755, "control");
    gives_up(story);
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::inconclusive);
    CHECK(flow.reason == Reason::not_listening);
    CHECK(flow.explanation.find("began to listen there only after that") != std::string::npos);
}

TEST_CASE("a port that was not bound is never a block", "[judge]") {
    struct Row {
        std::string name;
        Fields failure;
        bool said;  // the server wrote listen-failed
    };
    const auto row = GENERATE(values<Row>({
        {"silence", Story::timeout(), false},
        {"a RST", Story::refused(), false},
        {"ICMP from the firewall", Story::unreachable(13, "10.20.0.1"), false},
        {"a RST, and the server says why", Story::refused(), true},
    }));
    DYNAMIC_SECTION(row.name) {
        Story story{mms_flow("f", "mms-tcp")};
        story.process("media", "server_sim", {"f"});
        story.process("player", "client_sim", {"f"});
        if (row.said) {
            story
                .on("media", "", "control", What::listen_failed,
                    {{"protocol", "tcp"}, {"error", "EADDRINUSE"}, {"holder", "nginx (4711)"}})
                .local = "10.10.0.10:1755";
        }
        const auto c = story.fail("f", "control", "player", "media", 1755, row.failure);
        story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 1, Fate::lost);
        gives_up(story);
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::inconclusive);
        CHECK(flow.reason == Reason::not_listening);
        CHECK((flow.explanation.find("nginx (4711)") != std::string::npos) == row.said);
    }
}

TEST_CASE("an open connection that breaks: starved, reset, or ended by the other end", "[judge]") {
    struct Row {
        std::string name;
        std::function<void(Story&, const Story::Connection&)> happens;
        Verdict verdict;
        std::optional<Cause> cause;
        std::string direction, says;
    };
    const auto closed = [](Story& story, const std::string& host, const Story::Connection& c, Fields fields) {
        if (host == "media") fields["connection"] = c.number;
        story.on(host, "f", "control", What::closed, std::move(fields));
    };
    const std::vector<Row> rows{
        {"what the player sends is lost after a while",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             story.talk(c, 1, Fate::lost);
             closed(story, "player", c, {{"by", "error"}, {"failure", Story::timeout()}});
             closed(story, "media", c, {{"by", "error"}, {"failure", Story::timeout()}});
         },
         Verdict::blocked, Cause::starved, "from->to", "what player sent did not arrive: 3 messages sent, 2 received"},
        {"what the server sends is lost after a while",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             story.talk(c, 1, Fate::arrives, Fate::lost);
             closed(story, "player", c, {{"by", "error"}, {"failure", Story::timeout()}});
             closed(story, "media", c, {{"by", "peer"}});
         },
         Verdict::blocked, Cause::starved, "to->from", "what media sent did not arrive: 3 messages sent, 2 received"},
        {"media stops in the middle (connection tracking timed out)",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             std::set<unsigned> tail;
             for (unsigned n = 12; n < 40; ++n) tail.insert(n);
             story.media({"f", "media", "player", c.remote, c.local, "control", 40, tail, {}, 1800});
             story.on("player", "f", "control", What::media_silent, {{"waited", 1800}});
             closed(story, "player", c, {{"by", "error"}, {"failure", Story::timeout(1800)}});
             closed(story, "media", c, {{"by", "peer"}});
         },
         Verdict::blocked, Cause::starved, "to->from", "40 packets of media sent, 12 received"},
        {"reset by the firewall, to both ends",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             closed(story, "player", c,
                    {{"by", "error"}, {"failure", Fields{{"kind", "reset"}, {"error", "ECONNRESET"}}}});
             closed(story, "media", c,
                    {{"by", "error"}, {"failure", Fields{{"kind", "reset"}, {"error", "ECONNRESET"}}}});
             story.tcp_wire("player", "in", "rst", c.remote, c.local, 1, 64);
             story.tcp_wire("media", "in", "rst", c.local, c.remote, 1, 64);
         },
         Verdict::blocked, Cause::reset, "", "both player and media got a RST that neither of them sent"},
        {"reset by the firewall, to the server only",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             closed(story, "media", c,
                    {{"by", "error"}, {"failure", Fields{{"kind", "reset"}, {"error", "ECONNRESET"}}}});
             closed(story, "player", c, {{"by", "error"}, {"failure", Story::timeout()}});
             story.tcp_wire("media", "in", "rst", c.local, c.remote, 1, 64);
         },
         Verdict::blocked, Cause::reset, "to->from", "media got a RST that player never sent"},
        {"the server itself resets",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             closed(story, "player", c,
                    {{"by", "error"}, {"failure", Fields{{"kind", "reset"}, {"error", "ECONNRESET"}}}});
             closed(story, "media", c, {{"by", "self"}, {"reason", "limit reached"}});
             story.crosses("media", "player", "tcp", "rst", c.remote, c.local, 1);
         },
         Verdict::failed, Cause::refused, "to->from", "media:1755 itself reset"},
        {"the server ends the session for a reason of its own",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             closed(story, "media", c, {{"by", "self"}, {"reason", "too many sessions"}});
             closed(story, "player", c, {{"by", "peer"}});
             story.crosses("media", "player", "tcp", "fin", c.remote, c.local, 1);
         },
         Verdict::failed, std::nullopt, "", "media ended the session: too many sessions."},
        {"the player cannot read what the server sent",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             story.on("player", "f", "control", What::malformed,
                      {{"field", "chunkLen"}, {"offset", 16}, {"problem", "is not the message's length"}});
             closed(story, "player", c, {{"by", "self"}, {"reason", "malformed"}});
             closed(story, "media", c, {{"by", "peer"}});
         },
         Verdict::failed, std::nullopt, "", "player could not read a message of media: chunkLen at offset 16"},
        {"something closes the connection in the server's name",
         [&](Story& story, const auto& c) {
             story.talk(c, 2);
             closed(story, "player", c, {{"by", "peer"}});
             closed(story, "media", c, {{"by", "error"}, {"failure", Story::timeout()}});
             story.tcp_wire("player", "in", "fin", c.remote, c.local, 1, 64);
         },
         Verdict::blocked, Cause::reset, "to->from", "Something on the way closed the connection"},
    };
    for (const auto& row : rows) {
        DYNAMIC_SECTION(row.name) {
            auto story = mms_tcp();
            story.started("player", "f", "mms-tcp", "tcp");
            const auto c = story.connect("f", "control", "player", "media", 1755);
            row.happens(story, c);
            gives_up(story, "the session broke");
            const auto flow = judged(story);
            INFO(flow.explanation);
            CHECK(text(flow.verdict) == text(row.verdict));
            CHECK(flow.cause == row.cause);
            CHECK(flow.direction == row.direction);
            CHECK(flow.explanation.find(row.says) != std::string::npos);
        }
    }
}

TEST_CASE("a session that went well passes, by what arrived", "[judge]") {
    auto story = mms_tcp();
    mms_tcp_session(story, "f");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::pass);
    CHECK(flow.as_expected);
    CHECK(flow.transport == "tcp");
    REQUIRE(flow.media);
    CHECK(flow.media->packets_received == 40);
    CHECK(flow.media->loss == 0);
    REQUIRE(flow.legs.size() == 1);
    CHECK(flow.legs[0].verdict == Verdict::pass);
    CHECK(flow.legs[0].destination == "10.10.0.10:1755");
    CHECK(flow.legs[0].milliseconds.has_value());
}

TEST_CASE("a connection without media is not a pass", "[judge]") {
    auto story = mms_tcp();
    story.started("player", "f", "mms-tcp", "tcp");
    const auto c = story.connect("f", "control", "player", "media", 1755);
    story.talk(c);
    story.close(c);
    story.ended("player", "f", "worked", "tcp");
    CHECK(judged(story).verdict == Verdict::inconclusive);
}

TEST_CASE("a packet that arrives changed is modified", "[judge]") {
    auto story = mms_tcp();
    story.started("player", "f", "mms-tcp", "tcp");
    const auto c = story.connect("f", "control", "player", "media", 1755);
    story.talk(c);
    story.media({"f", "media", "player", c.remote, c.local, "control", 40, {}, {7, 8}, 30});
    story.close(c);
    story.ended("player", "f", "worked", "tcp");
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.cause == Cause::modified);
    CHECK(flow.direction == "to->from");
    CHECK(flow.explanation.find("2 packets") != std::string::npos);
}

TEST_CASE("what was under way when the player had enough is not lost", "[judge]") {
    auto story = mms_tcp();
    story.started("player", "f", "mms-tcp", "tcp");
    const auto c = story.connect("f", "control", "player", "media", 1755);
    story.talk(c);
    story.media({"f", "media", "player", c.remote, c.local, "control", 40, {36, 37, 38, 39}, {}, 30});
    story.close(c);
    story.ended("player", "f", "worked", "tcp");
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::pass);
    CHECK(flow.media->loss == 0);
}

TEST_CASE("masquerade: the flow passes, and the report says what each end sees", "[judge]") {
    auto story = mms_tcp();
    story.started("player", "f", "mms-tcp", "tcp");
    Story::Connection c{"f", "control", "player", "media", story.address("player", 40000), story.address("media", 1755),
                        9};
    const std::string seen = "10.10.0.1:61000";
    story.on("player", "f", "control", What::connecting).remote = c.remote;
    auto& connected = story.on("player", "f", "control", What::connected, {{"milliseconds", 1}});
    connected.local = c.local;
    connected.remote = c.remote;
    auto& accepted = story.on("media", "", "", What::accepted, {{"connection", 9}});
    accepted.local = c.remote;
    accepted.remote = seen;
    story.talk(c);
    story.media({"f", "media", "player", c.remote, c.local, "control", 40, {}, {}, 30});
    story.ended("player", "f", "worked", "tcp");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::pass);
    CHECK(flow.legs[0].source_seen == seen);
    REQUIRE(flow.notes.size() == 1);
    CHECK(flow.notes[0].find("10.20.0.10:40000 -> 10.10.0.10:1755 is 10.10.0.1:61000 -> 10.10.0.10:1755") !=
          std::string::npos);
}

TEST_CASE("a retry that succeeds is reported as a retry", "[judge]") {
    auto story = mms_tcp();
    story.fail("f", "control", "player", "media", 1755, Story::timeout());
    mms_tcp_session(story, "f");
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::pass);
    REQUIRE(flow.retries.size() == 1);
    CHECK(flow.retries[0] == "control: connected at attempt 2 after: timeout within 3000 ms");
}
