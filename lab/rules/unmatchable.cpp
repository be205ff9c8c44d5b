#include "lab/rules/unmatchable.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/one_of.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

// The conditions that stand before everything else in a rule.
Rule beginning(const Rule& rule) {
    Rule first;
    first.chain = rule.chain;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (!object || !object->contains("match")) break;
        first.expr.push_back(part);
    }
    return first;
}

bool matches_none(const Ruleset& ruleset, const Rule& rule, std::span<const Packet> packets) {
    const auto first = beginning(rule);
    return std::ranges::all_of(packets, [&](const Packet& packet) {
        return std::ranges::any_of(compare(ruleset, first, packet).conditions, [](const Condition& c) {
            return c.result == Condition::Result::no && !c.by_set &&
                   (c.subject == Subject::source_address || c.subject == Subject::destination_address || is_interface(c.subject));
        });
    });
}

// Only what is known to leave a packet's addresses as they are.
bool leaves_addresses(const Rule& rule) {
    return std::ranges::all_of(rule.expr, [](const json::value& part) {
        const auto* object = part.if_object();
        if (!object || object->empty()) return false;
        const std::string_view word = object->begin()->key();
        if (one_of(word, {"match", "counter", "log", "limit", "quota", "accept", "drop", "reject", "jump", "goto",
                          "return", "continue", "vmap", "set", "notrack", "ct count"}))
            return true;
        const auto* body = object->begin()->value().if_object();
        if (!body) return false;
        if (word == "mangle") {  // marks, and the like
            const auto* key = object_at(*body, "key");
            return key && !key->empty() && one_of(std::string_view{key->begin()->key()}, {"meta", "ct", "tcp option"});
        }
        return word == "xt" &&
               (text_at(*body, "type") == "match" ||
                one_of(text_at(*body, "name"), {"LOG", "NFLOG", "REJECT", "MARK", "CONNMARK", "TCPMSS", "CT", "DSCP"}));
    });
}

// Translation of sources comes last: nothing that decides follows, but for these.
bool decides_after_translation(const Chain& chain) {
    constexpr int srcnat = 100;
    return chain.hook == "egress" || (chain.hook == "postrouting" && chain.type != "nat" && chain.priority >= srcnat);
}

}  // namespace

std::vector<const Rule*> unmatchable(const Ruleset& ruleset, std::span<const Packet> packets) {
    const bool translation_is_last = std::ranges::none_of(
        ruleset.chains(), [](const auto& entry) { return decides_after_translation(entry.second); });
    std::vector<const Rule*> found;
    for (const auto& rule : ruleset.rules()) {
        const auto* chain = ruleset.chain(rule.chain);
        if (chain && (chain->hook == "input" || chain->hook == "output")) continue;  // not on the way through
        if (matches_none(ruleset, rule, packets)) {
            found.push_back(&rule);
        } else if (chain && chain->type == "nat" && chain->hook == "postrouting") {
            if (!translation_is_last) return {};
        } else if ((chain && chain->type == "nat") || !leaves_addresses(rule)) {
            return {};
        }
    }
    return found;
}

}  // namespace wmlab::lab::rules
