// A rule as the journal tells of it: `file`, `line`, `text` and `chain`, written and read here.
#pragma once
#include "common/evidence/fields.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::rules {

evidence::Fields rule_fields(const Place& place, const ChainName& chain);
// Without a place: known by its text only.
evidence::Fields rule_fields(const std::optional<Place>& place, const std::string& text, const ChainName& chain);
evidence::Fields rule_fields(const Rule& rule);
evidence::Fields policy_fields(const Ruleset& ruleset, const ChainName& chain);

// A `trace` event that says one thing about the trace itself: that messages of it were lost, that the rules were changed.
evidence::Event trace_event(boost::json::string_view field, boost::json::value value);

RuleRef rule_ref(const evidence::Fields& fields);

}  // namespace wmlab::lab::rules
