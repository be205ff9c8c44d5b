// A report in which every part is filled, and nasty characters wherever a user's words may come in.
#pragma once
#include "lab/verdict/report.hpp"

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
    report.flows = {good, bad, unsure, rollover};
    return report;
}

}  // namespace wmlab::lab
