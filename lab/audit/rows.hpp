// What crafted packets got through to, told once: merged to ranges of ports and sets of addresses. Spoken by the audit of one
// ruleset and by the comparison of two.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/bench.hpp"
#include "lab/audit/exploration.hpp"
#include "lab/audit/fields.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// One thing that got through, before it is merged with its neighbours.
struct Row {
    Opened told;
    std::set<std::string> from, to, conditions;
    Spans numbers;  // destination ports, ICMP types, IP protocols
};
// The parts of a row that are known without asking the kernel which rule it was. By the hosts that are meant.
std::vector<Row> rows_of(const scenario::Scenario& scenario, const Plan& plan, const Crafted& packet, const Origin& origin, const Outcome& outcome,
                         const NeedIndex& needs);
// Merged, in the order of the rules.
std::vector<Opened> told(std::vector<Row> rows);

std::string key_of(const std::optional<RuleRef>& rule);  // the same for the same rule; empty: none
// Whether packets that no rule of this hook decides are stopped there.
bool filtered(const rules::Ruleset& ruleset, std::string_view hook, bool v6);
// Ports on either side of what a flow needs are never in one class with it.
void split_by_needs(const scenario::Scenario& scenario, Asked& asked);
std::string named(const rules::Rule& rule);           // "fw.nft:12: tcp dport 22 accept"
std::string asks_of_the_past(std::string_view rule);  // why it was not tried
std::string could_open(const Odd& odd);  // in words: "tcp to ports 80-90"

struct Tried {
    std::vector<std::string>&tried, &not_tried, &notes;
};
void say_what_was_tried(const Dimensions& dimensions, const Asked& asked, const Bench& bench, bool v6_matters, Tried into);

}  // namespace wmlab::lab
