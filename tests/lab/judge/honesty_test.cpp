// A verdict needs proof: what is missing, dead, unbound or unproven never becomes `blocked` or `pass`.
#include <algorithm>
#include <functional>
#include <random>

#include "common/evidence/journal.hpp"
#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

void dropped_control(Story& story, const std::string& flow) {
    const auto c = story.fail(flow, "control", "player", "media", 1755, Story::timeout());
    story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 4, Fate::lost);
    story.ended("player", flow, "failed", "tcp", "no connection");
}

FlowResult only(const Report& report) {
    REQUIRE(report.flows.size() == 1);
    return report.flows[0];
}

FlowResult judged(const Story& story) { return only(judge(story.scenario(), story.events())); }

std::vector<std::pair<std::string, Story>> stories() {
    std::vector<std::pair<std::string, Story>> all;
    const auto add = [&](const std::string& name, const std::string& type, const std::function<void(Story&)>& tell) {
        Story story{mms_flow("f", type)};
        mms_processes(story, {"f"});
        tell(story);
        all.emplace_back(name, std::move(story));
    };
    add("mms-tcp passes", "mms-tcp", [](Story& story) { mms_tcp_session(story, "f"); });
    add("mms-udp passes", "mms-udp", [](Story& story) { mms_udp_session(story, "f"); });
    add("mms-tcp, SYN dropped", "mms-tcp", [](Story& story) { dropped_control(story, "f"); });
    add("mms-tcp, SYN-ACK dropped", "mms-tcp", [](Story& story) {
        const auto c = story.fail("f", "control", "player", "media", 1755, Story::timeout());
        story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 4);
        story.crosses("media", "player", "tcp", "syn-ack", c.remote, c.local, 4, Fate::lost);
        story.ended("player", "f", "failed", "tcp");
    });
    add("mms-tcp, reset by the firewall", "mms-tcp", [](Story& story) {
        const auto c = story.fail("f", "control", "player", "media", 1755, Story::refused());
        story.crosses("player", "media", "tcp", "syn", c.local, c.remote, 1, Fate::lost);
        story.tcp_wire("player", "in", "rst", c.remote, c.local, 1, 64);
        story.ended("player", "f", "failed", "tcp");
    });
    add("mms-udp, resend blocked", "mms-udp",
        [](Story& story) { mms_udp_session(story, "f", {.resend = Fate::lost}); });
    add("mms-udp, media dropped", "mms-udp", [](Story& story) {
        std::set<unsigned> none;
        for (unsigned n = 0; n < 40; ++n) none.insert(n);
        mms_udp_session(story, "f", {.missing = none, .outcome = "failed"});
    });
    add("mms-udp, half lost", "mms-udp", [](Story& story) {
        std::set<unsigned> half;
        for (unsigned n = 1; n < 39; n += 2) half.insert(n);
        mms_udp_session(story, "f", {.missing = half});
    });
    add("mms-tcp, the server says no", "mms-tcp", [](Story& story) {
        const auto c = story.connect("f", "control", "player", "media", 1755);
        story.talk(c);
        story.on("media", "f", "control", What::closed,
                 {{"by", "self"}, {"reason", "not found"}, {"connection", c.number}});
        story.on("player", "f", "control", What::closed, {{"by", "peer"}}).local = c.local;
        story.ended("player", "f", "failed", "tcp", "not found", {{"hr", "0xC00D001A"}});
    });
    add("mms-tcp, starved", "mms-tcp", [](Story& story) {
        const auto c = story.connect("f", "control", "player", "media", 1755);
        story.talk(c, 2);
        story.talk(c, 1, Fate::arrives, Fate::lost);
        story.on("player", "f", "control", What::closed, {{"by", "error"}, {"failure", Story::timeout()}}).local =
            c.local;
        story.on("media", "f", "control", What::closed, {{"by", "peer"}, {"connection", c.number}});
        story.ended("player", "f", "failed", "tcp");
    });
    add("the server does not listen", "mms-tcp", [](Story& story) {
        Story bare{mms_flow("f", "mms-tcp")};
        bare.process("media", "server_sim", {"f"});
        bare.process("player", "client_sim", {"f"});
        const auto c = bare.fail("f", "control", "player", "media", 1755, Story::refused());
        bare.crosses("player", "media", "tcp", "syn", c.local, c.remote, 1);
        bare.crosses("media", "player", "tcp", "rst", c.remote, c.local, 1);
        bare.ended("player", "f", "failed", "tcp");
        story = bare;
    });
    return all;
}

}  // namespace

