#include "lab/rules/past.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/one_of.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

double seconds_of(std::string_view unit) {
    for (const auto& [start, seconds] : {std::pair{"w", 604800.0}, {"d", 86400.0}, {"h", 3600.0}, {"m", 60.0}})
        if (unit.starts_with(start)) return seconds;
    return 1;
}

double factor_of(std::string_view unit) { return unit.starts_with("k") ? 1024 : unit.starts_with("m") ? 1024 * 1024 : 1; }

// --- nft

struct Objects {  // what rules name: "family table name"
    std::map<std::string, std::pair<json::object, json::object>> limits_and_quotas;
    std::set<std::string> filled;  // sets that rules put something into
};

std::string named(const ChainName& chain, std::string_view name) {
    return chain.family + " " + chain.table + " " + std::string{name.starts_with('@') ? name.substr(1) : name};
}

// A match that no packet meets.
json::value never() {
    return json::object{{"match", json::object{{"op", "=="}, {"left", json::object{{"meta", json::object{{"key", "length"}}}}}, {"right", 0}}}};
}

struct Asking {  // of one part of a rule
    Limit limit;
    bool at_first = true, later = false;  // whether the rule goes on
    bool goes_on(Past past) const {
        const auto of_this = limit.sort == Limit::Sort::set ? Past::sets_filled : Past::limits_used_up;
        return past == of_this || past == Past::both ? later : at_first;
    }
};
constexpr std::array pasts_all{Past::nothing, Past::limits_used_up, Past::sets_filled, Past::both};

// `limit`, `quota` and `ct count`, in a rule, beside a key of a set, or as an object with a name.
std::optional<Asking> counted(std::string_view what, const json::object& body) {
    const auto number = [&](std::string_view name) { return static_cast<double>(number_at(body, name)); };
    const auto* inverted = body.if_contains("inv");
    const bool over = inverted && inverted->is_bool() && inverted->get_bool();
    Asking asking{{}, !over, over};
    if (what == "limit") {
        const auto unit = text_at(body, "rate_unit");
        const bool bytes = !unit.empty() && unit != "packets";
        asking.limit = {bytes ? Limit::Sort::bytes : Limit::Sort::packets, number("rate") * factor_of(unit) / seconds_of(text_at(body, "per")),
                        number("burst") * factor_of(text_at(body, "burst_unit")), ""};
    } else if (what == "quota") {
        const double bytes = number("val") * factor_of(text_at(body, "val_unit")) + number("bytes");
        asking.limit = {Limit::Sort::quota, bytes, 0, ""};
        if (bytes == 0) asking.at_first = over;
    } else if (what == "ct count") {
        asking.limit = {Limit::Sort::connections, number("val"), 0, ""};
        if (asking.limit.amount == 0) asking.at_first = over;
    } else {
        return std::nullopt;
    }
    return asking;
}

bool by_chance(const json::value& value) {
    bool found = false;
    each_member(value, [&](std::string_view key, const json::value& inner) {
        found = found || key == "numgen" || (key == "meta" && inner.is_object() && text_at(inner.get_object(), "key") == "random");
    });
    return found;
}

// A number that is always 0 in the lab, where a rule draws one to look it up.
void draw_nothing(json::value& value) {
    if (auto* list = value.if_array())
        for (auto& item : *list) draw_nothing(item);
    auto* object = value.if_object();
    if (object == nullptr) return;
    if (object->size() == 1 && object->begin()->key() == "numgen") {
        value = json::object{{"meta", json::object{{"key", "iifgroup"}}}};
        return;
    }
    for (auto& member : *object) draw_nothing(member.value());
}

class NftRule {
public:
    NftRule(const ChainName& chain, const Objects& objects) : chain_{chain}, objects_{objects} {}

    void read(const json::array& expr) {
        for (const auto& part : expr)
            if (const auto* object = part.if_object(); object != nullptr && !object->empty())
                stops_ = stops_ || one_of(object->begin()->key(), {"drop", "reject"});
        for (const auto& part : expr) {
            const auto* object = part.if_object();
            if (object == nullptr || object->empty()) {
                rule.settles = false, rule.decides = true;  // a chain inside of the rule, which libnftables 1.0.6 writes as text
                keep(part);
                continue;
            }
            const std::string_view what = object->begin()->key();
            const auto& body = object->begin()->value();
            if (one_of(what, {"accept", "drop", "reject", "jump", "goto", "return", "queue", "dnat", "snat", "redirect", "masquerade", "mangle", "tproxy",
                              "synproxy", "vmap"}))
                rule.decides = true;
            if (one_of(what, {"set", "map"}) && body.is_object() && body.get_object().contains("op")) {
                fills(body.get_object());
            } else if (what == "meter" && body.is_object()) {
                keyed(body.get_object(), "key", body.get_object().if_contains("stmt"));
            } else if (const auto asking = decides_by(what, body)) {
                settle(*asking, part);
            } else if (by_chance(part)) {
                asks_ = true;
                auto drawn = part;
                draw_nothing(drawn);
                keep(drawn);
            } else {
                keep(part);
            }
        }
        std::ranges::sort(rule.limits);
    }

