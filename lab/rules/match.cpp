#include "lab/rules/match.hpp"

#include <fnmatch.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <set>

#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
namespace {

using Result = Condition::Result;
using Kind = Difference::Kind;

// One side of a comparison: a number (ports, addresses as numbers) or a word (interfaces, protocols, states).
struct Value {
    Subject subject = Subject::unknown;
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

// What the left side of a condition is about: "meta mark", "tcp flags".
std::string subject_of(const json::value& left) {
    const auto* object = left.if_object();
    if (!object || object->empty()) return "a value";
    const std::string what{object->begin()->key()};
    if (what == "&" || what == "|" || what == "^" || what == "<<" || what == ">>") {
        const auto* sides = object->begin()->value().if_array();
        return sides && !sides->empty() ? subject_of((*sides)[0]) : what;
    }
    const auto* body = object->begin()->value().if_object();
    if (!body) return what;
    const auto text = [&](std::string_view key) {
        const auto* value = body->if_contains(key);
        return value && value->is_string() ? std::string{value->get_string()} : std::string{};
    };
    if (what == "payload" && !text("protocol").empty()) return text("protocol") + " " + text("field");
    return text("key").empty() ? what : what + " " + text("key");
}

// A header that a packet of another protocol does not have: `tcp flags & (syn | ack)`. Empty: none such.
std::string header_of(const json::value& left) {
    const auto* object = left.if_object();
    if (!object || object->empty()) return {};
    const std::string_view what = object->begin()->key();
    if (const auto* sides = object->begin()->value().if_array(); sides && !sides->empty())
        return header_of((*sides)[0]);
    if (what == "tcp option") return "tcp";
    const auto* body = object->begin()->value().if_object();
    const auto* protocol = what == "payload" && body ? body->if_contains("protocol") : nullptr;
    const auto text = protocol ? text_of(*protocol) : std::string{};
    return text == "tcp" || text == "udp" || text == "icmp" || text == "igmp" ? text : std::string{};
}

Condition for_protocol(const std::string& has, const std::string& wants) {
    return {Result::no, Subject::protocol, {Kind::other_protocol, Subject::protocol, has, wants}, true, 1, 0};
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
    const auto word = [](Subject subject, std::string text) {
        return Left{Value{subject, {}, std::move(text), Value::Kind::word}, {}};
    };
    if (what == "meta") {
        const auto key = get("key");
        if (key == "iifname" || key == "iif") return packet.in.empty() ? Left{} : word(Subject::input_interface, packet.in);
        if (key == "oifname" || key == "oif") return packet.out.empty() ? Left{} : word(Subject::output_interface, packet.out);
        if (key == "l4proto") return word(Subject::protocol, packet.protocol);
        if (key == "nfproto") return word(Subject::family, "ipv4");
        if (key == "protocol") return word(Subject::family, "ip");
        return {};
    }
    if (what == "ct") {
        if (get("key") != "state" || packet.ct_state.empty()) return {};
        return word(Subject::connection_state, packet.ct_state);
    }
    if (what != "payload") return {};
    const auto protocol = get("protocol"), field = get("field");
    if (protocol == "ip") {
        if (field == "saddr") return {Value{Subject::source_address, packet.source.value, {}, Value::Kind::address}, {}};
        if (field == "daddr")
            return {Value{Subject::destination_address, packet.destination.value, {}, Value::Kind::address}, {}};
        if (field == "protocol") return word(Subject::protocol, packet.protocol);
        return {};
    }
    if (protocol == "tcp" || protocol == "udp" || protocol == "th" || protocol == "icmp" || protocol == "igmp") {
        const bool ports = packet.protocol == "tcp" || packet.protocol == "udp";
        const auto port = field == "sport" ? packet.source_port : packet.destination_port;
        std::optional<Value> value;
        if (ports && (field == "sport" || field == "dport"))
            value = Value{field == "sport" ? Subject::source_port : Subject::destination_port, port, {}, Value::Kind::port};
        std::optional<Condition> decided;
        if (protocol != "th" && protocol != packet.protocol)
            decided = for_protocol(packet.protocol, protocol);
        return {value, decided};
    }
    return {};
}

// Is the value among these alternatives? Says how far off it is.
struct Membership {
    Result result = Result::unknown;
    Difference difference = {};
    std::uint32_t distance = 0;
    bool far = false;  // a short range of ports, far away: another service
};

bool word_matches(const std::string& pattern, const std::string& word) {
    return ::fnmatch(pattern.c_str(), word.c_str(), 0) == 0;
}

Difference above_or_below(const Value& value, const Range& range, bool of_several) {
    const bool above = *value.number > range.last;
    return {above ? Kind::above : Kind::below, value.subject, value.text(), std::to_string(above ? range.last : range.first), of_several};
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
        nearest.difference = {Kind::not_in_set, value.subject, value.text(), name};
    } else if (value.kind == Value::Kind::port && closest && alternatives.size() == 1 &&
               closest->first != closest->last) {
        nearest.difference = above_or_below(value, *closest, false);
        nearest.far = nearest.distance > 4 * (closest->last - closest->first + 1);
    } else if (value.kind == Value::Kind::port && closest && closest->first != closest->last) {
        nearest.difference = above_or_below(value, *closest, true);
    } else if (value.number && closest && alternatives.size() == 1 && closest->first == closest->last) {
        Value wanted = value;
        wanted.number = closest->first;
        nearest.difference = {Kind::wanted, value.subject, value.text(), wanted.text()};
    } else if (value.number) {
        nearest.difference = {Kind::not_among, value.subject, value.text(), {}};
        // A rule about multicast groups is another matter than a rule about hosts.
        const auto group = [](std::uint64_t address) { return address >> 28 == 0xE; };
        if (value.kind == Value::Kind::address && closest && group(closest->first) != group(*value.number)) return {};
    } else {
        nearest.difference = {Kind::wanted, value.subject, value.word, listed};
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

// The parts of a concatenation's value: `10.10.0.10 . tcp . 1755`.
std::vector<json::value> parts_of(const json::value& wrapped) {
    const auto& element = plain(wrapped);
    const auto* object = element.if_object();
    const auto* concat = object ? object->if_contains("concat") : nullptr;
    if (const auto* array = concat ? concat->if_array() : nullptr) return {array->begin(), array->end()};
    return {};
}

// How far the packet is from what was wanted, for ranking: a port beside the range comes before all that is no number.
std::uint32_t slip(const Condition& c) { return is_port(c.subject) ? c.distance : near_ports; }

constexpr std::size_t concatenations_max = 2000;  // of a longer set nothing is said

// Of a concatenation the element nearest to the packet counts: the one that differs in the fewest parts.
Condition compare_concatenation(const json::array& keys, const json::array& elements, const Packet& packet,
                                const std::string& name) {
    Condition condition;
    if (elements.size() > concatenations_max) return condition;
    std::vector<Left> lefts;
    std::string words;
    for (const auto& key : keys) {
        lefts.push_back(left_of(key, packet));
        if (lefts.back().decided) {
            condition = *lefts.back().decided;
            condition.weight = 2;
            return condition;
        }
        if (!lefts.back().value) return {};
        words += (words.empty() ? "" : " . ") + lefts.back().value->text();
    }
    condition = {Result::no, Subject::concatenation, {}, true, UINT32_MAX, UINT32_MAX};
    const Difference none_of_them{Kind::not_among, Subject::concatenation, words, {}};
    for (const auto& element : elements) {
        const auto parts = parts_of(element);
        if (parts.size() != lefts.size()) return {};
        Condition here{Result::yes, Subject::concatenation, {}, true, 0, 0};
        Difference differs;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            const auto member = in_alternatives(*lefts[i].value, json::array{parts[i]}, {});
            if (member.result == Result::unknown) return {};
            if (member.result == Result::yes) continue;
            here.result = Result::no;
            ++here.weight;
            here.distance = member.distance;
            here.subject = lefts[i].value->subject;
            here.far = member.far;
            differs = member.difference;
        }
        if (here.result == Result::yes) {
            here.weight = 1;
            here.others = static_cast<unsigned>(parts.size()) - 1;
            return here;
        }
        if (std::pair{here.weight, slip(here)} > std::pair{condition.weight, slip(condition)}) continue;
        const bool equal = here.weight == condition.weight && slip(here) == slip(condition);
        condition = here;
        condition.others = static_cast<unsigned>(parts.size()) - here.weight;
        condition.difference = equal || here.weight > 1 ? none_of_them : differs;
    }
    if (elements.empty()) condition.weight = 1, condition.difference = none_of_them;
    if (!name.empty()) condition.difference = {Kind::not_in_set, Subject::concatenation, words, name};
    return condition;
}

Difference unmet(std::string written) { return {Kind::unmet, Subject::unknown, {}, std::move(written)}; }

// The elements a condition looks in: of a set by name, or those written in the rule.
struct Elements {
    const json::array* list = nullptr;
    std::string name;  // of the set; empty: written in the rule
};
Elements elements_of(const Ruleset& ruleset, const Rule& rule, const json::value& right) {
    if (const auto* object = right.if_object())
        if (const auto* set = object->if_contains("set")) return {set->if_array(), {}};
    if (const auto* text = right.if_string(); text && text->starts_with("@")) {
        const auto name = std::string{*text}.substr(1);
        return {ruleset.set_elements(rule.chain, name), name};
    }
    return {};
}

}  // namespace

std::string_view text(Subject subject) {
    constexpr std::array<std::string_view, 12> names{"",
                                                     "source address",
                                                     "destination address",
                                                     "source port",
                                                     "destination port",
                                                     "input interface",
                                                     "output interface",
                                                     "protocol",
                                                     "family",
                                                     "connection state",
                                                     "",  // a concatenation's value says it all
                                                     "limit"};
    return names.at(static_cast<std::size_t>(subject));
}

std::string words(const Difference& difference) {
    const auto& [kind, about, value, other, of_several] = difference;
    const auto subject = text(about);
    const auto has = fmt::format("{}{}{}", subject, subject.empty() ? "" : " ", value);
    switch (kind) {
        case Kind::none: return {};
        case Kind::above:
        case Kind::below:
            return fmt::format("{} is {} {}{}", has, kind == Kind::above ? "above" : "below", other, of_several ? ", the end of the nearest range" : "");
        case Kind::wanted: return fmt::format("{} is {}, the rule wants {}", subject, value, other);
        case Kind::not_among: return has + " is not among the rule's";
        case Kind::not_in_set: return has + " is not in set " + other;
        case Kind::left_out: return fmt::format("{} is {}, which the rule leaves out", subject, value);
        case Kind::not_within: return has + " is not " + other;
        case Kind::other_protocol: return fmt::format("{} is {}, the rule is for {}", subject, value, other);
        case Kind::unmet: return fmt::format("its {} did not hold", other);
        case Kind::used_up: return "its limit of packets was used up";
        case Kind::other_way: return fmt::format("the rule is for the other direction, {} to {}", value, other);
        case Kind::behind: return "it stands behind the rule that stopped the packet";
    }
    return {};
}

Condition compare_value(const Ruleset& ruleset, const Rule& rule, const json::value& left, std::string_view operation,
                        const json::value& right, const Packet& packet) {
    Condition condition;
    condition.difference = unmet("condition on `" + subject_of(left) + "`");
    if (const auto* object = left.if_object(); object && object->contains("concat")) {
        const auto* keys = object->at("concat").if_array();
        const auto [elements, name] = elements_of(ruleset, rule, right);
        if (!keys || (operation != "==" && operation != "in")) return condition;
        condition = compare_concatenation(*keys, elements ? *elements : json::array{right}, packet, name);
        condition.by_set = !name.empty();
        return condition;
    }
    auto found = left_of(left, packet);
    if (found.decided) {  // another protocol; the port may differ besides
        if (found.value && membership(ruleset, rule, *found.value, right).result != Result::yes)
            found.decided->weight = 2;
        return *found.decided;
    }
    if (!found.value) {
        const auto header = header_of(left);
        if (header.empty() || header == packet.protocol) return condition;
        return for_protocol(packet.protocol, header);
    }
    const auto& value = *found.value;
    condition.subject = value.subject;
    condition.by_set = right.is_string() && right.get_string().starts_with("@");
    condition.selective = value.subject != Subject::connection_state && value.subject != Subject::family && value.subject != Subject::protocol;
    if (operation == "==" || operation == "in") {
        const auto member = membership(ruleset, rule, value, right);
        condition.result = member.result;
        condition.difference = member.difference;
        condition.distance = member.distance;
        condition.far = member.far;
        if (member.result == Result::yes) condition.difference = {};
    } else if (operation == "!=") {
        const auto member = membership(ruleset, rule, value, right);
        if (member.result == Result::unknown) return condition;
        condition.result = member.result == Result::yes ? Result::no : Result::yes;
        if (condition.result == Result::no)
            condition.difference = {Kind::left_out, value.subject, value.text(), {}};
    } else if (value.number) {
        const auto bound = number_of(right);
        if (!bound) return condition;
        const auto n = *value.number;
        const bool holds = operation == "<"    ? n < *bound
                           : operation == "<=" ? n <= *bound
                           : operation == ">"  ? n > *bound
                                               : n >= *bound;
        condition.result = holds ? Result::yes : Result::no;
        if (!holds) {
            condition.difference = {Kind::not_within, value.subject, value.text(), std::string{operation} + " " + std::to_string(*bound)};
            condition.distance = static_cast<std::uint32_t>(n > *bound ? n - *bound : *bound - n);
        }
    }
    return condition;
}

namespace {

constexpr std::size_t map_entries_max = 512;  // of a longer map nothing is said

// What a verdict map does with the packet: the verdict of the element that fits, or, where none does, how far the
// packet is from those that would accept it.
void compare_map(const Ruleset& ruleset, const Rule& rule, const VerdictMap& map, const Packet& packet,
                 Comparison& comparison) {
    Condition nearest, other;
    bool accepting = false;
    if (!map.known) comparison.accepts = comparison.drops = true;  // it may
    for (const auto& entry : map.entries) {
        if (!map.known) break;
        auto condition = compare_value(ruleset, rule, *map.key, "==", *entry.key, packet);
        condition.by_set = map.named;
        const bool accepts = entry.verdict->contains("accept");
        const bool drops = entry.verdict->contains("drop");
        if (condition.result == Result::unknown) {
            comparison.accepts = comparison.drops = true;
            comparison.conditions.push_back({});
            return;
        }
        if (condition.result == Result::yes) {
            comparison.accepts = comparison.accepts || accepts || (map.named && !drops);
            comparison.drops = comparison.drops || drops || (map.named && !accepts);
            comparison.conditions.push_back(condition);
            return;
        }
        auto& best = accepts ? nearest : other;
        if (best.result == Result::unknown ||
            std::pair{condition.weight, slip(condition)} < std::pair{best.weight, slip(best)})
            best = condition;
        accepting = accepting || accepts;
    }
    if (accepting) comparison.accepts = true, comparison.drops = comparison.drops || map.named;
    comparison.conditions.push_back(accepting ? nearest : other);
}

bool is_condition(std::string_view what) {
    return what == "match" || what == "vmap" || what == "xt" || what == "fib" || what == "limit" || what == "quota" ||
           what == "dynset" || what == "set" || what == "ct count";
}

}  // namespace

Packet Packet::reversed() const {
    Packet answer;
    answer.in = out, answer.out = in;
    answer.source = destination, answer.destination = source;
    answer.protocol = protocol;
    answer.source_port = destination_port, answer.destination_port = source_port;
    return answer;
}

unsigned Comparison::count(Condition::Result result) const {
    unsigned sum = 0;
    for (const auto& condition : conditions)
        if (condition.result == result) sum += condition.weight;
    return sum;
}

bool Comparison::limited() const {
    return std::ranges::any_of(conditions, [](const Condition& c) { return c.subject == Subject::limit; });
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
            const auto& match = body.get_object();
            const auto *left = match.if_contains("left"), *right = match.if_contains("right"),
                       *op = match.if_contains("op");
            comparison.conditions.push_back(
                left && right && op ? compare_value(ruleset, rule, *left, text_of(*op), *right, packet) : Condition{});
        } else if (what == "limit" || what == "meter") {
            const auto* limit = body.if_object();
            const auto* over = limit ? limit->if_contains("inv") : nullptr;  // `limit rate over`: who sends too much
            const bool within = !over || !over->is_bool() || !over->get_bool();
            comparison.conditions.push_back({within ? Result::yes : Result::unknown, Subject::limit,
                                             {within ? Kind::used_up : Kind::none}, false, 1, 0});
        } else if (what == "vmap") {
            continue;  // below
        } else if (what == "set" && body.is_object() && !body.get_object().contains("stmt")) {
            continue;  // puts an element into a set
        } else if (is_condition(what)) {
            const auto* extension = body.if_object();
            const auto* name = extension ? extension->if_contains("name") : nullptr;
            if (what == "xt" && name && (text_of(*name) == "comment" || text_of(extension->at("type")) == "target"))
                continue;
            if (what == "xt" && name && text_of(*name) == "hashlimit") {
                comparison.conditions.push_back({Result::yes, Subject::limit, unmet("`-m hashlimit`"), false, 1, 0});
                continue;
            }
            comparison.conditions.push_back({});
            comparison.conditions.back().difference = unmet(what == "xt" && name ? "`-m " + text_of(*name) + "`" : "`" + std::string{what} + "`");
        }
    }
    for (const auto& map : verdict_maps(ruleset, rule, map_entries_max))
        compare_map(ruleset, rule, map, packet, comparison);
    return comparison;
}

}  // namespace wmlab::lab::rules
