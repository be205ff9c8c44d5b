#include "lab/rules/placing.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "lab/rules/deciders.hpp"
#include "lab/rules/reach.hpp"

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

bool whatever_packet(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    return std::ranges::none_of(compare(ruleset, rule, packet).conditions,
                                [](const Condition& c) { return c.selective; });
}

// Says what became of packets and nothing else: a log line, a jump to a chain of such.
bool only_tells(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    return !has_effect(ruleset, rule) && whatever_packet(ruleset, rule, packet);
}

// The first of the rules right before the one at `at` that log what is about to be stopped: what is let through is
// to be let through before.
std::size_t before_the_log(const Ruleset& ruleset, const Chain& chain, std::size_t at, const Packet& packet) {
    const auto place_of = [&](std::size_t i) -> const std::optional<Place>& {
        return ruleset.rules()[chain.rules[i]].place;
    };
    auto first = at;
    for (auto i = at; i > 0 && only_tells(ruleset, ruleset.rules()[chain.rules[i - 1]], packet); --i) {
        const auto& place = place_of(i - 1);
        if (!place || !place->alone || place->written == Place::Written::inserted) break;
        if (at < chain.rules.size() && (!place_of(at) || place_of(at)->file != place->file)) break;
        if (at == chain.rules.size() && (!chain.end || chain.end->file != place->file)) break;
        first = i - 1;
    }
    return first;
}

json::object place_before(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    const auto* chain = ruleset.chain(rule.chain);
    const bool simple = rule.place && rule.place->written != Place::Written::inserted;
    if (!chain || !simple || !whatever_packet(ruleset, rule, packet))
        return place_json(ruleset, rule.chain, rule.place);
    std::size_t at = 0;
    while (at < chain->rules.size() && &ruleset.rules()[chain->rules[at]] != &rule) ++at;
    if (at < chain->rules.size()) at = before_the_log(ruleset, *chain, at, packet);
    return place_json(ruleset, rule.chain,
                      at < chain->rules.size() ? ruleset.rules()[chain->rules[at]].place : rule.place);
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
            if (leaving) return place_before(ruleset, *leaving, decision.packet);
        }
        const auto* chain = ruleset.chain(decision.chain);
        if (!chain) return place_json(ruleset, decision.chain, std::nullopt);
        const auto at = before_the_log(ruleset, *chain, chain->rules.size(), decision.packet);
        return place_json(ruleset, decision.chain,
                          at < chain->rules.size() ? ruleset.rules()[chain->rules[at]].place : chain->end);
    }
    // A chain that only stops what is sent to it is no place for a rule that lets through: the chain that sent it is.
    auto stop = rule;
    const bool plain = rule && whatever_packet(ruleset, *rule, decision.packet);
    for (auto it = decision.steps.rbegin(); plain && it != decision.steps.rend(); ++it) {
        const auto* chain = ruleset.chain(stop->chain);
        if (!chain || !chain->hook.empty() || may_accept(ruleset, stop->chain)) break;
        if (it->target != stop->chain.chain || it->chain.table != stop->chain.table) continue;
        if (const auto* jump = rule_of(ruleset, decision, *it)) stop = jump;
    }
    return stop ? place_before(ruleset, *stop, decision.packet) : json::object{};
}

}  // namespace wmlab::lab::rules
