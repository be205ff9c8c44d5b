#include "lab/rules/match.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

using Result = Condition::Result;

// One side of a comparison: a number (ports, addresses as numbers) or a word (interfaces, protocols, states).
struct Value {
    std::string key;
    std::optional<std::uint64_t> number;
    std::string word;
    enum class Kind { port, address, word } kind = Kind::word;
    std::string text() const {
        if (kind == Kind::address) return scenario::Ipv4{static_cast<std::uint32_t>(*number)}.text();
        return number ? std::to_string(*number) : word;
    }
};

std::optional<std::uint64_t> number_of(const json::value& value) {
    if (value.is_int64()) return static_cast<std::uint64_t>(value.get_int64());
    if (value.is_uint64()) return value.get_uint64();
    if (const auto* text = value.if_string()) {
        if (const auto address = scenario::Ipv4::from(*text)) return address->value;
        static const std::map<std::string, std::uint64_t, std::less<>> services = {
            {"http", 80},   {"https", 443}, {"ssh", 22},        {"telnet", 23},
            {"domain", 53}, {"epmap", 135}, {"afs3-bos", 7007}, {"webcache", 8080}};
        if (const auto found = services.find(std::string_view{*text}); found != services.end()) return found->second;
    }
    return std::nullopt;
}

std::string text_of(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string{*text};
    return json::serialize(value);
}

// Unwraps {"elem": {"val": x, ...}}: an element with a comment, counter or timeout.
const json::value& plain(const json::value& value) {
    if (const auto* object = value.if_object())
        if (const auto* elem = object->if_contains("elem"); elem && elem->is_object())
            if (const auto* inner = elem->get_object().if_contains("val")) return *inner;
    return value;
}

struct Range {
    std::uint64_t first = 0, last = 0;
};
std::optional<Range> range_of(const json::value& value) {
    if (const auto number = number_of(value)) return Range{*number, *number};
    const auto* object = value.if_object();
    if (!object) return std::nullopt;
    if (const auto* range = object->if_contains("range");
        range && range->is_array() && range->get_array().size() == 2) {
        const auto first = number_of(range->get_array()[0]), last = number_of(range->get_array()[1]);
        if (first && last) return Range{*first, *last};
    }
    if (const auto* prefix = object->if_contains("prefix"); prefix && prefix->is_object()) {
        const auto* address = prefix->get_object().if_contains("addr");
        const auto* length = prefix->get_object().if_contains("len");
        const auto first = address ? number_of(*address) : std::nullopt;
        if (first && length && length->is_int64() && length->get_int64() >= 0 && length->get_int64() <= 32) {
            const auto host_bits = 32 - length->get_int64();
            const auto mask = (std::uint64_t{1} << host_bits) - 1;
            return Range{*first & ~mask, *first | mask};
        }
    }
    return std::nullopt;
}

// What the packet has where the rule looks (the left side). Nothing: the packet cannot have it, or this code does not
// know it.
struct Left {
    std::optional<Value> value;
    std::optional<Condition> decided;  // the packet's protocol decides already
};
Left left_of(const json::value& left, const Packet& packet) {
    const auto* object = left.if_object();
    if (!object || object->empty()) return {};
    const std::string_view what = object->begin()->key();
    const auto* body = object->begin()->value().if_object();
    if (!body) return {};
    const auto get = [&](std::string_view key) {
        const auto* value = body->if_contains(key);
        return value ? text_of(*value) : std::string{};
    };
    const auto word = [](std::string key, std::string text) {
        return Left{Value{std::move(key), {}, std::move(text), Value::Kind::word}, {}};
    };
    if (what == "meta") {
        const auto key = get("key");
        if (key == "iifname" || key == "iif") return packet.in.empty() ? Left{} : word("input interface", packet.in);
        if (key == "oifname" || key == "oif") return packet.out.empty() ? Left{} : word("output interface", packet.out);
        if (key == "l4proto") return word("protocol", packet.protocol);
        if (key == "nfproto") return word("family", "ipv4");
        if (key == "protocol") return word("family", "ip");
        return {};
    }
    if (what == "ct") {
        if (get("key") != "state" || packet.ct_state.empty()) return {};
        return word("connection state", packet.ct_state);
    }
    if (what != "payload") return {};
    const auto protocol = get("protocol"), field = get("field");
    if (protocol == "ip") {
        if (field == "saddr") return {Value{"source address", packet.source.value, {}, Value::Kind::address}, {}};
        if (field == "daddr")
            return {Value{"destination address", packet.destination.value, {}, Value::Kind::address}, {}};
        if (field == "protocol") return word("protocol", packet.protocol);
        return {};
    }
    if (protocol == "tcp" || protocol == "udp" || protocol == "th" || protocol == "icmp" || protocol == "igmp") {
        const bool ports = packet.protocol == "tcp" || packet.protocol == "udp";
        const auto port = field == "sport" ? packet.source_port : packet.destination_port;
        std::optional<Value> value;
        if (ports && (field == "sport" || field == "dport"))
            value = Value{field == "sport" ? "source port" : "destination port", port, {}, Value::Kind::port};
        std::optional<Condition> decided;
        if (protocol != "th" && protocol != packet.protocol)
            decided = Condition{
                Result::no, "protocol", "protocol is " + packet.protocol + ", the rule is for " + protocol, true, 1, 0};
        return {value, decided};
    }
    return {};
}

