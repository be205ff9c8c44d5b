#include "lab/rules/circumstances.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <set>
#include <sstream>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

using enum Circumstance;

struct Word {
    std::string_view word;
    Circumstance circumstance;
};
// Statements and expressions of nftables by their name in its JSON, and matches of iptables by the name of the extension.
constexpr std::array nft_words = {Word{"limit", rate}, Word{"quota", amount}, Word{"ct count", earlier}};
constexpr std::array meta_words = {Word{"hour", Circumstance::time}, Word{"day", Circumstance::time},
                                   Word{"time", Circumstance::time}, Word{"random", chance}};
constexpr std::array extension_words = {Word{"recent", earlier},
                                        Word{"connlimit", earlier},
                                        Word{"limit", rate},
                                        Word{"hashlimit", rate},
                                        Word{"rateest", rate},
                                        Word{"quota", amount},
                                        Word{"time", Circumstance::time},
                                        Word{"statistic", chance},
                                        Word{"random", chance}};

// The rest of what is understood and is the same for a packet that is sent again.
constexpr std::array<std::string_view, 22> plain_parts = {
    "match", "counter", "log", "accept", "drop", "reject", "jump", "goto", "return", "continue", "comment",
    "vmap", "masquerade", "dnat", "snat", "redirect", "notrack", "mangle", "set", "map", "xt", "ct"};
constexpr std::array<std::string_view, 6> plain_ct = {"state", "direction", "status", "protocol", "l3proto", "mark"};
constexpr std::array<std::string_view, 21> plain_extensions = {
    "conntrack", "state", "tcp",     "udp",    "icmp",   "multiport", "iprange",    "comment", "mark",  "addrtype", "physdev",
    "LOG",       "NFLOG", "REJECT", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "TCPMSS", "MARK", "set"};
constexpr std::array<std::string_view, 8> fields_of_two_ports = {"saddr", "daddr", "sport", "dport", "protocol", "nexthdr", "flags", "type"};
constexpr std::array<std::string_view, 12> meta_of_two_ports = {"iif",      "iifname", "iifgroup", "iiftype", "oif",      "oifname",
                                                                "oifgroup", "oiftype", "l4proto",  "nfproto", "protocol", "pkttype"};
constexpr std::array<std::string_view, 3> changing_fields = {"id", "checksum", "sequence"};

template <class Words>
const Word* word_in(const Words& words, std::string_view wanted) {
    const auto found = std::ranges::find(words, wanted, &Word::word);
    return found == words.end() ? nullptr : &*found;
}

template <class Names>
bool has(const Names& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

std::vector<std::string> tokens(const std::string& text) {
    std::istringstream in{text};
    std::vector<std::string> all;
    for (std::string word; in >> word;) all.push_back(std::move(word));
    return all;
}

// The names behind -m and -j, and the sets that iptables fills.
struct Extensions {
    std::vector<std::string> names, fills, looks_up;
    bool nth = false;
};
Extensions extensions_of(const Ruleset& ruleset, const Rule& rule) {
    Extensions found;
    if (ruleset.source().dialect != Dialect::iptables || !rule.place) return found;
    const auto all = tokens(rule.place->text);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
        if (all[i] == "-m" || all[i] == "--match") found.names.push_back(all[i + 1]);
        if (all[i] == "--add-set" || all[i] == "--del-set") found.fills.push_back(all[i + 1]);
        if (all[i] == "--match-set") found.looks_up.push_back(all[i + 1]);
        found.nth = found.nth || (all[i] == "--mode" && all[i + 1] == "nth");
    }
    return found;
}

std::string set_key(const Rule& rule, std::string_view set) {
    return rule.chain.family + " " + rule.chain.table + " " + std::string{set};
}

// Sets that packets fill, by "family table name"; those of iptables by their name.
std::set<std::string> filled_sets(const Ruleset& ruleset) {
    std::set<std::string> filled;
    for (const auto& rule : ruleset.rules()) {
        for (auto& name : extensions_of(ruleset, rule).fills) filled.insert(std::move(name));
        each_member(rule.expr, [&](std::string_view key, const json::value& value) {
            const auto* body = value.if_object();
            if ((key != "set" && key != "map") || body == nullptr || text_at(*body, "op").empty()) return;
            for (const auto* member : {"set", "map"})
                if (const auto name = text_at(*body, member); name.starts_with("@"))
                    filled.insert(set_key(rule, std::string_view{name}.substr(1)));
        });
    }
    return filled;
}