    bool asks() const { return asks_; }
    PastRule rule;
    std::array<json::array, 4> as;  // by Past

private:
    void keep(const json::value& part) {
        for (auto& expr : as) expr.push_back(part);
    }

    // A set, before packets fill it, holds what it was loaded with: that is still looked for.
    void settle(const Asking& asking, const json::value& part = nullptr) {
        asks_ = true;
        rule.limits.push_back(asking.limit);
        for (const auto past : pasts_all) {
            auto& expr = as[static_cast<std::size_t>(past)];
            if (asking.limit.sort == Limit::Sort::set && (past == Past::nothing || past == Past::limits_used_up))
                expr.push_back(part);
            else if (!asking.goes_on(past))
                expr.push_back(never());
        }
    }

    std::optional<Asking> decides_by(std::string_view what, const json::value& body) const {
        if (const auto* name = body.if_string(); name != nullptr && one_of(what, {"limit", "quota"})) {
            const auto found = objects_.limits_and_quotas.find(named(chain_, *name));
            if (found == objects_.limits_and_quotas.end()) return std::nullopt;
            return counted(what, what == "limit" ? found->second.first : found->second.second);
        }
        const auto* object = body.if_object();
        if (object == nullptr) return std::nullopt;
        if (const auto asking = counted(what, *object)) return asking;
        if (what != "match") return std::nullopt;
        const auto *left = object->if_contains("left"), *right = object->if_contains("right");
        if (left == nullptr || right == nullptr) return std::nullopt;
        // At first chance lets packets through: what else is asked of them shows only then.
        if (by_chance(*left)) return Asking{{Limit::Sort::chance, 0, 0, json::serialize(*object)}, !stops_, stops_};
        if (const auto* name = right->if_string(); name != nullptr && name->starts_with("@") && objects_.filled.contains(named(chain_, *name))) {
            return Asking{{Limit::Sort::set, 0, 0, ""}, true, text_at(*object, "op") != "!="};
        }
        return std::nullopt;
    }

    void fills(const json::object& body) {
        asks_ = true;
        const auto* statements = body.if_contains("stmt");
        if (statements != nullptr) keyed(body, "elem", statements);
    }

    // A limit for each value of a key.
    void keyed(const json::object& body, std::string_view key, const json::value* statements) {
        asks_ = true;
        const auto each = [&](const json::value& statement) {
            const auto* one = statement.if_object();
            if (one == nullptr || one->empty()) return;
            const auto* inner = one->begin()->value().if_object();
            if (inner == nullptr) return;
            if (auto asking = counted(one->begin()->key(), *inner)) {
                if (const auto* value = body.if_contains(key)) asking->limit.of = json::serialize(*value);
                settle(*asking);
            }
        };
        if (statements == nullptr) return;
        if (const auto* list = statements->if_array()) {
            for (const auto& statement : *list) each(statement);
        } else {
            each(*statements);
        }
    }

    const ChainName chain_;
    const Objects& objects_;
    bool asks_ = false, stops_ = false;
};

// --- iptables

