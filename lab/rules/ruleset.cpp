#include "lab/rules/ruleset.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <sstream>
#include <stdexcept>

#include "lab/rules/json_fields.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

json::array items_of(std::string_view text) {
    auto parsed = json::parse(text);
    auto* object = parsed.if_object();
    auto* items = object ? object->if_contains("nftables") : nullptr;
    if (!items || !items->is_array()) throw std::runtime_error("nft's JSON has no `nftables` list");
    return std::move(items->get_array());
}

// "chain handle" -> the rule's canonical text, from the plain listing.
std::map<std::pair<ChainName, std::uint64_t>, std::string> texts_of(std::string_view listing) {
    std::map<std::pair<ChainName, std::uint64_t>, std::string> texts;
    std::istringstream lines{std::string{listing}};
    ChainName chain;
    std::string opened;  // a rule with a chain inside of it: its handle stands behind the closing brace
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        std::string first, second, third;
        words >> first >> second >> third;
        if (first == "table")
            chain.family = second, chain.table = third;
        else if (first == "chain")
            chain.chain = second;
        if (line.ends_with(" jump {") || line.ends_with(" goto {")) opened = line.substr(line.find_first_not_of(" \t"));
        const auto mark = line.rfind(" # handle ");
        if (mark == std::string::npos || first == "table" || first == "chain" || first == "set" || first == "map")
            continue;
        const auto start = line.find_first_not_of(" \t");
        auto text = line.substr(start, mark - start);
        if (text == "}") text = opened + " ... }";
        if (const auto counter = text.find("counter packets ");
            counter != std::string::npos) {  // numbers say nothing here
            auto end = text.find("bytes ", counter);
            end = end == std::string::npos ? text.size() : text.find(' ', end + 6);
            text.replace(counter, (end == std::string::npos ? text.size() : end) - counter, "counter");
        }
        texts[{chain, std::strtoull(line.c_str() + mark + 10, nullptr, 10)}] = text;
    }
    return texts;
}

// A rule's verdict word must stand in its source statement too, else the two are not the same rule.
bool same_verdict(const Rule& rule, const Place& place, Dialect dialect) {
    if (rule.expr.empty()) return true;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (!object || object->empty()) continue;
        const std::string_view word = object->begin()->key();
        if (dialect == Dialect::iptables) {  // beside tables of nft's own, where a running firewall was read
            const auto says = [&](const char* iptables) {
                return place.text.find(iptables) != std::string::npos || place.text.find(word) != std::string::npos;
            };
            if (word == "accept" && !says("ACCEPT")) return false;
            if (word == "drop" && !says("DROP")) return false;
        } else if (word == "accept" || word == "drop" || word == "reject" || word == "jump" || word == "goto" ||
                   word == "return") {
            if (place.text.find(word) == std::string::npos && place.text.find('$') == std::string::npos) return false;
        }
    }
    return true;
}

// Which statement made which rule of a chain, from the kernel's numbers, which it gives as rules are made.
std::optional<std::vector<Place>> in_order_of_handles(const ChainSource& source, const std::vector<Rule>& rules,
                                                      const std::vector<std::size_t>& of_chain) {
    std::vector<std::uint64_t> handles(source.gone.begin(), source.gone.end());
    for (const auto index : of_chain) handles.push_back(rules[index].handle);
    if (handles.size() != source.created.size()) return std::nullopt;
    std::ranges::sort(handles);
    std::vector<Place> places;
    for (const auto index : of_chain) {
        const auto handle = rules[index].handle;
        const auto replaced = source.replaced.find(handle);
        const auto nth = std::ranges::lower_bound(handles, handle) - handles.begin();
        places.push_back(replaced != source.replaced.end() ? replaced->second
                                                           : source.created[static_cast<std::size_t>(nth)]);
    }
    return places;
}

// Extensions without a plain expression are left out where the rule was loaded again: its text has them.
void add_extensions(Rule& rule) {
    std::istringstream words{rule.text};
    for (std::string word, kind, name; words >> word;) {
        if (word != "xt" || !(words >> kind >> name) || (kind != "match" && kind != "target")) continue;
        std::erase(name, '"');
        rule.expr.insert(rule.expr.begin(), json::object{{"xt", json::object{{"type", kind}, {"name", name}}}});
    }
}

}  // namespace