struct Found {
    Circumstance circumstance;
    std::string by;
};
std::optional<Found> circumstance_of(const Ruleset& ruleset, const Rule& rule, const std::set<std::string>& filled) {
    std::optional<Found> found;
    const auto take = [&](Circumstance circumstance, std::string_view by) {
        if (!found) found = Found{circumstance, std::string{by}};
    };
    const auto extensions = extensions_of(ruleset, rule);
    for (const auto& name : extensions.names)
        if (const auto* known = word_in(extension_words, name))
            take(known->circumstance == chance && extensions.nth ? earlier : known->circumstance, name);
    for (const auto& name : extensions.looks_up)
        if (filled.contains(name)) take(earlier, "set " + name);
    each_member(rule.expr, [&](std::string_view key, const json::value& value) {
        const auto* body = value.if_object();
        if (const auto* known = word_in(nft_words, key)) take(known->circumstance, key);
        if (key == "numgen" && body != nullptr) take(text_at(*body, "mode") == "random" ? chance : earlier, key);
        if (key == "meta" && body != nullptr)
            if (const auto* known = word_in(meta_words, text_at(*body, "key"))) take(known->circumstance, known->word);
        if (key == "xt" && body != nullptr)
            if (const auto* known = word_in(extension_words, text_at(*body, "name")))
                take(known->circumstance, known->word);
        const auto* text = value.if_string();
        if (text != nullptr && text->starts_with("@") && (key == "right" || key == "data") &&
            filled.contains(set_key(rule, std::string_view{*text}.substr(1))))
            take(earlier, "set " + std::string{std::string_view{*text}.substr(1)});
    });
    return found;
}

// Whether the rule may be about a packet of a flow: not one that asks for ICMP, say.
bool for_streams(const Ruleset& ruleset, const Rule& rule) {
    return std::ranges::any_of(std::array{"tcp", "udp", "igmp"}, [&](const char* protocol) {
        Packet packet;
        packet.protocol = protocol;
        const auto comparison = compare(ruleset, rule, packet);
        return std::ranges::none_of(comparison.conditions, [](const Condition& condition) {
            return condition.subject == Subject::protocol && condition.result == Condition::Result::no;
        });
    });
}

// Elements that go away by themselves, or too many to look at.
bool changes_by_itself(const json::array* elements) {
    constexpr std::size_t most = 10'000;
    if (elements == nullptr) return false;
    if (elements->size() > most) return true;
    bool changes = false;
    for (const auto& element : *elements)
        each_member(element, [&](std::string_view key, const json::value&) { changes = changes || key == "timeout"; });
    return changes;
}

bool is_plain(const Ruleset& ruleset, const Rule& rule) {
    for (const auto& name : extensions_of(ruleset, rule).names)
        if (!has(plain_extensions, name)) return false;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (object == nullptr || object->empty()) return false;
        const auto& key = object->begin()->key();
        if (!has(plain_parts, std::string_view{key.data(), key.size()})) return false;
    }
    bool good = true;
    each_member(rule.expr, [&](std::string_view key, const json::value& value) {
        const auto* body = value.if_object();
        if (key == "ct" && body != nullptr && !text_at(*body, "key").empty() && !has(plain_ct, text_at(*body, "key")))
            good = false;
        if (key == "payload" && body != nullptr && (!body->contains("field") || has(changing_fields, text_at(*body, "field"))))
            good = false;
        if (key == "xt" && body != nullptr && !has(plain_extensions, text_at(*body, "name"))) good = false;
        if (key == "tcp option" || key == "socket" || key == "osf" || key == "jhash" || key == "symhash" || key == "exthdr")
            good = false;
        if (const auto* text = value.if_string(); text != nullptr && text->starts_with("@"))
            good = good && !changes_by_itself(ruleset.set_elements(rule.chain, std::string_view{*text}.substr(1)));
    });
    return good;
}

}  // namespace

std::string_view words(Circumstance circumstance) {
    switch (circumstance) {
        case earlier:
            return "looks at what came earlier or goes on at the same time";
        case rate:
            return "looks at how much comes at the same time";
        case amount:
            return "looks at how much has come earlier";
        case Circumstance::time:
            return "looks at the time of day";
        default:
            return "decides by chance";
    }
}

std::vector<Conditional> conditionals(const Ruleset& ruleset) {
    std::vector<Conditional> all;
    const auto filled = filled_sets(ruleset);
    for (const auto& rule : ruleset.rules()) {
        auto found = circumstance_of(ruleset, rule, filled);
        if (!found || !has_effect(ruleset, rule) || !for_streams(ruleset, rule)) continue;
        Conditional one;
        one.circumstance = found->circumstance;
        one.by = std::move(found->by);
        one.chain = rule.chain.text();
        one.text = rule.place ? rule.place->text : rule.text;
        if (rule.place) one.file = rule.place->file, one.line = rule.place->line;
        all.push_back(std::move(one));
    }
    return all;
}

bool same_for_all_between_two_ports(const Ruleset& ruleset) {
    return plain(ruleset) && std::ranges::all_of(ruleset.rules(), [](const Rule& rule) {
               bool same = true;
               each_member(rule.expr, [&](std::string_view key, const json::value& value) {
                   const auto* body = value.if_object();
                   if (key == "payload" && (body == nullptr || !has(fields_of_two_ports, text_at(*body, "field")))) same = false;
                   if (key == "meta" && (body == nullptr || !has(meta_of_two_ports, text_at(*body, "key")))) same = false;
                   if (key == "ct" && (body == nullptr || text_at(*body, "key") != "state")) same = false;
               });
               return same;
           });
}

bool plain(const Ruleset& ruleset) {
    const auto filled = filled_sets(ruleset);
    return filled.empty() && std::ranges::all_of(ruleset.rules(), [&](const Rule& rule) {
               return is_plain(ruleset, rule) && !circumstance_of(ruleset, rule, filled);
           });
}

}  // namespace wmlab::lab::rules
