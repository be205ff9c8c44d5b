// Multicast: what stopped it, the join, the routing, the filter, the time to live, or nothing but loss.
#include <functional>

#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

constexpr const char* sender = "10.10.0.10:40500";

struct Groups {
    std::string group = "239.1.2.3", more = {};  // `more` options of the flow
    std::string sink() const { return group + ":8080"; }
};

Story multicast_story(const Groups& with = {}) {
    Story story{"  - { id: f, type: multicast, from: media, to: player, group: " + with.group + ", port: 8080" +
                with.more + " }\n"};
    story.process("media", "server_sim", {"f"});
    story.process("player", "client_sim", {"f"});
    story.watch("firewall");
    return story;
}

void has_routes(Story& story, const std::string& group = "239.1.2.3") {
    boost::json::array routes;
    if (!group.empty())
        routes.push_back(Fields{{"source", "10.10.0.10"}, {"group", group}, {"to", boost::json::array{"outside"}}});
    story.lab({{"kind", "built-in"}, {"routes", routes}});
}

Fields joins(const std::string& group, Fields more = {}) {
    more["joins"] = boost::json::array{group};
    return more;
}

void player_joins(Story& story, const Groups& with = {}) {
    story.on("player", "f", "join", What::announced, {{"protocol", "igmp"}}).local = with.sink();
    story.wire("player", "out", "igmp", "igmp", "10.20.0.10", "224.0.0.22", 2, joins(with.group));
}

void report_arrives(Story& story, const Groups& with = {}) {
    story.wire("firewall", "in", "igmp", "igmp", "10.20.0.10", "224.0.0.22", 2,
               joins(with.group, {{"zone", "outside"}}));
}

void firewall_hears(Story& story, const Groups& with = {}) {
    auto& event =
        story.add("lab", What::group_joined, {{"zone", "outside"}, {"group", with.group}, {"reporter", "10.20.0.10"}});
    event.process = "wmlab";
}

void stream_arrives(Story& story, unsigned ttl = 5, const Groups& with = {}) {
    story.wire("media", "out", "udp", "udp", sender, with.sink(), 40, {{"ttl", ttl}});
    story.wire("firewall", "in", "udp", "udp", sender, with.sink(), 40, {{"zone", "inside"}, {"ttl", ttl}});
}

Report report_of(Story& story, const std::set<unsigned>& missing, const Groups& with = {}) {
    story.media({"f", "media", "player", sender, with.sink(), "media", 40, missing});
    story.ended("player", "f", missing.size() >= 40 ? "failed" : "worked", "udp", "");
    return judge(story.scenario(), story.events());
}

std::set<unsigned> first(unsigned count) {
    std::set<unsigned> numbers;
    for (unsigned n = 0; n < count; ++n) numbers.insert(n);
    return numbers;
}

}  // namespace

