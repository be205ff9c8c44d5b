#include "lab/rules/placing.hpp"

#include "lab/rules/deciders.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

// Where a rule would have to be written to decide before this one: on a line of its own before it, or as a command
// behind everything else that puts it first in its chain.
json::object place_json(const Ruleset& ruleset, const ChainName& chain, const std::optional<Place>& place) {
    json::object before{{"chain", chain.text()}};
    const auto& source = ruleset.source();
    using enum Place::Written;
    if (source.dialect == Dialect::iptables) {
        const auto* of = ruleset.chain(chain);
        const auto at = place && place->written != inserted ? place : of ? of->end : std::nullopt;
        if (!at) return {};
        if (!place || place->written == inserted) before["command"] = "insert";
        before["file"] = at->file, before["line"] = at->line;
        return before;
    }
    if (place && place->alone && place->written != inserted) {
        if (place->written == appended) before["command"] = "add";
        before["file"] = place->file, before["line"] = place->line;
        return before;
    }
    if (source.files.empty()) return {};
    before["command"] = "insert";
    before["file"] = source.files.front().string(), before["line"] = source.lines + 1;
    return before;
}

json::object place_before(const Ruleset& ruleset, const Rule& rule) {
    return place_json(ruleset, rule.chain, rule.place);
}

}  // namespace

json::object stopping_place(const Ruleset& ruleset, const Decision& decision, const Rule* rule) {
    const auto base = base_of(ruleset, decision);
    if (decision.by_policy) {
        // The end of the chain, unless the packet left it before that.
        for (const auto& step : decision.steps) {
            const bool leaves = step.verdict == TraceMessage::Verdict::go_to ||
                                (step.verdict == TraceMessage::Verdict::returned && step.handle != 0);
            const auto* leaving = leaves && step.chain == base ? rule_of(ruleset, decision, step) : nullptr;
            if (leaving) return place_before(ruleset, *leaving);
        }
        const auto* chain = ruleset.chain(decision.chain);
        return place_json(ruleset, decision.chain, chain ? chain->end : std::nullopt);
    }
    if (!rule) return {};
    const auto* chain = ruleset.chain(rule->chain);
    if (chain && chain->hook.empty() &&
        catch_all(ruleset, *rule, decision.packet)) {  // a chain that drops what it gets
        for (auto it = decision.steps.rbegin(); it != decision.steps.rend(); ++it)
            if (it->target == rule->chain.chain)
                if (const auto* jump = rule_of(ruleset, decision, *it)) return place_before(ruleset, *jump);
    }
    return place_before(ruleset, *rule);
}

}  // namespace wmlab::lab::rules