// Is the value among these alternatives? Says how far off it is.
struct Membership {
    Result result = Result::unknown;
    std::string difference;
    std::uint32_t distance = 0;
};

bool word_matches(const std::string& pattern, const std::string& word) {
    return ::fnmatch(pattern.c_str(), word.c_str(), 0) == 0;
}

std::string above_or_below(const Value& value, const Range& range) {
    const auto bound = *value.number > range.last ? range.last : range.first;
    return value.key + " " + value.text() + " is " + (*value.number > range.last ? "above " : "below ") +
           std::to_string(bound);
}

Membership in_alternatives(const Value& value, const json::array& alternatives, const std::string& name) {
    Membership nearest{Result::no, {}, UINT32_MAX};
    std::optional<Range> closest;
    std::string listed;
    for (const auto& wrapped : alternatives) {
        const auto& alternative = plain(wrapped);
        if (value.number) {
            const auto range = range_of(alternative);
            if (!range) return {};
            if (range->first <= *value.number && *value.number <= range->last) return {Result::yes, {}, 0};
            const auto distance =
                *value.number > range->last ? *value.number - range->last : range->first - *value.number;
            if (distance < nearest.distance) {
                nearest.distance = static_cast<std::uint32_t>(std::min<std::uint64_t>(distance, UINT32_MAX - 1));
                closest = range;
            }
        } else {
            if (!alternative.is_string()) return {};
            if (word_matches(text_of(alternative), value.word)) return {Result::yes, {}, 0};
            listed += (listed.empty() ? "" : ", ") + text_of(alternative);
            nearest.distance = 0;
        }
    }
    if (!name.empty()) {
        nearest.difference = value.key + " " + value.text() + " is not in set " + name;
    } else if (value.kind == Value::Kind::port && closest && alternatives.size() == 1 &&
               closest->first != closest->last) {
        nearest.difference = above_or_below(value, *closest);
    } else if (value.kind == Value::Kind::port && closest && closest->first != closest->last) {
        nearest.difference = above_or_below(value, *closest) + ", the end of the nearest range";
    } else if (value.number && closest && alternatives.size() == 1 && closest->first == closest->last) {
        Value wanted = value;
        wanted.number = closest->first;
        nearest.difference = value.key + " is " + value.text() + ", the rule wants " + wanted.text();
    } else if (value.number) {
        nearest.difference = value.key + " " + value.text() + " is not among the rule's";
        // A rule about multicast groups is another matter than a rule about hosts.
        const auto group = [](std::uint64_t address) { return address >> 28 == 0xE; };
        if (value.kind == Value::Kind::address && closest && group(closest->first) != group(*value.number)) return {};
    } else {
        nearest.difference = value.key + " is " + value.word + ", the rule wants " + listed;
    }
    if (value.kind != Value::Kind::port) nearest.distance = 0;
    return nearest;
}

