// What a verdict is called in a sentence: the phrases that all reports and the comparison of two reports share.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

std::string why(const FlowResult& flow);       // "dropped", "not-listening"; empty for a plain pass
std::string headline(const FlowResult& flow);  // "blocked at media: dropped (to->from)"
std::string outcome_words(const FlowResult& flow);  // the same with the transport of a rollover: "pass over http"
std::string change_word(Change change);        // "newly open"
std::string account_words(const FlowResult& flow);  // the explanation, and what was measured and is not as expected
std::string expected_words(const scenario::Expectation& expected);  // "blocked at control: dropped"
std::string rule_words(const RuleRef& rule);                        // "new.nft:14: policy drop (inet filter forward)"
std::string where_words(const Opened& opened);  // "outside -> inside: anyone -> media"
std::string what_words(const Opened& opened);   // "udp 1-65535, from port 53"
std::string by_words(const Opened& opened);     // "let through by new.nft:14: ...; translated by ..."
std::string icmp_line(const Icmp& icmp);                            // "3/13 from 10.20.0.1 (the firewall (outside))"
std::string summary_words(const Report& report);  // "12 flows: 11 as expected, 1 not, 0 inconclusive; 3.1 s"
bool is_bad(const FlowResult& flow);              // not as expected, inconclusive excepted
std::string ruleset_words(const Report& report);  // the file, or that there is none

// What an entry of `events:` did to a flow: "interrupted for 812 ms, 14 packets lost (media)".
std::string effect_words(const Effect& effect);
std::string happening_words(const Happening& happening);  // "at 1 s: reload of new.nft, all at once (3.1 ms)"
// The same for all flows, those together that came to the same: "untouched: a, b and c".
std::vector<std::string> effects_words(const std::vector<std::pair<std::string, const Effect*>>& flows);
std::vector<std::pair<std::string, const Effect*>> effects_of(const Report& report, std::size_t incident);
std::vector<std::pair<std::string, const Effect*>> effects_of(const Live& live);

std::string verdict_words(const FlowResult& flow);  // "pass", of a rollover "pass (tcp)"

// What a report says of itself: "wmlab" "0.1.0 (2df2b4c)", "kernel" "6.1.0-18-amd64" ...; nothing that is not known.
std::vector<std::pair<std::string, std::string>> identity_words(const Identity& identity);
std::string identity_line(const Identity& identity);  // without the hashes; empty: nothing is known

// The flows that are not as expected, those together that the same rule (or else the same cause at the same leg) is to
// blame for, the largest group first.
struct Blame {
    std::string what;   // "new.nft:14: policy drop (inet filter forward)", "media: dropped"
    std::string place;  // "new.nft:14"; empty: no rule is known
    std::vector<const FlowResult*> flows;
};
std::vector<Blame> blames(const Report& report);

// Sentences about flows, each once, with the flows that it is about: "3 flows (a, b, c): ...".
std::vector<std::string> asides(const std::vector<const FlowResult*>& flows);
std::string names(const std::vector<std::string>& all, std::size_t max = 5);  // "a, b, c and 197 more"

// What came of a flow from `anyone` of a zone: as expected only if it is so from every address tried.
struct AnyoneResult {
    std::string flow, zone, to;
    struct Part {  // addresses from which it came to the same
        std::string outcome;
        bool as_expected = false;
        std::vector<std::string> tried, stand_for;  // stand_for: also the addresses that no rule tells from those
    };
    std::vector<Part> parts;  // those that are not as expected first
    bool as_expected() const;
};
std::vector<AnyoneResult> anyone_results(const Report& report);
// "web, from anyone of zone internet to media: pass from 203.0.113.0/25 (tried 203.0.113.1 and 5 more); blocked ..."
std::string anyone_words(const AnyoneResult& result);

// How a rule's use is told: "needed: a, b", "hit: 3 packets, no flow needs it", "never hit".
std::string use_words(const RuleUse& use);

// The flow's part in a change of the rules; null: there was no baseline. And in words: "broken by the change: before it
// was pass".
const FlowChange* change_of(const Report& report, std::string_view flow);
std::string change_words(const FlowChange& change);
std::string changed_words(const Report& report, std::string_view flow);  // empty: no baseline, or nothing changed
// "broken: a, b", "unchanged: 7 flows": of every change that there is.
std::vector<std::string> changes_words(const Comparison& comparison);
std::vector<std::string> of_change(const Comparison& comparison, Change wanted);
inline constexpr Change changes_told[] = {Change::broken,   Change::worse,  Change::newly_open, Change::newly_closed,
                                          Change::repaired, Change::better, Change::unknown,    Change::unchanged};

}  // namespace wmlab::lab