TEST_CASE("the order of the lines changes nothing", "[judge]") {
    std::mt19937 random{7};
    for (const auto& [name, story] : stories()) {
        DYNAMIC_SECTION(name) {
            auto events = story.events();
            const auto before = only(judge(story.scenario(), events));
            for (int round = 0; round < 20; ++round) {
                std::ranges::shuffle(events, random);
                const auto after = only(judge(story.scenario(), events));
                CHECK(after.verdict == before.verdict);
                CHECK(after.explanation == before.explanation);
            }
        }
    }
}

TEST_CASE("a missing line weakens a verdict or leaves it, and never makes another", "[judge]") {
    for (const auto& [name, story] : stories()) {
        DYNAMIC_SECTION(name) {
            const auto whole = story.events();
            const auto before = only(judge(story.scenario(), whole));
            for (std::size_t gone = 0; gone < whole.size(); ++gone) {
                auto events = whole;
                events.erase(events.begin() + static_cast<std::ptrdiff_t>(gone));
                const auto after = only(judge(story.scenario(), events));
                INFO("without " << evidence::to_line(whole[gone]));
                INFO(after.explanation);
                const bool same = after.verdict == before.verdict && after.cause == before.cause;
                CHECK((same || after.verdict == Verdict::inconclusive));
                // A direction may become unknown, but not another one.
                if (same) CHECK((after.direction == before.direction || after.direction.empty()));
            }
        }
    }
}

TEST_CASE("the same without counted lines, as other writers may leave them", "[judge]") {
    for (const auto& [name, story] : stories()) {
        DYNAMIC_SECTION(name) {
            auto whole = story.events();
            for (auto& event : whole) event.fields.erase("lines");
            const auto before = only(judge(story.scenario(), whole));
            for (std::size_t gone = 0; gone < whole.size(); ++gone) {
                auto events = whole;
                events.erase(events.begin() + static_cast<std::ptrdiff_t>(gone));
                const auto after = only(judge(story.scenario(), events));
                INFO("without " << evidence::to_line(whole[gone]));
                INFO(after.explanation);
                // Nothing that did not pass may pass; nothing that passed may be blocked.
                if (before.verdict == Verdict::pass) CHECK(after.verdict != Verdict::blocked);
                if (before.verdict == Verdict::blocked || before.verdict == Verdict::failed) {
                    CHECK(after.verdict != Verdict::pass);
                }
                if (before.verdict == Verdict::inconclusive) CHECK(after.verdict == Verdict::inconclusive);
            }
        }
    }
}

TEST_CASE("journals that cannot carry a verdict", "[judge]") {
    struct Row {
        std::string name;
        std::function<void(std::vector<Event>&)> spoil;
        Reason reason;
    };
    const auto of = [](const std::string& host) { return [host](const Event& event) { return event.host == host; }; };
    const std::vector<Row> rows{
        {"no journal of the server",
         [&](auto& events) {
             std::erase_if(events, [&](const Event& e) { return of("media")(e) && e.process == "server_sim"; });
         },
         Reason::no_journal},
        {"no journal of the player",
         [&](auto& events) {
             std::erase_if(events, [&](const Event& e) { return of("player")(e) && e.process == "client_sim"; });
         },
         Reason::no_journal},
        {"the server's journal breaks off",
         [&](auto& events) {
             std::erase_if(events, [&](const Event& e) { return of("media")(e) && e.event == What::stopped; });
         },
         Reason::journal_incomplete},
        {"the server was never ready",
         [&](auto& events) {
             std::erase_if(events, [&](const Event& e) { return of("media")(e) && e.event == What::ready; });
         },
         Reason::not_ready},
        {"a line of the server is missing",
         [&](auto& events) {
             std::erase_if(events, [&](const Event& e) {
                 return of("media")(e) && e.event == What::listening && e.leg == "resend";
             });
         },
         Reason::journal_incomplete},
    };
    for (const auto& row : rows) {
        DYNAMIC_SECTION(row.name) {
            Story story{mms_flow("f", "mms-tcp")};
            mms_processes(story, {"f"});
            dropped_control(story, "f");
            auto events = story.events();
            row.spoil(events);
            const auto flow = only(judge(story.scenario(), events));
            INFO(flow.explanation);
            CHECK(flow.verdict == Verdict::inconclusive);
            CHECK(flow.reason == row.reason);
        }
    }
}

