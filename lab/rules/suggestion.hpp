// The smallest rule that lets a leg through, in the ruleset's own language.
#pragma once
#include <optional>
#include <string>

#include "common/scenario/catalogue.hpp"
#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

// "ip saddr 10.20.0.10 ip daddr 10.10.0.10 tcp dport 1755 accept", or "-A FORWARD -s ... -j ACCEPT". `answers`: for
// what comes back, where connections are not tracked.
std::string accept_rule(const scenario::Leg& leg, Dialect dialect, std::string_view chain, bool answers = false);
// Lets the answers of accepted connections through: "ct state established,related accept".
std::string accept_answers(Dialect dialect, std::string_view chain);

// The rule as a statement outside of its chain's block, `chain` being "inet filter forward": "add rule inet filter
// forward
// ...". `command`: "add" (last), "insert" (first), empty: the rule as it is.
std::string as_command(const std::string& rule, Dialect dialect, const std::string& chain, std::string_view command);

// A copy of the ruleset's text with `rule` put on a line of its own before `line` (from 1).
std::string with_rule_before(const std::string& text, unsigned line, const std::string& rule);

}  // namespace wmlab::lab::rules
