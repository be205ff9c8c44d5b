#include "lab/rules/placing.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>

#include "common/evidence/fields.hpp"
#include "lab/rules/deciders.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

constexpr std::size_t last = SIZE_MAX;

// Where a rule would have to be written to decide before the one at `at` of its chain (`last`: before the policy): on a
// line of its own before it, or, where the file is no list in the chain's order, as a command behind everything else.
json::object place_json(const Ruleset& ruleset, const ChainName& name, std::size_t at) {
    json::object before{{field::chain, name.text()}};
    const auto& source = ruleset.source();
    const auto* chain = ruleset.chain(name);
    if (chain != nullptr && at != last && at >= chain->rules.size()) at = last;
    const auto place = chain == nullptr ? std::optional<Place>{}
                       : at == last     ? chain->end
                                        : ruleset.rules()[chain->rules[at]].place;
    using enum Place::Written;
    const bool iptables = source.dialect == Dialect::iptables;
    const bool in_line = place && place->alone && place->written != inserted && !chain->by_number;
    if (in_line) {
        if (!iptables && place->written == appended) before[field::command] = "add";
        before[field::file] = place->file, before[field::line] = place->line;
        return before;
    }
    if (iptables && (chain == nullptr || !chain->end)) return {};
    if (source.files.empty()) return {};
    if (at == last)
        before[field::command] = iptables ? "" : "add";
    else
        before[field::command] = at == 0 ? "insert" : "insert " + std::to_string(iptables ? at + 1 : at);
    before[field::file] = iptables ? chain->end->file : source.files.front().string();
    before[field::line] = iptables ? chain->end->line : source.lines + 1;
    return before;
}

std::size_t index_of(const Chain& chain, const Ruleset& ruleset, const Rule& rule) {
    std::size_t at = 0;
    while (at < chain.rules.size() && &ruleset.rules()[chain.rules[at]] != &rule) ++at;
    return at;
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
    if (chain == nullptr) return {};
    auto at = index_of(*chain, ruleset, rule);
    const bool simple = rule.place && rule.place->written != Place::Written::inserted;
    if (at < chain->rules.size() && simple && whatever_packet(ruleset, rule, packet))
        at = before_the_log(ruleset, *chain, at, packet);
    return place_json(ruleset, rule.chain, at);
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
        if (!chain) return place_json(ruleset, decision.chain, last);
        return place_json(ruleset, decision.chain,
                          before_the_log(ruleset, *chain, chain->rules.size(), decision.packet));
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

json::object general_places(const Ruleset& ruleset) {
    json::object places;
    const auto& source = ruleset.source();
    if (source.files.empty()) return places;
    for (const auto& [name, chain] : ruleset.chains()) {
        if (name.family == "ip6" || name.family == "bridge") continue;
        if (chain.type == "nat" && chain.hook == "prerouting" && !places.contains("dnat"))
            if (auto place = place_json(ruleset, name, last); !place.empty()) places["dnat"] = std::move(place);
        if (chain.type != "filter" || chain.hook != "forward" || places.contains("forward")) continue;
        std::size_t at = 0;
        while (at < chain.rules.size()) {
            const auto comparison = compare(ruleset, ruleset.rules()[chain.rules[at]], Packet{});
            if (comparison.drops && comparison.conditions.empty()) break;
            ++at;
        }
        if (at == chain.rules.size() && !chain.policy_drop) continue;
        const auto before = before_the_log(ruleset, chain, at, Packet{});
        if (auto place = place_json(ruleset, name, before); !place.empty()) places["forward"] = std::move(place);
    }
    if (!places.contains("dnat")) {
        const bool iptables = source.dialect == Dialect::iptables;
        places["dnat"] = json::object{{field::chain, iptables ? "ip nat PREROUTING" : "ip wmlab_nat prerouting"},
                                      {field::command, "section"},
                                      {field::file, source.files.front().string()},
                                      {field::line, source.lines + 1}};
    }
    return places;
}

}  // namespace wmlab::lab::rules
