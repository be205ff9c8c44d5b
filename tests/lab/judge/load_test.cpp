// A load: what its players came to together, and whether firewall or machine was the limit.
#include <functional>

#include "lab/judge/judge.hpp"
#include "tests/catch.hpp"
#include "tests/lab/judge/journal_builder.hpp"

using namespace wmlab;
using namespace wmlab::lab;

namespace {

constexpr unsigned crowd_size = 5;

Fields load_second_of(double busy, double late, Fields heard = {}) {
    heard["load"] = "crowd";
    return {{"seconds", 1.0}, {"late", late}, {"cpu", 0.4}, {"busy", busy}, {"processors", 2}, {"loads", boost::json::array{std::move(heard)}}};
}

struct Machine {
    double busy = 0.3, late = 5;
};

// `stopped`: so many of the players get no answer to their SYN.
std::vector<Event> crowd(const std::string& expect, Machine machine, unsigned stopped, scenario::Scenario& scenario) {
    Story story{"  - { id: crowd, type: mms-tcp, from: player, to: media, load: { players: 5, ramp: 1s, duration: 2s }, expect: " + expect + " }\n"};
    std::vector<std::string> ids;
    for (unsigned n = 1; n <= crowd_size; ++n) ids.push_back("crowd#" + std::to_string(n));
    mms_processes(story, ids);
    for (unsigned n = 0; n < crowd_size - stopped; ++n) mms_tcp_session(story, ids[n]);
    story.add("player", What::load_second, load_second_of(machine.busy, machine.late, {{"packets", 200}, {"lost", 0}, {"gaps", 1}, {"jitter", 2.5}}));
    story.add("media", What::load_second, load_second_of(0.2, 1));
    for (unsigned n = crowd_size - stopped; n < crowd_size; ++n) {
        story.started("player", ids[n], "mms-tcp", "tcp");
        const auto control = story.fail(ids[n], "control", "player", "media", 1755, Story::timeout());
        story.crosses("player", "media", "tcp", "syn", control.local, control.remote, 3, Fate::lost);
        story.ended("player", ids[n], "failed", "tcp", "no answer");
    }
    scenario = story.scenario();
    return story.events();
}

}  // namespace

TEST_CASE("the players of a load are added up", "[judge]") {
    scenario::Scenario scenario;
    auto events = crowd("pass", {}, 0, scenario);
    unsigned n = 0;
    for (auto& event : events)
        if (event.event == What::media_ended && event.host == "player") {
            event.fields["jitter"] = ++n;
            event.fields["gaps"] = n == 3 ? 2 : 0;
        }
    const auto report = judge(scenario, events);
    REQUIRE(report.flows.size() == crowd_size);
    for (const auto& flow : report.flows) {
        INFO(flow.explanation);
        CHECK(flow.verdict == Verdict::pass);
        CHECK(flow.load == "crowd");
        CHECK(flow.setup.value_or(0) > 0);
    }
    REQUIRE(report.loads.size() == 1);
    const auto& load = report.loads[0];
    CHECK(load.load == "crowd");
    CHECK(load.players == crowd_size);
    CHECK(load.set_up == crowd_size);
    CHECK(load.worked == crowd_size);
    CHECK(load.ramp == 1);
    CHECK(load.duration == 2);
    REQUIRE(load.setup);
    CHECK(load.setup->p50 <= load.setup->p95);
    CHECK(load.setup->p95 <= load.setup->p99);
    CHECK(load.setup_p95 == load.setup->p95);
    REQUIRE(load.jitter);
    CHECK(load.jitter->p50 == 3);
    CHECK(load.jitter->p95 == 5);
    CHECK(load.packets == crowd_size * 40);
    CHECK(load.lost == 0);
    CHECK(load.gaps == 2);
    CHECK(load.gaps_per_second > 0);
    REQUIRE(load.seconds.size() == 1);  // the server's says nothing of media
    CHECK(load.seconds[0].set_up == crowd_size);
    CHECK(load.seconds[0].packets == 200);
    CHECK(load.seconds[0].gaps == 1);
    CHECK(load.seconds[0].jitter == 2.5);
    CHECK(load.busy == 0.3);
    CHECK(load.late == 5.0);
}