TEST_CASE("multicast that does not arrive: join, routing, filter and time to live told apart", "[judge]") {
    struct Row {
        std::string name;
        Groups with;
        std::function<void(Story&, const Groups&)> happens;
        Verdict verdict;
        std::string leg, says;
        bool certain;  // needs no run with the firewall open
    };
    const std::vector<Row> rows{
        {"the report never reaches the firewall",
         {},
         [](Story& story, const Groups&) {
             has_routes(story);
             player_joins(story);
             // another group of the same player's is heard
             story.wire("firewall", "in", "igmp", "igmp", "10.20.0.10", "224.0.0.22", 2,
                        joins("239.9.9.9", {{"zone", "outside"}}));
             stream_arrives(story);
         },
         Verdict::blocked,
         "join",
         "The IGMP report of player for 239.1.2.3 was sent twice and never reached the firewall: look at the switches of zone outside.",
         true},
        {"the report is dropped by the ruleset",
         {},
         [](Story& story, const Groups&) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             stream_arrives(story);
         },
         Verdict::blocked,
         "join",
         "reached the firewall's interface twice and was dropped by its ruleset",
         false},
        {"no route",
         {},
         [](Story& story, const Groups&) {
             has_routes(story, "");
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
             stream_arrives(story);
         },
         Verdict::blocked,
         "media",
         "reached the firewall 40 times, which has no multicast route for it into zone outside.",
         true},
        {"a rule drops it",
         {},
         [](Story& story, const Groups&) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
             stream_arrives(story);
         },
         Verdict::blocked,
         "media",
         "reached the firewall 40 times and was not forwarded into zone outside: its ruleset dropped it.",
         false},
        {"the time to live is too small",
         {"239.1.2.3", ", ttl: 1"},
         [](Story& story, const Groups&) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
             stream_arrives(story, 1);
         },
         Verdict::blocked,
         "media",
         "with a time to live (TTL) of 1, which is too small",
         true},
        {"a link-local group, which hosts need not report",
         {"224.0.0.1"},
         [](Story& story, const Groups& with) {
             has_routes(story, "");
             story.on("player", "f", "join", What::announced, {{"protocol", "igmp"}}).local = with.sink();
             stream_arrives(story, 5, with);
         },
         Verdict::blocked,
         "media",
         "the group is link-local (224.0.0.0/24), no router forwards it",
         true},
        {"it leaves the firewall and never arrives",
         {},
         [](Story& story, const Groups& with) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
             stream_arrives(story);
             story.wire("firewall", "out", "udp", "udp", sender, with.sink(), 40, {{"zone", "outside"}, {"ttl", 4}});
         },
         Verdict::blocked,
         "media",
         "left the firewall 40 times into zone outside and never reached player.",
         false},
        {"it never reaches the firewall",
         {},
         [](Story& story, const Groups& with) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
             story.wire("media", "out", "udp", "udp", sender, with.sink(), 40, {{"ttl", 5}});
         },
         Verdict::blocked,
         "media",
         "never reached the firewall.",
         false},
        {"a firewall that is not ours says nothing of its routes",
         {},
         [](Story& story, const Groups&) {
             player_joins(story);
             report_arrives(story);
             stream_arrives(story);
         },
         Verdict::blocked,
         "media",
         "a rule dropped it or there is no route",
         false},
        {"the player never joins",
         {},
         [](Story& story, const Groups&) {
             has_routes(story);
             stream_arrives(story);
         },
         Verdict::inconclusive,
         "join",
         "did not join",
         false},
        {"the player's own host keeps the report",
         {},
         [](Story& story, const Groups& with) {
             has_routes(story);
             story.on("player", "f", "join", What::announced, {{"protocol", "igmp"}}).local = with.sink();
             stream_arrives(story);
         },
         Verdict::inconclusive,
         "join",
         "No IGMP report for 239.1.2.3 left player",
         false},
        {"nothing is sent",
         {},
         [](Story& story, const Groups&) {
             has_routes(story);
             player_joins(story);
             report_arrives(story);
             firewall_hears(story);
         },
         Verdict::inconclusive,
         "media",
         "never left media",
         false},
    };
    for (const auto& row : rows) {
        DYNAMIC_SECTION(row.name) {
            auto story = multicast_story(row.with);
            row.happens(story, row.with);
            const auto report = report_of(story, first(40), row.with);
            REQUIRE(report.flows.size() == 1);
            const auto& flow = report.flows.front();
            INFO(flow.explanation);
            CHECK(text(flow.verdict) == text(row.verdict));
            CHECK(flow.leg == row.leg);
            CHECK(flow.explanation.find(row.says) != std::string::npos);
            if (row.verdict == Verdict::blocked) CHECK(flow.cause == Cause::dropped);
            CHECK(needs_control(report).empty() == (row.certain || row.verdict != Verdict::blocked));
            // What no ruleset changes stands although it does not work with the firewall open either.
            if (row.verdict != Verdict::blocked) return;
            JudgeOptions options;
            options.control_run = true;
            const auto with_control = judge(story.scenario(), story.events(), story.events(), options).flows.at(0);
            CHECK((with_control.verdict == Verdict::blocked) == row.certain);
        }
    }
}

TEST_CASE("multicast that arrives: whole, with loss, with another's report", "[judge]") {
    auto story = multicast_story();
    has_routes(story);
    player_joins(story);
    SECTION("whole, though only another host's report was heard") {
        firewall_hears(story);
        const auto report = report_of(story, {});
        CHECK(report.flows.front().verdict == Verdict::pass);
        for (const auto& leg : report.flows.front().legs) CHECK(leg.verdict == Verdict::pass);
        CHECK(report.flows.front().media->loss == 0);
    }
    SECTION("every fifth packet lost") {
        report_arrives(story);
        firewall_hears(story);
        const auto report = report_of(story, {3, 8, 13, 18, 23, 28, 33, 38});
        const auto& flow = report.flows.front();
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::degraded);
        CHECK(flow.leg == "media");
        CHECK(flow.cause == Cause::dropped);
        CHECK(flow.explanation.find("20.0 % were lost") != std::string::npos);
    }
}

TEST_CASE("one sender for all players: what it says of the flow counts for each of them", "[judge]") {
    Story story{"  - { id: f, type: multicast, from: media, to: [player, edge], group: 239.1.2.3, port: 8080 }\n"};
    story.process("media", "server_sim", {"f[media->player]", "f[media->edge]"});
    story.process("player", "client_sim", {"f[media->player]"});
    story.process("edge", "client_sim", {"f[media->edge]"});
    story.media({"f", "media", "player", sender, "239.1.2.3:8080", "media"});
    auto events = story.events();
    for (auto& event : events)
        if (event.host == "player" && event.flow == "f") event.flow = "f[media->player]";
    const auto report = judge(story.scenario(), events);
    REQUIRE(report.flows.size() == 2);
    CHECK(report.flows[0].verdict == Verdict::pass);
    CHECK(report.flows[1].verdict == Verdict::inconclusive);  // it did not even join
    CHECK(report.flows[1].media->packets_sent == 40);
}
