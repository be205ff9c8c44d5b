// A rule as the journal tells of it: `file`, `line`, `text` and `chain`, written and read here.
#pragma once
#include "common/evidence/fields.hpp"
#include "lab/rules/json_fields.hpp"
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

// Fields that may be missing: then empty, 0, null.
inline std::string text_at(const evidence::Fields& fields, evidence::Text name) { return std::string{evidence::text_field(fields, name)}; }
inline std::int64_t number_at(const evidence::Fields& fields, evidence::Number name) { return number_at(fields, name.name); }
inline const evidence::Fields* object_at(const evidence::Fields& fields, evidence::Object name) { return evidence::object_field(fields, name); }

RuleRef rule_ref(const evidence::Fields& fields);

}  // namespace wmlab::lab::rules
