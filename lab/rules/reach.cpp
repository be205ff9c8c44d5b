#include "lab/rules/reach.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/one_of.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

struct Target {
    std::string chain;
    bool back = true;  // a jump comes back, a goto does not
};

void add_target(const json::object& verdict, std::vector<Target>& targets) {
    for (const auto* word : {"jump", "goto"})
        if (const auto* body = object_at(verdict, word))
            targets.push_back({text_at(*body, "target"), std::string_view{word} == "jump"});
}

std::vector<Target> targets_of(const Ruleset& ruleset, const Rule& rule) {
    std::vector<Target> targets;
    for (const auto& part : rule.expr)
        if (const auto* object = part.if_object()) add_target(*object, targets);
    for (const auto& map : verdict_maps(ruleset, rule))
        for (const auto& entry : map.entries) add_target(*entry.verdict, targets);
    return targets;
}

// Chains written inside of a rule are not looked into: anything may happen there.
bool anonymous(const std::string& chain) { return chain.starts_with("__chain"); }

bool chain_has_effect(const Ruleset& ruleset, const ChainName& name, std::set<ChainName>& seen);

bool rule_has_effect(const Ruleset& ruleset, const Rule& rule, std::set<ChainName>& seen) {
    if (acts(ruleset, rule)) return true;
    for (const auto& target : targets_of(ruleset, rule)) {
        if (anonymous(target.chain)) return true;
        if (chain_has_effect(ruleset, {rule.chain.family, rule.chain.table, target.chain}, seen)) return true;
        if (target.back) continue;
        const auto* chain = ruleset.chain(rule.chain);  // what a goto passes over
        bool behind = false;
        for (const auto index : chain ? chain->rules : std::vector<std::size_t>{}) {
            const auto& other = ruleset.rules()[index];
            if (behind && rule_has_effect(ruleset, other, seen)) return true;
            behind = behind || &other == &rule;
        }
    }
    return false;
}

bool chain_has_effect(const Ruleset& ruleset, const ChainName& name, std::set<ChainName>& seen) {
    if (!seen.insert(name).second) return false;
    const auto* chain = ruleset.chain(name);
    return !chain || std::ranges::any_of(chain->rules, [&](std::size_t index) {
        return rule_has_effect(ruleset, ruleset.rules()[index], seen);
    });
}

bool chain_may_accept(const Ruleset& ruleset, const ChainName& name, std::set<ChainName>& seen) {
    if (!seen.insert(name).second) return false;
    const auto* chain = ruleset.chain(name);
    if (!chain || anonymous(name.chain)) return true;
    return std::ranges::any_of(chain->rules, [&](std::size_t index) {
        const auto& rule = ruleset.rules()[index];
        for (const auto& part : rule.expr)
            if (const auto* object = part.if_object(); object && object->contains("accept")) return true;
        for (const auto& map : verdict_maps(ruleset, rule)) {
            if (!map.known) return true;
            for (const auto& entry : map.entries)
                if (entry.verdict->contains("accept")) return true;
        }
        return std::ranges::any_of(targets_of(ruleset, rule), [&](const Target& target) {
            return chain_may_accept(ruleset, {name.family, name.table, target.chain}, seen);
        });
    });
}

}  // namespace

std::vector<VerdictMap> verdict_maps(const Ruleset& ruleset, const Rule& rule, std::size_t most) {
    std::vector<VerdictMap> maps;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        const auto* body = object ? object_at(*object, "vmap") : nullptr;
        if (!body) continue;
        VerdictMap map;
        map.key = body->if_contains("key");
        const auto* data = body->if_contains("data");
        const json::array* elements = nullptr;
        if (const auto* name = data ? data->if_string() : nullptr; name && name->starts_with("@")) {
            map.named = true;
            elements = ruleset.set_elements(rule.chain, std::string_view{*name}.substr(1));
        } else if (const auto* inner = data ? data->if_object() : nullptr) {
            if (const auto* set = inner->if_contains("set")) elements = set->if_array();
        }
        map.known = map.key != nullptr && elements != nullptr && elements->size() <= most;
        if (!map.known) elements = nullptr;
        for (std::size_t i = 0; elements && i < elements->size(); ++i) {
            const auto* pair = (*elements)[i].if_array();
            const auto* verdict = pair && pair->size() == 2 ? (*pair)[1].if_object() : nullptr;
            if (verdict)
                map.entries.push_back({&(*pair)[0], verdict});
            else
                map.known = false;
        }
        maps.push_back(std::move(map));
    }
    return maps;
}

