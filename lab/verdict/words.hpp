// What a verdict is called in a sentence: the phrases that all reports and the comparison of two reports share.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

std::string why(const FlowResult& flow);       // "dropped", "not-listening"; empty for a plain pass
std::string headline(const FlowResult& flow);  // "blocked at media: dropped (to->from)"
std::string expected_words(const scenario::Expectation& expected);  // "blocked at control: dropped"
std::string rule_words(const RuleRef& rule);                        // "new.nft:14: policy drop (inet filter forward)"
std::string icmp_line(const Icmp& icmp);                            // "3/13 from 10.20.0.1 (the firewall (outside))"
std::string summary_words(const Report& report);  // "12 flows: 11 as expected, 1 not, 0 inconclusive; 3.1 s"
bool is_bad(const FlowResult& flow);              // not as expected, inconclusive excepted
std::string ruleset_words(const Report& report);  // the file, or that there is none

// The flow's part in a change of the rules; null: there was no baseline. And in words: "broken by the change: before it
// was pass".
const FlowChange* change_of(const Report& report, std::string_view flow);
std::string change_words(const FlowChange& change);
std::vector<std::string> of_change(const Comparison& comparison, Change wanted);
inline constexpr Change changes_told[] = {Change::broken, Change::opened, Change::repaired, Change::unknown,
                                          Change::unchanged};

}  // namespace wmlab::lab