Membership membership(const Ruleset& ruleset, const Rule& rule, const Value& value, const json::value& right) {
    if (const auto* object = right.if_object()) {
        if (const auto* set = object->if_contains("set"); set && set->is_array())
            return in_alternatives(value, set->get_array(), {});
    }
    if (const auto* list = right.if_array()) return in_alternatives(value, *list, {});
    if (const auto* text = right.if_string(); text && text->starts_with("@")) {
        const auto name = std::string{*text}.substr(1);
        const auto* elements = ruleset.set_elements(rule.chain, name);
        return elements ? in_alternatives(value, *elements, name) : Membership{};
    }
    return in_alternatives(value, json::array{right}, {});
}

Condition compare_match(const Ruleset& ruleset, const Rule& rule, const json::object& match, const Packet& packet) {
    Condition condition;
    const auto* left = match.if_contains("left");
    const auto* right = match.if_contains("right");
    const auto* op = match.if_contains("op");
    if (!left || !right || !op) return condition;
    const auto operation = text_of(*op);
    auto found = left_of(*left, packet);
    if (found.decided) {  // another protocol; the port may differ besides
        if (found.value && membership(ruleset, rule, *found.value, *right).result != Result::yes)
            found.decided->weight = 2;
        return *found.decided;
    }
    if (!found.value) return condition;
    const auto& value = *found.value;
    condition.key = value.key;
    condition.by_set = right->is_string() && right->get_string().starts_with("@");
    condition.selective = value.key != "connection state" && value.key != "family" && value.key != "protocol";
    if (operation == "==" || operation == "in") {
        const auto member = membership(ruleset, rule, value, *right);
        condition.result = member.result;
        condition.difference = member.difference;
        condition.distance = member.distance;
        if (member.result == Result::yes) condition.difference.clear();
    } else if (operation == "!=") {
        const auto member = membership(ruleset, rule, value, *right);
        if (member.result == Result::unknown) return condition;
        condition.result = member.result == Result::yes ? Result::no : Result::yes;
        if (condition.result == Result::no)
            condition.difference = value.key + " is " + value.text() + ", which the rule leaves out";
    } else if (value.number) {
        const auto bound = number_of(*right);
        if (!bound) return condition;
        const auto n = *value.number;
        const bool holds = operation == "<"    ? n < *bound
                           : operation == "<=" ? n <= *bound
                           : operation == ">"  ? n > *bound
                                               : n >= *bound;
        condition.result = holds ? Result::yes : Result::no;
        if (!holds) {
            condition.difference =
                value.key + " " + value.text() + " is not " + operation + " " + std::to_string(*bound);
            condition.distance = static_cast<std::uint32_t>(n > *bound ? n - *bound : *bound - n);
        }
    }
    return condition;
}

// `tcp dport vmap { ... }` and concatenations are not taken apart: unknown.
bool is_condition(std::string_view what) {
    return what == "match" || what == "vmap" || what == "xt" || what == "fib" || what == "limit" || what == "quota" ||
           what == "dynset" || what == "set" || what == "ct count";
}

}  // namespace

unsigned Comparison::count(Condition::Result result) const {
    unsigned sum = 0;
    for (const auto& condition : conditions)
        if (condition.result == result) sum += condition.weight;
    return sum;
}

Comparison compare(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    Comparison comparison;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (!object || object->empty()) continue;
        const std::string_view what = object->begin()->key();
        const auto& body = object->begin()->value();
        if (what == "accept") comparison.accepts = true;
        if (what == "drop" || what == "reject") comparison.drops = true;
        if (what == "match" && body.is_object()) {
            comparison.conditions.push_back(compare_match(ruleset, rule, body.get_object(), packet));
        } else if (what == "limit") {
            const auto* limit = body.if_object();
            const auto* over = limit ? limit->if_contains("inv") : nullptr;  // `limit rate over`: who sends too much
            const bool within = !over || !over->is_bool() || !over->get_bool();
            comparison.conditions.push_back({within ? Result::yes : Result::unknown, "limit", {}, false, 1, 0});
        } else if (is_condition(what)) {
            const auto* extension = body.if_object();
            const auto* name = extension ? extension->if_contains("name") : nullptr;
            if (what == "xt" && name && (text_of(*name) == "comment" || text_of(extension->at("type")) == "target"))
                continue;
            comparison.conditions.push_back({});
        }
    }
    return comparison;
}