bool acts(const Ruleset& ruleset, const Rule& rule) {
    const auto* chain = ruleset.chain(rule.chain);
    const bool nat = chain && chain->type == "nat";
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (part.is_string()) return true;  // a chain written inside of the rule, as nft's JSON has it
        if (!object || object->empty()) continue;
        const std::string_view word = object->begin()->key();
        if (one_of(word, {"match", "counter", "log", "limit", "jump", "goto", "vmap"})) continue;
        if (word == "xt") {
            const auto* body = object->begin()->value().if_object();
            const auto type = body ? text_at(*body, "type") : std::string{}, name = body ? text_at(*body, "name") : "";
            if (type == "match" && name != "recent") continue;
            if (type == "target" && one_of(name, {"LOG", "NFLOG", "ULOG", "AUDIT", "TRACE"})) continue;
        }
        return true;
    }
    const auto maps = verdict_maps(ruleset, rule);
    if (std::ranges::any_of(maps, [](const VerdictMap& map) {
            return !map.known || std::ranges::any_of(map.entries, [](const VerdictMap::Entry& entry) {
                return !entry.verdict->contains("jump") && !entry.verdict->contains("goto");
            });
        }))
        return true;
    const auto targets = targets_of(ruleset, rule);
    return nat && targets.empty() && maps.empty() && !rule.expr.empty();
}

bool has_effect(const Ruleset& ruleset, const Rule& rule) {
    std::set<ChainName> seen;
    return rule_has_effect(ruleset, rule, seen);
}

bool may_accept(const Ruleset& ruleset, const ChainName& chain) {
    std::set<ChainName> seen;
    return chain_may_accept(ruleset, chain, seen);
}

std::vector<bool> effective_steps(const Ruleset& ruleset, const Decision& decision) {
    using Verdict = TraceMessage::Verdict;
    struct Level {
        ChainName chain;
        std::optional<std::size_t> by;  // the step that led here
    };
    std::vector<Level> levels;
    std::vector<bool> effective(decision.steps.size(), false);
    for (std::size_t i = 0; i < decision.steps.size(); ++i) {
        const auto& step = decision.steps[i];
        const auto* chain = ruleset.chain(step.chain);
        if (chain && !chain->hook.empty() && (levels.empty() || levels.front().chain != step.chain)) levels.clear();
        while (!levels.empty() && levels.back().chain != step.chain) levels.pop_back();
        if (levels.empty()) levels.push_back({step.chain, std::nullopt});
        if (step.handle == 0) continue;  // a policy
        const auto* rule = ruleset.rule(step.chain, step.handle);
        const bool leads = step.verdict == Verdict::jump || step.verdict == Verdict::go_to;
        bool does = !rule;
        if (rule && leads) {
            const bool by_map = !verdict_maps(ruleset, *rule).empty();
            does = step.verdict == Verdict::go_to ? has_effect(ruleset, *rule) : !by_map && acts(ruleset, *rule);
        } else if (rule) {
            does = acts(ruleset, *rule);
        }
        if (does) {
            effective[i] = true;
            for (const auto& level : levels)
                if (level.by) effective[*level.by] = true;
        }
        if (leads) levels.push_back({{step.chain.family, step.chain.table, step.target}, i});
    }
    return effective;
}

constexpr std::size_t callers_max = 100;

Ways::Ways(const Ruleset& ruleset) : ruleset_{ruleset} {
    for (std::size_t i = 0; i < ruleset.rules().size(); ++i) {
        const auto& rule = ruleset.rules()[i];
        for (const auto& target : targets_of(ruleset, rule))
            callers_[{rule.chain.family, rule.chain.table, target.chain}].push_back(i);
    }
}

bool Ways::may_come(const ChainName& name, const Packet& packet) const {
    const auto* chain = ruleset_.chain(name);
    if (!chain || anonymous(name.chain)) return true;
    if (!chain->hook.empty()) return chain->hook != "input" && chain->hook != "output";
    const auto found = callers_.find(name);
    if (found == callers_.end()) return false;
    if (found->second.size() > callers_max) return true;  // too many to look at for each packet
    return std::ranges::any_of(found->second, [&](std::size_t index) {
        const auto& rule = ruleset_.rules()[index];
        return compare(ruleset_, rule, packet).count(Condition::Result::no) == 0 && may_come(rule.chain, packet);
    });
}

}  // namespace wmlab::lab::rules
