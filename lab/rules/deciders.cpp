#include "lab/rules/deciders.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Rewritten;

bool catch_all(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    const auto comparison = compare(ruleset, rule, packet);
    return comparison.drops &&
           std::ranges::none_of(comparison.conditions, [](const Condition& c) { return c.selective; });
}

bool stops_plainly(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    const auto comparison = compare(ruleset, rule, packet);
    return comparison.drops && comparison.matches() && !comparison.limited() &&
           std::ranges::none_of(comparison.conditions, [&](const Condition& c) {
               return c.subject == Subject::connection_state && packet.ct_state == "invalid";
           });
}

const Rule* rule_of(const Ruleset& ruleset, const Decision& decision, const Decision::Step& step) {
    if (step.handle != 0)
        if (const auto* rule = ruleset.rule(step.chain, step.handle)) return rule;
    if (!step.chain.chain.starts_with("__chain")) return nullptr;
    for (const auto& before : decision.steps)
        if (before.target == step.chain.chain && before.chain.table == step.chain.table)
            return rule_of(ruleset, decision, before);
    return nullptr;
}

bool contradicts(const Ruleset& ruleset, const Rule& rule, const Decision& decision, bool accepted) {
    auto before = decision.arrived;  // translation may lie between the rule and either
    before.out = decision.packet.out;
    const auto a = compare(ruleset, rule, before), b = compare(ruleset, rule, decision.packet);
    if (accepted ? a.drops && !a.accepts : a.accepts && !a.drops) return true;
    const auto no = [](const Condition& c) {
        return c.result == Condition::Result::no && c.subject != Subject::connection_state && !c.by_set;
    };
    for (std::size_t i = 0; i < a.conditions.size() && i < b.conditions.size(); ++i)
        if (no(a.conditions[i]) && no(b.conditions[i])) return true;
    return false;
}

namespace {

std::optional<Rewritten> changed_field(const json::object& payload) {
    const auto protocol = text_at(payload, "protocol"), field = text_at(payload, "field");
    if (protocol.empty()) return Rewritten::payload;  // by offset
    if (field == "saddr" || field == "daddr") return Rewritten::address;
    if (field == "sport" || field == "dport") return Rewritten::port;
    if (field == "ttl" || field == "hoplimit") return Rewritten::ttl;
    if (field == "dscp" || field == "ecn" || field == "checksum") return std::nullopt;
    return protocol == "ether" || protocol == "vlan" ? std::nullopt : std::optional{Rewritten::header};
}

// Of iptables: the target's name, from nft's view of the rule or from the line itself.
std::optional<Rewritten> changed_by_target(std::string_view target) {
    if (target == "TTL" || target == "HL") return Rewritten::ttl;
    if (target == "DNAT" || target == "SNAT" || target == "NETMAP" || target == "MASQUERADE" || target == "REDIRECT") return Rewritten::address;
    return std::nullopt;
}

}  // namespace

std::optional<Rewritten> changes(const Rule& rule) {
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (object == nullptr) continue;
        if (const auto* mangle = object_at(*object, "mangle"))
            if (const auto* key = object_at(*mangle, "key"))
                if (const auto* payload = object_at(*key, "payload"))
                    if (const auto what = changed_field(*payload)) return what;
        for (const auto* word : {"dnat", "snat", "masquerade", "redirect"})
            if (object->contains(word)) return Rewritten::address;
        if (const auto* xt = object_at(*object, "xt"))
            if (const auto what = changed_by_target(text_at(*xt, "name"))) return what;
    }
    if (!rule.place) return std::nullopt;
    const std::string_view text = rule.place->text;
    for (const auto* option : {"-j ", "--jump "}) {
        const auto at = text.find(option);
        if (at == std::string_view::npos) continue;
        const auto target = text.substr(at + std::string_view{option}.size());
        return changed_by_target(target.substr(0, target.find(' ')));
    }
    return std::nullopt;
}

bool leads_elsewhere(const Rule& rule) {
    bool leads = false;
    each_member(rule.expr, [&](std::string_view key, const boost::json::value& value) {
        const auto* body = value.if_object();
        leads = leads || one_of(key, {"dnat", "redirect", "tproxy"}) ||
                (key == "xt" && body != nullptr && one_of(text_at(*body, "name"), {"DNAT", "REDIRECT", "TPROXY"}));
    });
    return leads;
}

ChainName base_of(const Ruleset& ruleset, const Decision& decision) {
    for (auto it = decision.steps.rbegin(); it != decision.steps.rend(); ++it) {
        const auto* chain = ruleset.chain(it->chain);
        if (chain && !chain->hook.empty()) return it->chain;
    }
    return decision.chain;
}

const Decision::Step* forwarding_step(const Ruleset& ruleset, const Decision& decision) {
    const Decision::Step* found = nullptr;
    bool forwarding = false;  // rules of a chain jumped to follow those of its base chain
    for (const auto& step : decision.steps) {
        const auto* chain = ruleset.chain(step.chain);
        if (chain && !chain->hook.empty()) forwarding = chain->hook == "forward" && chain->type == "filter";
        if (forwarding && step.accepts && (step.handle != 0 || !found || found->handle == 0)) found = &step;
    }
    return found;
}

namespace {

std::int64_t counter_of(const Rule& rule) {
    for (const auto& part : rule.expr)
        if (const auto* object = part.if_object())
            if (const auto* counter = object_at(*object, "counter")) return number_at(*counter, "packets");
    return 0;
}

}  // namespace

const Rule* by_counters(const Ruleset& before, const Ruleset& after, Packet packet) {
    constexpr std::uint8_t syn = 0x02, ack = 0x10;
    if (packet.protocol == "tcp" && (packet.tcp_flags & (syn | ack)) != syn) return nullptr;
    if (packet.ct_state.empty() && packet.protocol == "tcp") packet.ct_state = "new";
    const Chain* forwarding = nullptr;
    for (const auto& [name, chain] : before.chains()) {
        if (chain.hook != "forward" && chain.hook != "prerouting") continue;
        if (forwarding || chain.hook == "prerouting") return nullptr;
        forwarding = &chain;
    }
    if (!forwarding) return nullptr;
    for (const auto index : forwarding->rules) {
        const auto& rule = before.rules()[index];
        const auto comparison = compare(before, rule, packet);
        if (comparison.count(Condition::Result::no) > 0) continue;
        if (!comparison.matches() || comparison.limited()) return nullptr;
        if (!comparison.accepts && !comparison.drops) {
            if (has_effect(before, rule)) return nullptr;
            continue;
        }
        const auto* later = after.rule(rule.chain, rule.handle);
        return comparison.drops && later && counter_of(*later) > counter_of(rule) ? &rule : nullptr;
    }
    return nullptr;
}

}  // namespace wmlab::lab::rules