Ruleset Ruleset::parse(std::string_view text, std::string_view listing, const Source& source,
                       std::string_view plain_json) {
    Ruleset ruleset;
    ruleset.source_ = source;
    const auto texts = texts_of(listing);
    for (auto& item : items_of(text)) {
        auto* wrapper = item.if_object();
        if (!wrapper || wrapper->empty()) continue;
        const std::string kind{wrapper->begin()->key()};
        auto* body = wrapper->begin()->value().if_object();
        if (!body) continue;
        const auto family = text_at(*body, "family"), table = text_at(*body, "table");
        if (kind == "chain") {
            Chain chain;
            chain.name = {family, table, text_at(*body, "name")};
            chain.type = text_at(*body, "type");
            chain.hook = text_at(*body, "hook");
            chain.priority = static_cast<int>(number_at(*body, "prio"));
            chain.policy_drop = text_at(*body, "policy") == "drop";
            ruleset.chains_[chain.name] = chain;
        } else if (kind == "set" || kind == "map") {
            const auto* elements = body->if_contains("elem");
            ruleset.sets_[family + " " + table + " " + text_at(*body, "name")] =
                elements && elements->is_array() ? elements->get_array() : json::array{};
        } else if (kind == "rule") {
            Rule rule;
            rule.chain = {family, table, text_at(*body, "chain")};
            rule.handle = static_cast<std::uint64_t>(number_at(*body, "handle"));
            rule.comment = text_at(*body, "comment");
            if (auto* expr = body->if_contains("expr"); expr && expr->is_array())
                rule.expr = std::move(expr->get_array());
            if (const auto found = texts.find({rule.chain, rule.handle}); found != texts.end())
                rule.text = found->second;
            ruleset.chains_[rule.chain].name = rule.chain;
            ruleset.chains_[rule.chain].rules.push_back(ruleset.rules_.size());
            ruleset.by_handle_[{rule.chain, rule.handle}] = ruleset.rules_.size();
            ruleset.rules_.push_back(std::move(rule));
        }
    }
    if (!plain_json.empty()) {
        const auto plain = parse(plain_json, {}, {});
        for (auto& [name, chain] : ruleset.chains_) {
            const auto* same = plain.chain(name);
            if (!same || same->rules.size() != chain.rules.size()) continue;
            for (std::size_t i = 0; i < chain.rules.size(); ++i) {
                auto& rule = ruleset.rules_[chain.rules[i]];
                rule.expr = plain.rules_[same->rules[i]].expr;
                add_extensions(rule);
            }
        }
    }
    for (auto& [name, chain] : ruleset.chains_) {
        const auto found = source.chains.find(name);
        if (found == source.chains.end()) continue;
        chain.policy = found->second.policy;
        chain.end = found->second.end;
        chain.by_number = found->second.by_number;
        const auto ordered = found->second.by_number && source.dialect == Dialect::nft
                                 ? in_order_of_handles(found->second, ruleset.rules_, chain.rules)
                                 : std::optional{found->second.rules};
        if (!ordered) continue;
        const auto& places = *ordered;
        bool certain = found->second.certain && places.size() == chain.rules.size();
        for (std::size_t i = 0; certain && i < places.size(); ++i)
            certain = same_verdict(ruleset.rules_[chain.rules[i]], places[i], source.dialect);
        for (std::size_t i = 0; certain && i < places.size(); ++i) ruleset.rules_[chain.rules[i]].place = places[i];
    }
    return ruleset;
}

void Ruleset::renumber(const Ruleset& now) {
    for (const auto& [name, chain] : chains_) {
        const auto* is = now.chain(name);
        if (is == nullptr || is->rules.size() != chain.rules.size()) continue;
        for (const auto index : chain.rules) by_handle_.erase({name, rules_[index].handle});
        for (std::size_t i = 0; i < chain.rules.size(); ++i) {
            auto& rule = rules_[chain.rules[i]];
            rule.handle = now.rules_[is->rules[i]].handle;
            by_handle_[{name, rule.handle}] = chain.rules[i];
        }
    }
}

bool Ruleset::empty() const {
    return rules_.empty() && std::ranges::none_of(chains_, [](const auto& entry) { return entry.second.policy_drop; });
}

const Rule* Ruleset::rule(const ChainName& name, std::uint64_t handle) const {
    const auto found = by_handle_.find({name, handle});
    return found == by_handle_.end() ? nullptr : &rules_[found->second];
}

const Chain* Ruleset::chain(const ChainName& name) const {
    const auto found = chains_.find(name);
    return found == chains_.end() ? nullptr : &found->second;
}

const json::array* Ruleset::set_elements(const ChainName& chain, std::string_view set) const {
    const auto found = sets_.find(chain.family + " " + chain.table + " " + std::string{set});
    return found == sets_.end() ? nullptr : &found->second;
}

}  // namespace wmlab::lab::rules
