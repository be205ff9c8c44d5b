// The UDP legs of a unicast session: media to the player, and the player's request for packets again.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <functional>
#include <numeric>

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

std::set<unsigned> packets(unsigned first, unsigned last) {
    std::set<unsigned> numbers;
    for (auto n = first; n <= last; ++n) numbers.insert(n);
    return numbers;
}

Story mms_udp(const std::string& more = "") {
    Story story{"  - { id: f, type: mms-udp, from: player, to: media" + more + " }\n"};
    mms_processes(story, {"f"});
    return story;
}

const std::string source = "10.10.0.10:1755", sink = "10.20.0.10:1217";

}  // namespace

TEST_CASE("unicast over UDP that works", "[judge]") {
    auto story = mms_udp();
    mms_udp_session(story, "f");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::pass);
    CHECK(flow.transport == "udp");
    REQUIRE(flow.legs.size() == 3);
    for (const auto& leg : flow.legs) CHECK(leg.verdict == Verdict::pass);
    CHECK(flow.legs[1].source == source);
    CHECK(flow.legs[1].destination == sink);
}

TEST_CASE("the media leg over UDP: what stopped it", "[judge]") {
    struct Row {
        std::string name;
        std::function<void(Story&)> more;
        Verdict verdict;
        std::optional<Cause> cause;
        std::string direction, says;
    };
    const auto icmp = [](Story& story, const std::string& sender, unsigned code, bool by_player) {
        auto& event =
            story.on("media", "f", "media", What::connect_failed, {{"failure", Story::unreachable(code, sender)}});
        event.local = source;
        event.remote = sink;
        story.wire("media", "in", "icmp", "icmp", source, sink, 1, {{"type", 3}, {"code", code}, {"sender", sender}});
        if (by_player) {
            story.wire("player", "out", "icmp", "icmp", source, sink, 1,
                       {{"type", 3}, {"code", code}, {"sender", sender}});
        }
    };
    std::vector<Row> rows{
        {"dropped", [](Story&) {}, Verdict::blocked, Cause::dropped, "to->from",
         "UDP from media:1755 to player:1217 was sent 40 times and never arrived: nothing of it reached player's interface."},
        {"refused by the player's own host", [&](Story& story) { icmp(story, "10.20.0.10", 3, true); }, Verdict::failed,
         Cause::refused, "to->from", "refused by player itself with ICMP 3/3"},
        {"rejected in the player's name", [&](Story& story) { icmp(story, "10.20.0.10", 3, false); }, Verdict::blocked,
         Cause::rejected, "to->from", "in the name of player"},
        {"on the player's wire, but not in its program",
         [](Story& story) { story.wire("player", "in", "udp", "udp", source, sink, 40); }, Verdict::inconclusive,
         std::nullopt, "", "whose program did not see it"},
    };
    for (const unsigned code : {0U, 1U, 2U, 3U, 9U, 10U, 13U}) {
        rows.push_back({"rejected by the firewall with code " + std::to_string(code),
                        [&icmp, code](Story& story) { icmp(story, "10.10.0.1", code, false); }, Verdict::blocked,
                        Cause::rejected, "to->from",
                        "rejected by the firewall (inside) (10.10.0.1) with ICMP 3/" + std::to_string(code)});
    }
    for (const auto& row : rows) {
        DYNAMIC_SECTION(row.name) {
            auto story = mms_udp();
            mms_udp_session(story, "f", {.missing = packets(0, 39), .outcome = "failed"});
            row.more(story);
            const auto flow = judged(story);
            INFO(flow.explanation);
            CHECK(text(flow.verdict) == text(row.verdict));
            CHECK(flow.leg == "media");
            CHECK(flow.cause == row.cause);
            CHECK(flow.direction == row.direction);
            CHECK(flow.explanation.find(row.says) != std::string::npos);
            CHECK(flow.legs[0].verdict == Verdict::pass);
            if (row.verdict == Verdict::blocked) CHECK(flow.media->loss == 1.0);
        }
    }
}

TEST_CASE("media that is never sent because the header does not arrive is dropped all the same", "[judge]") {
    auto story = mms_udp();
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = sink;
    story.talk(control);
    auto& sent = story.on("media", "f", "media", What::sent, {{"message", "Data"}, {"bytes", 900}});
    sent.local = source;
    sent.remote = sink;
    story.wire("media", "out", "udp", "udp", source, sink, 5);
    story.on("player", "f", "media", What::media_silent, {{"waited", 1200}, {"attempt", 5}});
    story.close(control);
    story.ended("player", "f", "failed", "udp", "no header arrived");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.leg == "media");
    CHECK(flow.cause == Cause::dropped);
    CHECK(flow.explanation.find("was sent 5 times") != std::string::npos);
}

TEST_CASE("media over UDP that begins and then stops is starved", "[judge]") {
    auto story = mms_udp();
    mms_udp_session(story, "f", {.missing = packets(15, 39), .longest_gap = 2000, .outcome = "failed"});
    story.on("player", "f", "media", What::media_silent, {{"waited", 2000}});
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.cause == Cause::starved);
    CHECK(flow.direction == "to->from");
    CHECK(flow.explanation.find("40 packets of media sent, 15 received") != std::string::npos);
}