TEST_CASE("a killed simulator makes its host's flows inconclusive and leaves the others", "[judge]") {
    const auto host = GENERATE(as<std::string>{}, "media", "player");
    DYNAMIC_SECTION(host) {
        Story story{mms_flow("f", "mms-tcp") + "  - { id: other, type: mms-tcp, from: edge, to: studio }\n"};
        mms_processes(story, {"f"});
        story.process("studio", "server_sim", {"other"});
        story.listening("studio", "tcp", 1755, "control");
        story.process("edge", "client_sim", {"other"});
        dropped_control(story, "f");
        story.kill(host);
        const auto c = story.connect("other", "control", "edge", "studio", 1755);
        story.talk(c);
        story.media({"other", "studio", "edge", c.remote, c.local, "control"});
        story.ended("edge", "other", "worked", "tcp");
        const auto report = judge(story.scenario(), story.events());
        CHECK(report.flows[0].verdict == Verdict::inconclusive);
        CHECK(report.flows[0].reason == Reason::process_died);
        CHECK(report.flows[0].explanation.find("ended by signal 9") != std::string::npos);
        CHECK(report.flows[1].verdict == Verdict::pass);
        CHECK(exit_code(report) == 4);
    }
}

TEST_CASE("what was proven before a process died stays proven", "[judge]") {
    Story story{mms_flow("f", "mms-tcp")};
    mms_processes(story, {"f"});
    mms_tcp_session(story, "f");
    story.kill("media");
    CHECK(judged(story).verdict == Verdict::pass);
}

TEST_CASE("several waves: each flow by the processes of its own wave", "[judge]") {
    Story story{mms_flow("f", "mms-tcp") + mms_flow("g", "mms-tcp")};
    mms_processes(story, {"f"});
    dropped_control(story, "f");
    auto events = story.events();
    Story second{mms_flow("f", "mms-tcp") + mms_flow("g", "mms-tcp")};
    second.skip_ports(100);
    mms_processes(second, {"g"});
    mms_tcp_session(second, "g");
    for (auto event : second.events()) {
        if (event.event == What::stopped && event.host == "player") continue;  // this wave's player was lost
        event.monotonic += std::chrono::seconds{100};
        events.push_back(std::move(event));
    }
    const auto report = judge(story.scenario(), events);
    INFO(report.flows[0].explanation);
    CHECK(report.flows[0].verdict == Verdict::blocked);
    CHECK(report.flows[1].verdict == Verdict::pass);
}

TEST_CASE("the positive control", "[judge]") {
    Story story{mms_flow("f", "mms-tcp")};
    mms_processes(story, {"f"});
    dropped_control(story, "f");
    JudgeOptions options;
    options.control_run = true;
    SECTION("blocked stands when the flow passes with the firewall open") {
        Story open{mms_flow("f", "mms-tcp")};
        mms_processes(open, {"f"});
        mms_tcp_session(open, "f");
        CHECK(only(judge(story.scenario(), story.events(), open.events(), options)).verdict == Verdict::blocked);
    }
    SECTION("blocked is inconclusive when it does not work there either") {
        const auto flow = only(judge(story.scenario(), story.events(), story.events(), options));
        CHECK(flow.verdict == Verdict::inconclusive);
        CHECK(flow.reason == Reason::control_failed);
    }
    SECTION("blocked is inconclusive when it was not run there") {
        const auto flow = only(judge(story.scenario(), story.events(), {}, options));
        CHECK(flow.verdict == Verdict::inconclusive);
        CHECK(flow.reason == Reason::control_missing);
    }
    SECTION("without a control run the listener and living processes are the control") {
        const auto report = judge(story.scenario(), story.events());
        CHECK(only(report).verdict == Verdict::blocked);
        CHECK(needs_control(report) == std::vector<std::string>{"f"});
    }
}

TEST_CASE("expected and actual, and the exit code", "[judge]") {
    struct Row {
        std::string name, expect;
        bool passes;  // the session goes well
        bool as_expected;
        int code;
    };
    const auto row = GENERATE(values<Row>({
        {"pass by default", "", true, true, 0},
        {"blocked where pass is expected", "", false, false, 1},
        {"blocked as expected", ", expect: blocked", false, true, 0},
        {"blocked as expected in every point", ", expect: { verdict: blocked, leg: control, cause: dropped }", false,
         true, 0},
        {"blocked by another cause", ", expect: { verdict: blocked, cause: reset }", false, false, 1},
        {"pass where blocked is expected", ", expect: blocked", true, false, 1},
        {"the transport is as expected", ", expect: { verdict: pass, transport: tcp }", true, true, 0},
    }));
    DYNAMIC_SECTION(row.name) {
        Story story{"  - { id: f, type: mms-tcp, from: player, to: media" + row.expect + " }\n"};
        mms_processes(story, {"f"});
        if (row.passes) {
            mms_tcp_session(story, "f");
        } else {
            dropped_control(story, "f");
        }
        const auto report = judge(story.scenario(), story.events());
        INFO(report.flows[0].explanation);
        CHECK(report.flows[0].as_expected == row.as_expected);
        CHECK(exit_code(report) == row.code);
    }
}

