// A report in which every part is filled, and nasty characters wherever a user's words may come in.
#pragma once
#include <string>

#include "lab/verdict/picture.hpp"

namespace wmlab::lab {

inline Report sample_report() {
    Report report;
    report.scenario = "a <scenario> & \"its\" | name: 100%";
    report.file = "scenarios/sample.yaml";
    report.ruleset = "rules/new.nft";
    report.summary = {4, 2, 1, 1, 3.14};
    report.notes = {"a note about the run"};

    FlowResult good;
    good.id = "unicast-tcp";
    good.type = "mms-tcp";
    good.from = "player";
    good.to = "media";
    good.verdict = Verdict::pass;
    good.as_expected = true;
    good.expected.verdict = Verdict::pass;
    good.transport = "tcp";
    good.explanation = "40 packets of media sent, 40 received; every packet that arrived is as it was sent.";
    good.media = Media{40, 40, 8000, 0.0, 0, 0, 31.5};
    good.retries = {"control: connected at attempt 2 after: timeout within 3000 ms"};
    good.notes = {"control: translated on the way"};
    good.line = 11;
    LegResult control;
    control.name = "control";
    control.protocol = "tcp";
    control.source = "10.20.0.10:40112";
    control.destination = "10.10.0.10:1755";
    control.source_seen = "10.10.0.1:61000";
    control.verdict = Verdict::pass;
    control.milliseconds = 1.25;
    control.rule = RuleRef{"rules/new.nft", 9, "tcp dport 1755 accept", "inet filter forward"};
    good.legs = {control};

    FlowResult bad = good;
    bad.id = "unicast-udp";
    bad.type = "mms-udp";
    bad.verdict = Verdict::blocked;
    bad.as_expected = false;
    bad.leg = "media";
    bad.cause = Cause::rejected;
    bad.direction = "to->from";
    bad.transport = "udp";
    bad.icmp = Icmp{3, 13, "10.10.0.1", "the firewall (inside)"};
    bad.rule = RuleRef{"rules/new.nft", 14, "reject with icmp \"admin-prohibited\" # <no>", "inet filter forward"};
    bad.near_miss = NearMiss{RuleRef{"rules/new.nft", 31, "udp dport 1024-4999 accept", "inet filter forward"},
                             "destination port 5000 is above 4999"};
    bad.suggestions = {{"nft", "ip saddr 10.10.0.10 udp dport 1217 accept", "rules/new.nft", 14}};
    bad.explanation =
        "UDP from media:1755 to player:1217 was sent 41 times, 100% lost:\nsecond line with a | and a <tag>";
    bad.line = 10;
    bad.idle = Idle{Idle::Outcome::died, 300, 4, 75, "media", "nf_conntrack_udp_timeout", 30, "The stream was paused for 300 s <and> died."};
    bad.retries.clear();
    LegResult media = control;
    media.name = "media";
    media.protocol = "udp";
    media.verdict = Verdict::blocked;
    media.cause = Cause::rejected;
    media.direction = "to->from";
    media.icmp = bad.icmp;
    media.rule = bad.rule;
    media.near_miss = bad.near_miss;
    media.explanation = bad.explanation;
    media.evidence = {"media's interface: UDP to player:1217 sent 41 times.", "player's interface: no UDP received."};
    bad.legs = {control, media};
    bad.media = Media{41, 0, 0, 1.0, 0, 0, std::nullopt};

    FlowResult unsure = good;
    unsure.id = "station[media->edge]";
    unsure.type = "multicast";
    unsure.from = "media";
    unsure.to = "edge";
    unsure.verdict = Verdict::inconclusive;
    unsure.as_expected = false;
    unsure.reason = Reason::process_died;
    unsure.leg = "join";
    unsure.explanation = "client_sim on edge ended by signal 9 without having been told to.";
    unsure.media.reset();
    unsure.notes.clear();
    unsure.retries.clear();
    LegResult join;
    join.name = "join";
    join.protocol = "igmp";
    join.source = "10.20.0.12";
    join.destination = "239.1.2.3";
    join.reason = Reason::not_tried;
    join.explanation = "edge did not join 239.1.2.3.";
    unsure.legs = {join};

    FlowResult rollover = good;
    rollover.id = "rollover";
    rollover.type = "mms-auto";
    rollover.expected.transport = "tcp";
    rollover.attempts = {{"udp", Verdict::blocked, "media", "never arrived.", Cause::dropped, std::nullopt, {media}},
                         {"tcp", Verdict::pass, "", "played.", std::nullopt, std::nullopt, {control}}};
    good.seconds = 1.25;
    report.flows = {good, bad, unsure, rollover};
    report.identity = {"2026-11-24T16:31:32Z",
                       "0.1.0",
                       "2df2b4c+",
                       "6.1.0-18-amd64",
                       "1.0.6",
                       "1.8.9 (nf_tables)",
                       "x86_64, virtual machine",
                       "built-in",
                       Hashed{report.file, std::string(64, 'a')},
                       {{report.ruleset, std::string(64, 'b')}},
                       {{"lecture", std::string(64, 'c')}}};
    report.baseline = Comparison{"rules/old.nft",
                                 {{good.id, Change::unchanged, "pass", "pass", true},
                                  {bad.id, Change::broken, "pass", "blocked at media: rejected (to->from)", false},
                                  {unsure.id, Change::unknown, "", "inconclusive at join: process-died", false},
                                  {rollover.id, Change::repaired, "blocked", "pass", true}}};
    Picture picture;
    picture.zones = {{"inside", "10.10.0.0/24", {{"media", "10.10.0.10", false}}},
                     {"outside", "10.20.0.0/24", {{"player", "10.20.0.10", false}, {"edge", "10.20.0.12", true}}}};
    picture.rulesets = {{report.ruleset, std::vector<std::string>(40, "  tcp dport 1755 accept # a & <b>")}};
    Ladder ladder;
    ladder.steps = {{Step::Kind::packets, 0, "player", "media", "SYN to :1755"},
                    {Step::Kind::message, 1.5, "player", "media", "LinkViewerToMacConnect"},
                    {Step::Kind::media, 2.5, "media", "player", "media, udp to :1217", 41, false}};
    ladder.lost = {3, 4, 17};
    ladder.media = 41;
    ladder.longest_gap = 31.5;
    ladder.arrivals = {5, 4, 0, 6, 0, 0, 0, 0, 2, 3};
    ladder.arrivals_each = 40;
    picture.ladders = {{bad.id, ladder}};
    report.picture = std::make_shared<const Picture>(picture);
    ladder.steps.back().arrived = true;
    ladder.lost.clear();
    ladder.arrivals = {10, 11, 10, 10};
    picture.ladders = {{bad.id, ladder}, {good.id, ladder}};
    picture.rulesets.clear();
    report.baseline->picture = std::make_shared<const Picture>(picture);
    LoadResult load;
    load.load = bad.id, load.type = bad.type, load.from = bad.from, load.to = bad.to;
    load.players = 50, load.set_up = 49, load.worked = 30, load.ramp = 1.5, load.duration = 10;
    load.setup = Percentiles{12.5, 80, 950.25}, load.setup_p95 = 81, load.jitter = Percentiles{0.5, 2, 7};
    load.packets = 4000, load.lost = 12, load.gaps = 3, load.loss = 12.0 / 4012, load.gaps_per_second = 0.25;
    load.seconds = {{0, 1, 40, 40, 300, 0, 0, 0.5}, {1.0, 1.001, 9, 49, 400, 12, 3, 7}};
    load.withheld = 40, load.dropped = {{*bad.rule, 38, 19}};
    load.busy = 0.99, load.late = 310.5, load.skipped = 5, load.unsent = 1, load.unread = 1;
    load.limit = LoadResult::Limit::firewall;
    report.loads = {load, load};
    report.loads[1].load = "second", report.loads[1].limit = LoadResult::Limit::machine, report.loads[1].setup.reset(), report.loads[1].setup_p95.reset();
    report.coverage = std::vector<RuleUse>{
        {*control.rule, 12, {good.id, rollover.id}}, {*bad.rule, 41, {}}, {bad.near_miss->rule, 0, {}}};
    return report;
}

// The same, with these words wherever somebody else's words come in.
inline Report attacked_report(const std::string& words) {
    auto report = sample_report();
    report.scenario = words;
    report.file = report.ruleset = words;
    report.notes = {words};
    const auto rule = [&](std::optional<RuleRef>& decider) {
        if (decider) decider->file = decider->text = decider->chain = words;
    };
    const auto decided = [&](auto& what) {
        rule(what.rule);
        if (what.near_miss) what.near_miss->rule.file = what.near_miss->rule.text = what.near_miss->differs = words;
        if (what.icmp) what.icmp->name = words;
        what.explanation = words;
    };
    for (auto& flow : report.flows) {
        decided(flow);
        for (auto& leg : flow.legs) {
            decided(leg);
            leg.evidence = {words, words};
        }
        for (auto& suggestion : flow.suggestions) suggestion.rule = suggestion.file = words;
        for (auto& attempt : flow.attempts) attempt.explanation = words;
        if (!flow.as_expected) flow.change = words;
        flow.notes = flow.retries = {words};
    }
    auto picture = *report.picture;
    picture.rulesets[0].file = words;
    for (auto& line : picture.rulesets[0].lines) line = words;
    for (auto& [_, ladder] : picture.ladders)
        for (auto& step : ladder.steps) step.label = words;
    report.picture = std::make_shared<const Picture>(picture);
    report.baseline->ruleset = words;
    report.baseline->picture = report.picture;
    for (auto& flow : report.baseline->flows) flow.rule_before = RuleRef{words, 3, words, words};
    for (auto& load : report.loads)
        for (auto& drop : load.dropped) drop.rule.file = drop.rule.text = drop.rule.chain = words;
    for (auto& use : *report.coverage) use.rule.text = use.rule.file = use.rule.chain = words;
    report.identity.scenario->name = words;
    for (auto* list : {&report.identity.rulesets, &report.identity.contents})
        for (auto& file : *list) file.name = words;
    return report;
}

}  // namespace wmlab::lab