TEST_CASE("loss above max_loss degrades, loss below does not", "[judge]") {
    struct Row {
        std::string name, option;
        std::set<unsigned> missing;
        double gap;
        Verdict verdict;
        std::optional<Cause> cause;
    };
    const auto row = GENERATE(values<Row>({
        {"one packet of 40, none allowed", "", {5}, 60, Verdict::degraded, Cause::dropped},
        {"one packet of 40, 5 % allowed", ", max_loss: 0.05", {5}, 60, Verdict::pass, std::nullopt},
        {"a tenth gets through, as a rate limit does", "", packets(4, 39), 900, Verdict::degraded, Cause::starved},
        {"two packets under way at the end", "", {38, 39}, 30, Verdict::pass, std::nullopt},
    }));
    DYNAMIC_SECTION(row.name) {
        auto story = mms_udp(row.option);
        mms_udp_session(story, "f", {.missing = row.missing, .longest_gap = row.gap});
        const auto flow = judged(story);
        INFO(flow.explanation);
        CHECK(text(flow.verdict) == text(row.verdict));
        CHECK(flow.cause == row.cause);
    }
}

TEST_CASE("a blocked resend leg degrades", "[judge]") {
    auto story = mms_udp();
    mms_udp_session(story, "f", {.resend = Fate::lost});
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::degraded);
    CHECK(flow.leg == "resend");
    CHECK(flow.cause == Cause::dropped);
    CHECK(flow.direction == "from->to");
    CHECK_FALSE(flow.as_expected);
}

TEST_CASE("a resend leg that was not used is said and degrades nothing", "[judge]") {
    auto story = mms_udp();
    mms_udp_session(story, "f", {.ask_again = false});
    const auto flow = judged(story);
    CHECK(flow.verdict == Verdict::pass);
    REQUIRE(flow.notes.size() == 1);
    CHECK(flow.notes[0].find("resend: not used") == 0);
}

TEST_CASE("media sent to an address that is not the player's was translated", "[judge]") {
    auto story = mms_udp();
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = sink;
    story.talk(control);
    auto& started = story.on("media", "f", "media", What::media_started);
    started.local = source;
    started.remote = "10.10.0.1:1217";
    story.wire("media", "out", "udp", "udp", source, "10.10.0.1:1217", 5);
    story.close(control);
    story.ended("player", "f", "failed", "udp", "no header arrived");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.leg == "media");
    CHECK(flow.cause == Cause::translated);
    CHECK(flow.explanation.find("10.10.0.1:1217 is the address that media sees for player") != std::string::npos);
}

TEST_CASE("a control connection that breaks before media can flow is the control leg's fault", "[judge]") {
    auto story = mms_udp();
    story.started("player", "f", "mms-udp", "udp");
    const auto control = story.connect("f", "control", "player", "media", 1755);
    story.on("player", "f", "media", What::announced, {{"protocol", "udp"}}).local = sink;
    story.talk(control, 2);
    story.talk(control, 1, Fate::lost);
    story.on("player", "f", "control", What::closed, {{"by", "error"}, {"failure", Story::timeout()}});
    story.on("media", "f", "control", What::closed,
             {{"by", "error"}, {"failure", Story::timeout()}, {"connection", control.number}});
    story.ended("player", "f", "failed", "udp", "no answer");
    const auto flow = judged(story);
    INFO(flow.explanation);
    CHECK(flow.verdict == Verdict::blocked);
    CHECK(flow.leg == "control");
    CHECK(flow.cause == Cause::starved);
    CHECK(flow.direction == "from->to");
}

TEST_CASE("media that came to the player's wire and not to its program is no loss of the firewall's", "[judge]") {
    const auto lost = packets(10, 19);
    struct Row {
        std::string name;
        bool on_the_wire;
        Verdict verdict;
        std::optional<Reason> reason;
    };
    const auto row = GENERATE(values<Row>({
        {"the firewall lost it", false, Verdict::degraded, std::nullopt},
        {"its program could not take it", true, Verdict::inconclusive, Reason::overloaded},
    }));
    INFO(row.name);
    auto story = mms_udp();
    mms_udp_session(story, "f", {.missing = lost});
    auto events = story.events();
    for (auto& event : events) {
        if (event.event != What::wire || !event.fields.contains("protocol")) continue;
        auto& fields = event.fields;
        auto packets = fields.at("packets").to_number<unsigned>();
        const auto source_of = [&](const char* key) { return std::string{fields.at(key).as_string()}; };
        const bool media = source_of("source") == source && source_of("destination") == sink;
        const bool misses = media && event.host == "player" && !row.on_the_wire;
        if (media) packets = 40;  // left; those that came are told one by one
        std::string each;
        for (unsigned n = 0; n < packets; ++n) {
            if (misses && lost.contains(n)) continue;
            const auto hash = std::hash<std::string>{}(source_of("protocol") + source_of("kind") + source_of("source") + source_of("destination"));
            each += (each.empty() ? "" : " ") +
                    fmt::format("{:x}:{:x}:64:{:x}@{}", hash % 0xff00 + n, source_of("protocol") == "udp" ? 0 : n, hash % 0xffffffff, n);
        }
        fields["packets"] = std::ranges::count(each, ' ') + 1;
        fields["each"] = each;
        fields["first"] = 1000;
    }
    for (auto& event : events) {  // the totals
        if (event.event != What::wire || event.fields.contains("protocol")) continue;
        std::uint64_t total = 0;
        for (const auto& other : events)
            if (other.event == What::wire && other.host == event.host && other.fields.contains("protocol"))
                total += other.fields.at("packets").to_number<std::uint64_t>();
        event.fields["packets"] = total;
    }
    const auto report = judge(story.scenario(), events);
    REQUIRE(report.flows.size() == 1);
    const auto& flow = report.flows[0];
    INFO(flow.explanation);
    REQUIRE(flow.legs[1].ledger);
    CHECK(flow.legs[1].ledger->complete);
    CHECK(flow.verdict == row.verdict);
    CHECK(flow.reason == row.reason);
    CHECK(flow.leg == "media");
    CHECK((flow.cause == Cause::dropped) == !row.on_the_wire);
}