TEST_CASE("a run in which no flow was tested is never 0", "[judge]") {
    CHECK(exit_code(Report{}) == 4);
    CHECK(exit_code(Report{}, false) == 1);  // not written is worse than undecided
    const Story story{"  - { id: f, type: mms-tcp, from: player, to: media, expect: inconclusive }\n"};
    const auto report = judge(story.scenario(), {});
    CHECK(report.flows[0].as_expected);
    CHECK(exit_code(report) == 4);
}

TEST_CASE("journals with problems carry no blocked verdict", "[judge]") {
    Story story{mms_flow("f", "mms-tcp")};
    mms_processes(story, {"f"});
    dropped_control(story, "f");
    JudgeOptions options;
    options.problems = {"player.jsonl:17: not a JSON object"};
    const auto flow = only(judge(story.scenario(), story.events(), {}, options));
    CHECK(flow.verdict == Verdict::inconclusive);
    CHECK(flow.reason == Reason::journal_incomplete);
}

namespace {

// Puts `hostile` in the place of the nth number of the fields, wherever it stands; false: there are fewer.
bool replace_number(boost::json::value& value, std::size_t& nth, const boost::json::value& hostile) {
    if (value.is_number()) {
        if (nth-- > 0) return false;
        value = hostile;
        return true;
    }
    if (auto* list = value.if_array())
        for (auto& item : *list)
            if (replace_number(item, nth, hostile)) return true;
    if (auto* object = value.if_object())
        for (auto& [key, item] : *object)
            if (replace_number(item, nth, hostile)) return true;
    return false;
}

}  // namespace

TEST_CASE("numbers of the wrong kind in a journal end no report and prove nothing", "[judge]") {
    const boost::json::value hostile[] = {-1, 1.5, -0.5, 1e300, std::int64_t{1} << 62, UINT64_MAX, INT64_MIN};
    for (const auto& [name, story] : stories()) {
        const auto honest = judged(story).verdict;
        const auto events = story.events();
        for (std::size_t line = 0; line < events.size(); ++line) {
            for (const auto& number : hostile) {
                // All numbers of a line at once, and the first of them alone.
                for (const bool all : {true, false}) {
                    auto changed = events;
                    boost::json::value fields = changed[line].fields;
                    for (std::size_t at = 0; at < (all ? 200 : 1); ++at) {
                        auto nth = at;
                        if (!replace_number(fields, nth, number)) break;
                    }
                    changed[line].fields = fields.as_object();
                    INFO(name << ", " << evidence::to_line(changed[line]));
                    const auto report = judge(story.scenario(), changed);
                    REQUIRE(report.flows.size() == 1);
                    const auto verdict = report.flows.front().verdict;
                    CHECK((honest == Verdict::pass || honest == Verdict::degraded || verdict != Verdict::pass));
                }
            }
        }
    }
}

TEST_CASE("a journal of another run is a contradiction, not media that was changed", "[judge]") {
    for (const auto later : {std::chrono::hours{-24}, std::chrono::hours{0}, std::chrono::hours{1}}) {
        Story story{mms_flow("f", "mms-tcp")};
        mms_processes(story, {"f"});
        mms_tcp_session(story, "f");
        auto events = story.events();
        for (auto& event : events) {
            if (event.host != "player") continue;
            event.utc += later;
            if (auto* list = event.fields.if_contains("digests"))
                for (auto& entry : list->as_array()) entry.as_array()[1] = 7;  // checksums of another stream
        }
        const auto flow = only(judge(story.scenario(), events));
        INFO(later.count() << " h: " << flow.explanation);
        if (later.count() == 0) {
            CHECK(flow.cause == Cause::modified);
        } else {
            CHECK(flow.verdict == Verdict::inconclusive);
            CHECK(flow.reason == Reason::contradiction);
        }
    }
}
