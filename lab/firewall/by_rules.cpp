#include "lab/firewall/by_rules.hpp"

#include <algorithm>
#include <string>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab {
namespace {

enum class Outcome { goes_on, accepted, stopped, unknown };
constexpr unsigned chains_deep_max = 16;

// The chain that the rule leads to; empty: none.
std::string target_of(const rules::Rule& rule, bool& goes_to) {
    for (const auto& part : rule.expr)
        for (const std::string_view word : {"jump", "goto"})
            if (const auto* object = part.if_object())
                if (const auto* where = rules::object_at(*object, word)) {
                    goes_to = word == "goto";
                    return rules::text_at(*where, "target");
                }
    return {};
}

bool returns(const rules::Rule& rule) {
    return std::ranges::any_of(rule.expr, [](const auto& part) {
        const auto* object = part.if_object();
        return object != nullptr && object->contains("return");
    });
}

class Walk {
public:
    Walk(const rules::Ruleset& ruleset, const rules::Packet& packet) : ruleset_{ruleset}, packet_{packet} {}

    Stopped through_forward() {
        std::vector<const rules::Chain*> forward;
        for (const auto& [name, chain] : ruleset_.chains()) {
            if (chain.hook.empty()) continue;
            const bool ipv4 = name.family == "ip" || name.family == "inet" || name.family == "netdev";
            if (!ipv4) continue;
            if (chain.hook == "forward")
                forward.push_back(&chain);
            else if ((chain.hook == "prerouting" || chain.hook == "ingress") &&
                     (!chain.rules.empty() || chain.policy_drop))
                return {};
        }
        std::ranges::stable_sort(forward, {}, &rules::Chain::priority);
        for (const auto* chain : forward) {
            auto outcome = walk(*chain, 0);
            if (outcome == Outcome::goes_on && chain->policy_drop) {
                found_.policy = chain;
                outcome = Outcome::stopped;
            }
            if (outcome == Outcome::stopped) return found_;
            if (outcome == Outcome::unknown) return {};
        }
        return {};
    }

private:
    Outcome walk(const rules::Chain& chain, unsigned depth) {
        if (depth > chains_deep_max) return Outcome::unknown;
        for (const auto index : chain.rules) {
            const auto& rule = ruleset_.rules()[index];
            const auto comparison = rules::compare(ruleset_, rule, packet_);
            if (comparison.count(rules::Condition::Result::no) > 0) continue;
            if (!rules::has_effect(ruleset_, rule)) continue;
            if (!comparison.matches() || comparison.limited()) return Outcome::unknown;
            if (comparison.drops) {
                found_.rule = &rule;
                return Outcome::stopped;
            }
            if (comparison.accepts) return Outcome::accepted;
            bool goes_to = false;
            if (const auto target = target_of(rule, goes_to); !target.empty()) {
                const auto* next = ruleset_.chain({chain.name.family, chain.name.table, target});
                const auto outcome = next ? walk(*next, depth + 1) : Outcome::unknown;
                if (outcome != Outcome::goes_on || goes_to) return outcome;
                continue;
            }
            if (returns(rule)) return Outcome::goes_on;
            return Outcome::unknown;
        }
        return Outcome::goes_on;
    }

    const rules::Ruleset& ruleset_;
    const rules::Packet& packet_;
    Stopped found_;
};

}  // namespace

Stopped stopped_by(const rules::Ruleset& ruleset, const rules::Packet& packet) {
    return Walk{ruleset, packet}.through_forward();
}

}  // namespace wmlab::lab