// The words of a saved rule; what is in quotes is one.
std::vector<std::string_view> saved_words(std::string_view line) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; at < line.size();) {
        if (line[at] == ' ') {
            ++at;
            continue;
        }
        auto end = at;
        for (bool quoted = false; end < line.size() && (quoted || line[end] != ' '); ++end) {
            if (line[end] == '\\' && end + 1 < line.size())
                ++end;
            else if (line[end] == '"')
                quoted = !quoted;
        }
        end = std::min(end, line.size());
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

double number_in(std::string_view word) {
    double number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    return number;
}

double rate_of(std::string_view word) {  // "10/sec", "512kb/s"
    const auto slash = word.find('/');
    const auto unit = slash == std::string_view::npos ? std::string_view{} : word.substr(slash + 1);
    return number_in(word) *
           (word.find("kb/") != std::string_view::npos   ? 1024
            : word.find("mb/") != std::string_view::npos ? 1024 * 1024
                                                         : 1) /
           seconds_of(unit);
}

// What an extension of iptables asks of the past: its words, without `-m NAME`.
std::optional<Asking> extension(std::string_view name, const std::vector<std::string_view>& words, bool stops) {
    if (!one_of(name, {"limit", "hashlimit", "connlimit", "statistic", "recent", "quota"})) return std::nullopt;
    const auto has = [&](std::string_view word) { return std::ranges::find(words, word) != words.end(); };
    const auto behind = [&](std::string_view word) {
        const auto found = std::ranges::find(words, word);
        return found == words.end() || found + 1 == words.end() ? std::string_view{} : *(found + 1);
    };
    const bool inverted = !words.empty() && words.front() == "!";
    Asking asking;
    auto& limit = asking.limit;
    if (name == "limit") {
        limit = {Limit::Sort::packets, rate_of(behind("--limit")), has("--limit-burst") ? number_in(behind("--limit-burst")) : 5, ""};
    } else if (name == "hashlimit") {
        const bool above = has("--hashlimit-above");
        const auto rate = behind(above ? "--hashlimit-above" : "--hashlimit-upto");
        limit = {rate.find("b/") == std::string_view::npos ? Limit::Sort::packets : Limit::Sort::bytes, rate_of(rate), number_in(behind("--hashlimit-burst")),
                 std::string{behind("--hashlimit-mode")}};
        asking.at_first = !above, asking.later = above;
    } else if (name == "connlimit") {
        const bool above = has("--connlimit-above") != inverted;
        limit = {Limit::Sort::connections, number_in(behind(has("--connlimit-above") ? "--connlimit-above" : "--connlimit-upto")), 0,
                 std::string{behind("--connlimit-mask")} + (has("--connlimit-daddr") ? " daddr" : "")};
        asking.at_first = !above || limit.amount == 0, asking.later = above;
    } else if (name == "quota") {
        limit = {Limit::Sort::quota, number_in(behind("--quota")), 0, ""};
        asking.at_first = !inverted, asking.later = inverted;
    } else {
        limit.sort = name == "recent" ? Limit::Sort::set : Limit::Sort::chance;
        for (const auto word : words) limit.of += (limit.of.empty() ? "" : " ") + std::string{word};
        if (name == "recent") {
            const bool looks = !has("--set");  // who is put in is always met
            asking.at_first = looks ? inverted : !inverted, asking.later = looks ? !inverted : !inverted;
        } else {
            asking.at_first = !stops, asking.later = stops;
        }
    }
    return asking;
}

struct SavedRule {
    PastRule rule;
    bool asks = false;
    std::array<std::string, 4> as;
};

SavedRule settle_saved(std::string_view line) {
    SavedRule saved;
    const auto words = saved_words(line);
    const auto verdict = std::ranges::find(words, "-j");
    const bool stops = verdict != words.end() && verdict + 1 != words.end() && one_of(*(verdict + 1), {"DROP", "REJECT"});
    std::array<bool, 4> met{true, true, true, true};  // by Past
    std::string rest;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "-m" && i + 1 < words.size()) {
            auto end = i + 2;
            while (end < words.size() && !one_of(words[end], {"-m", "-j", "-g"})) ++end;
            const std::vector<std::string_view> own(words.begin() + static_cast<std::ptrdiff_t>(i + 2), words.begin() + static_cast<std::ptrdiff_t>(end));
            if (const auto asking = extension(words[i + 1], own, stops)) {
                saved.asks = true;
                saved.rule.limits.push_back(asking->limit);
                for (const auto past : pasts_all) met[static_cast<std::size_t>(past)] &= asking->goes_on(past);
                i = end - 1;
                continue;
            }
        }
        if (one_of(words[i], {"-j", "-g"}) && i + 1 < words.size()) saved.rule.decides = !one_of(words[i + 1], {"LOG", "NFLOG", "SET"});
        rest += (rest.empty() ? "" : " ") + std::string{words[i]};
    }
    std::ranges::sort(saved.rule.limits);
    const auto never_met = words.size() > 1 ? "-A " + std::string{words[1]} + " -m length --length 0" : std::string{};
    for (std::size_t past = 0; past < met.size(); ++past) saved.as[past] = met[past] ? rest : never_met;
    return saved;
}

}  // namespace

bool PastRule::asks_of_sets() const { return std::ranges::find(limits, Limit::Sort::set, &Limit::sort) != limits.end(); }
bool PastRule::asks_of_limits() const {
    return std::ranges::any_of(limits, [](const Limit& limit) { return limit.sort != Limit::Sort::set; });
}