namespace {

constexpr std::uint32_t port_distance_max = 16;

struct Candidate {
    const Rule* rule;
    Condition differs;
    unsigned fits;  // selective conditions that hold
};

// The packet as it would look going the other way.
Packet reversed(Packet packet) {
    std::swap(packet.in, packet.out);
    std::swap(packet.source, packet.destination);
    return packet;
}

std::optional<Candidate> candidate_from(const Ruleset& ruleset, const Rule& rule, const Comparison& comparison,
                                        const Packet& packet) {
    if (!comparison.accepts || comparison.count(Result::unknown) > 0) return std::nullopt;
    Candidate candidate{&rule, {}, 0};
    for (const auto& condition : comparison.conditions) {
        if (condition.result == Result::no)
            candidate.differs = condition;
        else if (condition.selective)
            ++candidate.fits;
    }
    if (comparison.count(Result::no) >= 2) {
        const auto other_way = compare(ruleset, rule, reversed(packet));
        if (!other_way.matches()) return std::nullopt;
        candidate.differs = {
            Result::no, "direction", "the rule is for the other direction, " + packet.out + " to " + packet.in,
            true,       1,           0};
        return candidate;
    }
    if (comparison.count(Result::no) != 1) return std::nullopt;
    // `ct state established accept` differs from every first packet: that says nothing. So does a bare port far away.
    if (candidate.differs.key == "connection state") return std::nullopt;
    const bool near_port = candidate.differs.key.ends_with("port") && candidate.differs.distance <= port_distance_max;
    if (candidate.fits == 0 && !near_port) return std::nullopt;
    // A rule for one port says nothing about a port far from it; a set may well lack an element.
    const bool one_port = candidate.differs.key.ends_with("port") &&
                          candidate.differs.difference.find(", the rule wants ") != std::string::npos;
    if (one_port && !near_port) return std::nullopt;
    return candidate;
}

void collect(const Ruleset& ruleset, const ChainName& name, const Packet& packet, std::set<ChainName>& visited,
             std::vector<Candidate>& out) {
    if (!visited.insert(name).second) return;
    const auto* chain = ruleset.chain(name);
    if (!chain) return;
    for (const auto index : chain->rules) {
        const auto& rule = ruleset.rules()[index];
        const auto comparison = compare(ruleset, rule, packet);
        if (const auto candidate = candidate_from(ruleset, rule, comparison, packet)) out.push_back(*candidate);
        if (comparison.count(Result::no) > 0) continue;
        for (const auto& part : rule.expr) {
            const auto* object = part.if_object();
            if (!object || object->empty()) continue;
            const std::string_view what = object->begin()->key();
            if (what != "jump" && what != "goto") continue;
            const auto* body = object->begin()->value().if_object();
            if (const auto* target = body ? body->if_contains("target") : nullptr)
                collect(ruleset, {name.family, name.table, text_of(*target)}, packet, visited, out);
        }
    }
}

}  // namespace

std::optional<NearMiss> near_miss(const Ruleset& ruleset, const ChainName& chain, const Packet& packet) {
    std::vector<Candidate> candidates;
    std::set<ChainName> visited;
    collect(ruleset, chain, packet, visited, candidates);
    if (candidates.empty()) return std::nullopt;
    // A port just beside what a rule allows is the likeliest slip of all; then the rule that agrees in most.
    const auto beside = [](const Candidate& c) {
        return c.differs.key.ends_with("port") && c.differs.distance <= port_distance_max;
    };
    const auto nearer = [&](const Candidate& a, const Candidate& b) {
        if (beside(a) != beside(b)) return beside(a);
        if (a.fits != b.fits) return a.fits > b.fits;
        return a.differs.distance < b.differs.distance;
    };
    std::ranges::stable_sort(candidates, nearer);
    if (candidates.size() > 1 && !nearer(candidates[0], candidates[1])) {
        // Two rules are equally near: only name one if they differ in the same way from the packet.
        if (candidates[0].differs.difference != candidates[1].differs.difference) return std::nullopt;
    }
    return NearMiss{candidates[0].rule, candidates[0].differs.difference};
}

}  // namespace wmlab::lab::rules
