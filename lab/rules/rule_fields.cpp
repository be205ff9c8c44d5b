#include "lab/rules/rule_fields.hpp"

#include <utility>

namespace wmlab::lab::rules {

evidence::Fields rule_fields(const Place& place, const ChainName& chain) {
    return {{field::file, place.file}, {field::line, place.line}, {field::text, place.text}, {field::chain, chain.text()}};
}

evidence::Fields rule_fields(const std::optional<Place>& place, const std::string& text, const ChainName& chain) {
    if (place) return rule_fields(*place, chain);
    return {{field::file, ""}, {field::line, 0}, {field::text, text}, {field::chain, chain.text()}};
}

evidence::Fields rule_fields(const Rule& rule) { return rule_fields(rule.place, rule.text, rule.chain); }

evidence::Fields policy_fields(const Ruleset& ruleset, const ChainName& name) {
    const auto* chain = ruleset.chain(name);
    return rule_fields(chain == nullptr ? std::nullopt : chain->policy, chain != nullptr && chain->policy_drop ? "policy drop" : "policy accept", name);
}

evidence::Event trace_event(boost::json::string_view field, boost::json::value value) {
    evidence::Event event;
    event.event = evidence::What::trace;
    event.fields[field] = std::move(value);
    return event;
}

RuleRef rule_ref(const evidence::Fields& fields) {
    RuleRef rule;
    rule.file = text_field(fields, field::file);
    rule.line = static_cast<unsigned>(whole_field(fields, field::line).value_or(0));
    rule.text = text_field(fields, field::text);
    rule.chain = text_field(fields, field::chain);
    rule.via = text_field(fields, field::via);
    return rule;
}

}  // namespace wmlab::lab::rules