TEST_CASE("what was the limit of a load: the firewall if it kept packets, else a machine without time to spare", "[judge]") {
    struct Row {
        std::string what, expect;
        Machine machine;
        unsigned stopped;
        std::function<void(Event&)> change;  // of what the ends say of the media
        LoadResult::Limit limit;
        Verdict verdict;  // of the last player
        unsigned as_expected, inconclusive;
    };
    using enum LoadResult::Limit;
    const auto same = [](Event&) {};
    const auto gap = [](Event& event) {
        if (event.host == "player") event.fields["gaps"] = 1;
    };
    const auto skipped = [](Event& event) {
        if (event.host == "media") event.fields["skipped"] = 7;
    };
    const auto unsent = [](Event& event) {
        if (event.host == "media") event.fields["unsent"] = 1;
    };
    const std::string late = "{ verdict: pass, setup_p95: \"<1ms\" }", in_time = "{ verdict: pass, setup_p95: \"<10s\", loss: \"<1%\" }";
    const Machine idle, busy{1.0, 5}, slow{0.3, 400};
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing falls short", in_time, idle, 0, same, none, Verdict::pass, 5, 0},
        {"nothing falls short on a busy machine", in_time, busy, 0, same, none, Verdict::pass, 5, 0},
        {"gaps, and the machine idle", "pass", idle, 0, gap, none, Verdict::pass, 5, 0},
        {"gaps, and the machine busy", "pass", busy, 0, gap, machine, Verdict::pass, 5, 0},
        {"gaps, and an event loop that was late", "pass", slow, 0, gap, machine, Verdict::pass, 5, 0},
        {"the server skipped packets", "pass", idle, 0, skipped, machine, Verdict::pass, 5, 0},
        {"the server's kernel took a datagram not", "pass", idle, 0, unsent, machine, Verdict::pass, 5, 0},
        {"too slow to set up, and nobody knows why", late, idle, 0, same, none, Verdict::pass, 0, 0},
        {"too slow to set up on a busy machine says nothing of the firewall", late, busy, 0, same, machine, Verdict::inconclusive, 0, 5},
        {"one is stopped", in_time, idle, 1, same, firewall, Verdict::blocked, 0, 0},
        {"one is stopped, whatever the machine does", "pass", busy, 1, same, firewall, Verdict::blocked, 4, 0},
        {"all are stopped", "blocked", idle, 5, same, firewall, Verdict::blocked, 5, 0},
    }));
    INFO(row.what);
    scenario::Scenario scenario;
    auto events = crowd(row.expect, row.machine, row.stopped, scenario);
    for (auto& event : events)
        if (event.event == What::media_ended) row.change(event);
    const auto report = judge(scenario, events);
    REQUIRE(report.loads.size() == 1);
    CHECK(report.loads[0].limit == row.limit);
    CHECK(report.loads[0].set_up == crowd_size - row.stopped);
    CHECK(report.loads[0].setup_p95.has_value() == (row.stopped == 0));
    CHECK(report.flows.back().verdict == row.verdict);
    if (row.verdict == Verdict::inconclusive) CHECK(report.flows.back().reason == Reason::overloaded);
    CHECK(report.summary.as_expected == row.as_expected);
    CHECK(report.summary.inconclusive == row.inconclusive);
}

TEST_CASE("the control of a load is the whole load", "[judge]") {
    scenario::Scenario scenario;
    const auto events = crowd("pass", {}, 1, scenario);
    CHECK(needs_control(judge(scenario, events)).size() == crowd_size);
}

TEST_CASE("what a journal says of a load may be anything", "[judge]") {
    scenario::Scenario scenario;
    const auto events = crowd("pass", {}, 0, scenario);
    for (const auto& value : {boost::json::value(nullptr), boost::json::value("x"), boost::json::value(-1e300), boost::json::value(1e300),
                              boost::json::value(boost::json::array{1, boost::json::object{}})})
        for (const auto* key : {"seconds", "late", "busy", "loads", "packets", "gaps", "jitter", "load"}) {
            auto damaged = events;
            for (auto& event : damaged) {
                if (event.event != What::load_second) continue;
                if (event.fields.contains(key))
                    event.fields[key] = value;
                else
                    event.fields["loads"].as_array()[0].as_object()[key] = value;
            }
            const auto report = judge(scenario, damaged);
            REQUIRE(report.loads.size() == 1);
            CHECK(report.loads[0].worked == crowd_size);
        }
}