PastRules PastRules::of_nft(std::string_view text) {
    const auto parsed = json::parse(text);
    const auto* items = parsed.is_object() ? parsed.get_object().if_contains("nftables") : nullptr;
    if (items == nullptr || !items->is_array()) throw std::runtime_error("nft's JSON has no `nftables` list");
    const auto each = [&](const auto& visit) {
        for (const auto& item : items->get_array()) {
            const auto* wrapper = item.if_object();
            if (wrapper == nullptr || wrapper->empty()) continue;
            if (const auto* body = wrapper->begin()->value().if_object())
                visit(std::string_view{wrapper->begin()->key()}, *body, ChainName{text_at(*body, "family"), text_at(*body, "table"), text_at(*body, "chain")});
        }
    };
    Objects objects;
    each([&](std::string_view kind, const json::object& body, const ChainName& chain) {
        const auto name = named(chain, text_at(body, "name"));
        if (kind == "limit") objects.limits_and_quotas[name].first = body;
        if (kind == "quota") objects.limits_and_quotas[name].second = body;
        if (const auto* expr = kind == "rule" ? body.if_contains("expr") : nullptr)
            each_member(*expr, [&](std::string_view what, const json::value& inner) {
                const auto* statement = inner.if_object();
                if (one_of(what, {"set", "map"}) && statement && one_of(text_at(*statement, "op"), {"add", "update"}))
                    objects.filled.insert(named(chain, text_at(*statement, what)));
            });
    });
    PastRules all;
    std::map<ChainName, std::size_t> positions;
    each([&](std::string_view kind, const json::object& body, const ChainName& chain) {
        if (kind != "rule") return;
        const auto position = positions[chain]++;
        const auto* expr = body.if_contains("expr");
        if (expr == nullptr || !expr->is_array()) return;
        NftRule rule{chain, objects};
        rule.read(expr->get_array());
        if (!rule.asks()) return;
        rule.rule.chain = chain, rule.rule.position = position;
        const auto command = [&](json::array&& settled) {
            if (settled.empty()) settled.push_back(json::object{{"counter", nullptr}});
            const json::object old{{"family", chain.family}, {"table", chain.table}, {"chain", chain.chain}, {"handle", number_at(body, "handle")}};
            auto put = old;  // before it; `replace` ends libnftables 1.0.6 where the rule has a range in a set
            put["expr"] = std::move(settled);
            return json::serialize(json::object{{"insert", json::object{{"rule", std::move(put)}}}}) + "," +
                   json::serialize(json::object{{"delete", json::object{{"rule", old}}}});
        };
        auto& settled = all.settled_.emplace_back();
        for (std::size_t past = 0; past < settled.as.size(); ++past) settled.as[past] = command(std::move(rule.as[past]));
        all.rules_.push_back(std::move(rule.rule));
    });
    return all;
}

PastRules PastRules::of_iptables(std::string_view saved) {
    PastRules all;
    std::string table;
    std::map<ChainName, std::size_t> positions;
    std::istringstream lines{std::string{saved}};
    for (std::string line; std::getline(lines, line); all.lines_.push_back(line)) {
        if (line.starts_with('*')) table = line.substr(1);
        if (!line.starts_with("-A ")) continue;
        const auto words = saved_words(line);
        if (words.size() < 2) continue;
        const ChainName chain{"ip", table, std::string{words[1]}};
        const auto position = positions[chain]++;
        auto rule = settle_saved(line);
        if (!rule.asks) continue;
        rule.rule.chain = chain, rule.rule.position = position;
        all.rules_.push_back(std::move(rule.rule));
        all.settled_.push_back({std::move(rule.as), all.lines_.size()});
    }
    return all;
}

std::string PastRules::with(const std::vector<Past>& pasts, std::optional<std::size_t> only) const {
    const auto settled = [&](std::size_t i) -> const std::string& {
        return settled_[i].as[static_cast<std::size_t>(i < pasts.size() ? pasts[i] : Past::nothing)];
    };
    std::string text;
    if (!lines_.empty()) {
        auto lines = lines_;
        for (std::size_t i = 0; i < rules_.size(); ++i) lines[settled_[i].line] = settled(i);
        for (const auto& line : lines) text += line + "\n";
        return rules_.empty() ? std::string{} : text;
    }
    for (std::size_t i = 0; i < rules_.size(); ++i)
        if (rules_[i].settles && (!only || *only == i)) text += (text.empty() ? "" : ",") + settled(i);
    return text.empty() ? text : R"({"nftables":[)" + text + "]}";
}

LimitChange compare_limits(const std::vector<Limit>& before, const std::vector<Limit>& after) {
    if (before == after) return LimitChange::none;
    if (before.size() != after.size()) return LimitChange::other;
    bool higher = false, lower = false;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const auto &was = before[i], &is = after[i];
        if (was.sort != is.sort || was.of != is.of) return LimitChange::other;
        higher = higher || is.amount > was.amount || is.burst > was.burst;
        lower = lower || is.amount < was.amount || is.burst < was.burst;
    }
    return higher == lower ? LimitChange::other : higher ? LimitChange::higher : LimitChange::lower;
}

}  // namespace wmlab::lab::rules
