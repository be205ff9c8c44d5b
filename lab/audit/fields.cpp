#include "lab/audit/fields.hpp"

#include <netdb.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <functional>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/literals.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

using rules::one_of;

constexpr std::size_t shapes_max = 40, spans_max = 200'000;
constexpr unsigned sendable_length = 1400;  // bytes with the network header, in one frame

std::optional<unsigned> service_of(std::string_view name) {
    if (name == "ef") return 46;
    if (name == "be" || name == "lephb") return name == "be" ? 0 : 1;
    if (name.size() == 3 && name.starts_with("cs")) return static_cast<unsigned>(name[2] - '0') * 8;
    if (name.size() == 4 && name.starts_with("af")) return static_cast<unsigned>(name[2] - '0') * 8 + static_cast<unsigned>(name[3] - '0') * 2;
    static const std::map<std::string_view, unsigned> congestion{{"not-ect", 0}, {"ect1", 1}, {"ect0", 2}, {"ce", 3}};
    const auto found = congestion.find(name);
    return found == congestion.end() ? std::nullopt : std::optional{found->second};
}

std::optional<unsigned> flag_of(std::string_view name) {
    static const std::map<std::string_view, unsigned> flags{{"fin", 1},  {"syn", 2},  {"rst", 4},  {"psh", 8},
                                                            {"ack", 16}, {"urg", 32}, {"ecn", 64}, {"cwr", 128}};
    const auto found = flags.find(name);
    return found == flags.end() ? std::nullopt : std::optional{found->second};
}

std::optional<unsigned> protocol_of(std::string_view name) {
    static const std::map<std::string_view, unsigned> known{{"icmp", 1},       {"igmp", 2},   {"tcp", 6},   {"udp", 17},   {"ipv6", 41},   {"gre", 47},
                                                            {"esp", 50},       {"ah", 51},    {"ospf", 89}, {"vrrp", 112}, {"icmpv6", 58}, {"sctp", 132},
                                                            {"udplite", 136},  {"dccp", 33},  {"pim", 103}, {"comp", 108}, {"ipip", 4},    {"ipencap", 4},
                                                            {"ipv6-icmp", 58}, {"l2tp", 115}, {"eigrp", 88}};
    if (const auto found = known.find(name); found != known.end()) return found->second;
    const auto* entry = ::getprotobyname(std::string{name}.c_str());
    return entry == nullptr ? std::nullopt : std::optional{static_cast<unsigned>(entry->p_proto)};
}

std::optional<unsigned> icmp_type_of(std::string_view name, bool v6) {
    static const std::map<std::string_view, unsigned> four{
        {"echo-reply", 0},         {"destination-unreachable", 3}, {"source-quench", 4},        {"redirect", 5},
        {"echo-request", 8},       {"router-advertisement", 9},    {"router-solicitation", 10}, {"time-exceeded", 11},
        {"parameter-problem", 12}, {"timestamp-request", 13},      {"timestamp-reply", 14},     {"info-request", 15},
        {"info-reply", 16},        {"address-mask-request", 17},   {"address-mask-reply", 18}};
    static const std::map<std::string_view, unsigned> six{{"destination-unreachable", 1},  {"packet-too-big", 2},        {"time-exceeded", 3},
                                                          {"parameter-problem", 4},        {"echo-request", 128},        {"echo-reply", 129},
                                                          {"mld-listener-query", 130},     {"mld-listener-report", 131}, {"mld-listener-done", 132},
                                                          {"mld-listener-reduction", 132}, {"nd-router-solicit", 133},   {"nd-router-advert", 134},
                                                          {"nd-neighbor-solicit", 135},    {"nd-neighbor-advert", 136},  {"nd-redirect", 137},
                                                          {"router-renumbering", 138},     {"mld2-listener-report", 143}};
    const auto& names = v6 ? six : four;
    const auto found = names.find(name);
    return found == names.end() ? std::nullopt : std::optional{found->second};
}

using Number = std::function<std::optional<Wide>(const json::value&)>;

std::optional<Wide> plain_number(const json::value& value) {
    if (value.is_int64() && value.get_int64() >= 0) return static_cast<Wide>(value.get_int64());
    if (value.is_uint64()) return Wide{value.get_uint64()};
    return std::nullopt;
}
std::optional<Wide> address_number(const json::value& value) {
    if (const auto* text = value.if_string())
        if (const auto address = Address::from(*text)) return address->value;
    return plain_number(value);
}
// Numbers, or words by their meaning; words joined by `|` or in a list are one number.
Number words_number(std::function<std::optional<unsigned>(std::string_view)> meaning) {
    return [meaning = std::move(meaning)](const json::value& value) -> std::optional<Wide> {
        const auto all = [&](const json::array& list) -> std::optional<Wide> {
            Wide sum = 0;
            for (const auto& item : list) {
                const auto* text = item.if_string();
                const auto number = text ? meaning(*text) : std::nullopt;
                if (!number && !plain_number(item)) return std::nullopt;
                sum |= number ? Wide{*number} : *plain_number(item);
            }
            return sum;
        };
        if (const auto* text = value.if_string()) {
            const auto number = meaning(*text);
            return number ? std::optional{Wide{*number}} : std::nullopt;
        }
        if (const auto* object = value.if_object())
            if (const auto* sides = object->if_contains("|"); sides && sides->is_array()) return all(sides->get_array());
        if (const auto* list = value.if_array()) return all(*list);
        return plain_number(value);
    };
}

const json::value& bare(const json::value& value) {
    if (const auto* object = value.if_object())
        if (const auto* elem = object->if_contains("elem"); elem && elem->is_object())
            if (const auto* inner = elem->get_object().if_contains("val")) return *inner;
    return value;
}

std::optional<Span> span_of(const json::value& wrapped, const Number& number, unsigned bits) {
    const auto& value = bare(wrapped);
    if (const auto* object = value.if_object()) {
        if (const auto* range = object->if_contains("range"); range && range->is_array() && range->get_array().size() == 2) {
            const auto first = number(range->get_array()[0]), last = number(range->get_array()[1]);
            return first && last ? std::optional{Span{*first, *last}} : std::nullopt;
        }
        if (const auto* prefix = rules::object_at(*object, "prefix")) {
            const auto* address = prefix->if_contains("addr");
            const auto* text = address ? address->if_string() : nullptr;
            const auto parsed = text ? Address::from(*text) : std::nullopt;
            const auto first = address ? number(*address) : std::nullopt;
            const unsigned width = parsed && parsed->v6 ? 128 : parsed ? 32 : bits;
            const auto length = static_cast<unsigned>(rules::number_at(*prefix, "len"));
            if (!first || length > width) return std::nullopt;
            const Wide mask = width == length ? 0 : length == 0 && width == 128 ? ~Wide{0} : (Wide{1} << (width - length)) - 1;
            return Span{*first & ~mask, *first | mask};
        }
    }
    const auto one = number(value);
    return one ? std::optional{Span{*one, *one}} : std::nullopt;
}

Spans merged(Spans spans) {
    std::ranges::sort(spans);
    Spans all;
    for (const auto& span : spans) {
        if (!all.empty() && (span.first <= all.back().last || span.first == all.back().last + 1))
            all.back().last = std::max(all.back().last, span.last);
        else
            all.push_back(span);
    }
    return all;
}

// A side of a condition that is no number of ours.
std::string words_of(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string{*text};
    if (const auto* object = value.if_object(); object && !object->empty()) {
        const std::string_view what = object->begin()->key();
        const auto& inner = object->begin()->value();
        if (const auto* body = inner.if_object()) {
            const auto key = rules::text_at(*body, "key"), protocol = rules::text_at(*body, "protocol"), field = rules::text_at(*body, "field"),
                       name = rules::text_at(*body, "name");
            if (!protocol.empty()) return protocol + " " + field;
            if (!key.empty()) return std::string{what} + " " + key;
            if (!name.empty()) return std::string{what} + " " + name + (field.empty() ? "" : " " + field);
        }
        if (what == "range" && inner.is_array() && inner.get_array().size() == 2) return words_of(inner.get_array()[0]) + "-" + words_of(inner.get_array()[1]);
        if (one_of(what, {"&", "|", "^", "<<", ">>"}) && inner.is_array()) {
            std::string all;
            for (const auto& side : inner.get_array()) all += (all.empty() ? "" : " " + std::string{what} + " ") + words_of(side);
            return all;
        }
        if (what == "set" && inner.is_array()) {
            std::string all;
            for (const auto& side : inner.get_array()) all += (all.empty() ? "" : ", ") + words_of(bare(side));
            return "{ " + all + " }";
        }
        return std::string{what};
    }
    return json::serialize(value);
}

class Reader {
public:
    Reader(const rules::Ruleset& ruleset, std::string_view listing, Asked& asked) : ruleset_{ruleset}, asked_{asked} {
        rules::collect_literals(listing, literals_);
    }

    void read() {
        for (const auto& [name, chain] : ruleset_.chains())
            if ((name.family == "inet" || name.family == "ip6") && !chain.hook.empty() && chain.type == "filter")
                asked_.filters_v6 = true;
        for (const auto& rule : ruleset_.rules()) own(rule);
        for (const auto& rule : ruleset_.rules()) shape(rule);
        for (const auto& [rule, mine] : own_) asked_.rules.push_back({mine.values, mine.protocols, mine.flags, mine.others, rule->chain, rule->handle});
        if (asked_.opaque) read_word_by_word();
    }

private:
    struct Wish {  // for a shape: the value that meets a condition, and one that does not
        std::function<void(Shape&, std::uint64_t)> put;
        std::uint64_t meets = 0, misses = 0;
    };
    struct Own {
        std::map<Field, Spans> values;
        std::set<std::uint8_t> flags;
        std::vector<Wish> wishes;
        std::set<std::uint8_t> protocols;
        std::set<Field> others;           // asked for by `!=`
        std::vector<std::string> beyond;  // conditions that no packet of ours can be made to meet
        std::vector<std::string> shaped;
        bool excludes = false;  // one of these is by `!=`
    };

    void own(const rules::Rule& rule) {
        auto& mine = own_[&rule];
        for (const auto& part : rule.expr) {
            if (part.is_string()) asked_.opaque = true;
            const auto* object = part.if_object();
            if (!object || object->empty()) continue;
            const std::string_view what = object->begin()->key();
            const auto* body = object->begin()->value().if_object();
            if (what == "match" && body) {
                const auto *left = body->if_contains("left"), *right = body->if_contains("right");
                if (left && right) condition(rule, mine, *left, rules::text_at(*body, "op"), *right);
            } else if (what == "xt" && body) {
                const auto type = rules::text_at(*body, "type"), name = rules::text_at(*body, "name");
                if (type != "match" || one_of(name, {"comment", "tcp", "udp", "multiport", "icmp", "conntrack", "state", "iprange", "limit", "hashlimit",
                                                     "connlimit", "statistic", "quota", "addrtype", "physdev"})) {
                    asked_.opaque = asked_.opaque || type == "match";
                    continue;
                }
                asked_.opaque = true;
                mine.beyond.push_back("its `-m " + name + "` must hold");
            }
            maps(rule, mine, part);
        }
    }

    // Verdict maps and maps of addresses or ports, wherever they stand.
    void maps(const rules::Rule& rule, Own& mine, const json::value& value) {
        if (const auto* list = value.if_array())
            for (const auto& item : *list) maps(rule, mine, item);
        const auto* object = value.if_object();
        if (!object) return;
        for (const auto& [word, inner] : *object) {
            const auto* body = inner.if_object();
            if (body && (word == "map" || word == "vmap"))
                if (const auto *key = body->if_contains("key"), *data = body->if_contains("data"); key && data) {
                    json::array keys;
                    const json::array* pairs = nullptr;
                    if (const auto* name = data->if_string(); name && name->starts_with("@"))
                        pairs = ruleset_.set_elements(rule.chain, std::string_view{*name}.substr(1));
                    else if (const auto* set = data->if_object())
                        pairs = set->contains("set") ? set->at("set").if_array() : nullptr;
                    if (!pairs) {
                        mine.beyond.push_back("its map must have an element for " + words_of(*key));
                        continue;
                    }
                    // Each element by itself: what is done differs from one to the next.
                    for (const auto& pair : *pairs)
                        if (const auto* both = pair.if_array(); both && both->size() == 2)
                            condition(rule, mine, *key, "==", json::object{{"set", json::array{(*both)[0]}}});
                    if (pairs->empty() && data->is_string()) mine.beyond.push_back("packets must have filled its map");
                    continue;
                }
            maps(rule, mine, inner);
        }
    }

    const json::array* elements(const rules::Rule& rule, const json::value& right, json::array& single) const {
        if (const auto* object = right.if_object())
            if (const auto* set = object->if_contains("set")) return set->if_array();
        if (const auto* name = right.if_string(); name && name->starts_with("@"))
            return ruleset_.set_elements(rule.chain, std::string_view{*name}.substr(1));
        single.push_back(right);
        return &single;
    }

    void condition(const rules::Rule& rule, Own& mine, const json::value& left, std::string_view op,
                   const json::value& right) {
        if (const auto* name = right.if_string(); name && name->starts_with("@") &&
                                                  literals_.dynamic_sets.contains(std::string_view{*name}.substr(1)))
            mine.beyond.push_back(fmt::format("{} must be {}in the set {}, which packets fill", words_of(left),
                                              op == "!=" ? "not " : "", std::string_view{*name}.substr(1)));
        json::array single;
        const auto* list = elements(rule, right, single);
        if (const auto* object = left.if_object(); object && object->contains("concat")) {
            const auto* keys = object->at("concat").if_array();
            if (!keys || !list) return;
            for (const auto& wrapped : *list) {
                const auto& element = bare(wrapped);
                const auto* parts = element.is_object() && element.get_object().contains("concat")
                                        ? element.get_object().at("concat").if_array()
                                        : nullptr;
                for (std::size_t i = 0; parts && i < parts->size() && i < keys->size(); ++i)
                    simple(mine, (*keys)[i], "==", json::array{(*parts)[i]}, (*parts)[i]);
            }
            return;
        }
        if (list) simple(mine, left, op, *list, right);
    }

    // Which values: by the operation, what it is compared with, and, of a masked value, one that fits.
    struct Values {
        Spans spans;
        bool known = true;
    };
    static Values values(std::string_view op, const json::array& list, const Number& number, unsigned bits) {
        Values found;
        const Wide most = bits >= 128 ? ~Wide{0} : (Wide{1} << bits) - 1;
        for (const auto& item : list) {
            auto span = span_of(item, number, bits);
            if (!span) {
                found.known = false;
                continue;
            }
            if (op == "<") *span = {0, span->first == 0 ? 0 : span->first - 1};
            if (op == "<=") *span = {0, span->last};
            if (op == ">") *span = {span->last == most ? most : span->last + 1, most};
            if (op == ">=") *span = {span->first, most};
            found.spans.push_back(*span);
        }
        found.spans = merged(std::move(found.spans));
        return found;
    }

    void simple(Own& mine, const json::value& left, std::string_view op, const json::array& list, const json::value& right) {
        const auto* object = left.if_object();
        if (!object || object->empty()) return;
        const std::string_view what = object->begin()->key();
        const auto& inner = object->begin()->value();
        if (one_of(what, {"&", "|", "^", "<<", ">>"}) && inner.is_array() && !inner.get_array().empty()) {
            masked(mine, inner.get_array(), op, list, right);
            return;
        }
        const auto* body = inner.if_object();
        const auto get = [&](std::string_view key) { return body ? rules::text_at(*body, key) : std::string{}; };
        const auto unknown = [&] { mine.beyond.push_back(wanted(mine, words_of(left), op, right)); };
        if (what == "meta") {
            const auto key = get("key");
            if (one_of(key, {"iifname", "iif", "oifname", "oif", "nfproto", "protocol", "iiftype", "oiftype", "iifkind",
                             "oifkind"}))
                return;
            if (key == "l4proto") return protocols(mine, list, op);
            if (key == "length")
                return shaped(mine, values(op, list, plain_number, 16), op, left, right,
                              [](Shape& s, unsigned v) { s.length = v; }, Span{28, sendable_length});
            return unknown();
        }
        if (what == "ct") {
            const auto key = get("key");
            if (one_of(key, {"state", "status", "direction", "l3proto", "protocol", "zone"})) return;
            if (one_of(key, {"ip saddr", "ip daddr", "saddr", "daddr"}))
                return add(mine, key.ends_with("saddr") ? Field::source : Field::destination, op, values(op, list, address_number, 32));
            if (one_of(key, {"ip6 saddr", "ip6 daddr"}))
                return add(mine, key == "ip6 saddr" ? Field::source_v6 : Field::destination_v6, op, values(op, list, address_number, 128));
            if (key == "proto-src") return add(mine, Field::source_port, op, values(op, list, plain_number, 16));
            if (key == "proto-dst") return add(mine, Field::destination_port, op, values(op, list, plain_number, 16));
            return unknown();
        }
        if (what == "fib" || what == "rt" || what == "exthdr") {
            if (what == "exthdr") unknown();
            return;
        }
        if (what == "tcp option" && get("name") == "maxseg" && get("field") == "size") {
            mine.protocols.insert(tcp_number);
            return shaped(mine, values(op, list, plain_number, 16), op, left, right,
                          [](Shape& s, unsigned v) { s.segment_max = v; });
        }
        if (what != "payload") return unknown();
        payload(mine, *body, op, list, left, right, unknown);
    }

    void payload(Own& mine, const json::object& body, std::string_view op, const json::array& list, const json::value& left,
                 const json::value& right, const std::function<void()>& unknown) {
        const auto protocol = rules::text_at(body, "protocol"), field = rules::text_at(body, "field"),
                   base = rules::text_at(body, "base");
        if (!base.empty()) {
            const auto offset = static_cast<unsigned>(rules::number_at(body, "offset")),
                       bits = static_cast<unsigned>(rules::number_at(body, "len"));
            if ((base != "th" && base != "nh") || bits > 64) return unknown();
            return shaped_wide(mine, values(op, list, plain_number, bits), op, left, right, [=](Shape& s, std::uint64_t v) {
                s.raw.push_back({base == "th", offset, bits, v});
            });
        }
        if (protocol == "ip" || protocol == "ip6") {
            const bool six = protocol == "ip6";
            if (field == "saddr") return add(mine, six ? Field::source_v6 : Field::source, op, values(op, list, address_number, six ? 128 : 32));
            if (field == "daddr") return add(mine, six ? Field::destination_v6 : Field::destination, op, values(op, list, address_number, six ? 128 : 32));
            if (field == "protocol" || field == "nexthdr") return protocols(mine, list, op);
            if (field == "version" || field == "hdrlength" || field == "checksum") return;
            std::function<void(Shape&, unsigned)> put;
            if (field == "length") put = [six](Shape& s, unsigned v) { s.length = six ? v + 40 : v; };
            if (field == "ttl" || field == "hoplimit") put = [](Shape& s, unsigned v) { s.lifetime = v; };
            if (field == "dscp") put = [](Shape& s, unsigned v) { s.service = v << 2 | (s.service.value_or(0) & 3); };
            if (field == "ecn") put = [](Shape& s, unsigned v) { s.service = v | (s.service.value_or(0) & 0xFC); };
            if (field == "tos") put = [](Shape& s, unsigned v) { s.service = v; };
            if (field == "id" && !six) put = [](Shape& s, unsigned v) { s.id = v; };
            if (field == "frag-off" && !six) put = [](Shape& s, unsigned v) { s.fragment = v; };
            if (!put) return unknown();
            const unsigned bits = field == "dscp" ? 6 : field == "ecn" ? 2 : field == "ttl" || field == "hoplimit" ? 8 : 16;
            const auto fits = field == "length" ? std::optional{Span{six ? 8u : 28u, six ? sendable_length - 40 : sendable_length}} : std::nullopt;
            return shaped(mine, values(op, list, words_number(service_of), bits), op, left, right, std::move(put), fits);
        }
        if (one_of(protocol, {"tcp", "udp", "th", "udplite", "sctp", "dccp"})) {
            if ((field == "sport" || field == "dport") && (protocol == "tcp" || protocol == "udp"))
                mine.protocols.insert(protocol == "tcp" ? tcp_number : udp_number);
            if (field == "sport") return add(mine, Field::source_port, op, values(op, list, plain_number, 16));
            if (field == "dport") return add(mine, Field::destination_port, op, values(op, list, plain_number, 16));
            if (protocol == "tcp" && field == "flags") {
                for (const auto& span : values("==", list, words_number(flag_of), 8).spans)
                    asked_.flags.insert(static_cast<std::uint8_t>(span.first)),
                        mine.flags.insert(static_cast<std::uint8_t>(span.first));
                return;
            }
            if (protocol != "th") mine.protocols.insert(protocol == "tcp" ? tcp_number : udp_number);
            std::function<void(Shape&, unsigned)> put;
            if (protocol == "udp" && field == "length") put = [](Shape& s, unsigned v) { s.payload = v < 8 ? 0 : v - 8; };
            if (protocol == "tcp" && field == "window") put = [](Shape& s, unsigned v) { s.window = v; };
            if (protocol == "tcp" && field == "urgptr") put = [](Shape& s, unsigned v) { s.urgent = v; };
            if (protocol == "tcp" && field == "ackseq") put = [](Shape& s, unsigned v) { s.acknowledgement = v; };
            if (!put) return unknown();
            const auto fits = field == "length" ? std::optional{Span{8, sendable_length - 40}} : std::nullopt;
            return shaped(mine, values(op, list, plain_number, 16), op, left, right, std::move(put), fits);
        }
        if (protocol == "icmp" || protocol == "icmpv6") {
            const bool six = protocol == "icmpv6";
            mine.protocols.insert(six ? icmp_v6 : icmp_v4);
            if (field == "type") {
                const auto named = values("==", list, words_number([six](auto name) { return icmp_type_of(name, six); }), 8);
                for (const auto& span : named.spans)
                    for (Wide type = span.first; type <= span.last && type < 256; ++type)
                        asked_.types.insert({static_cast<std::uint8_t>(type), 0});
                return;
            }
            if (field == "code") {  // of any type: codes have names of their own
                asked_.types.insert({3, 0});
                for (const auto type : std::initializer_list<std::uint8_t>{3, 5, 8, 11, 12, 1, 4, 128})
                    for (std::uint8_t code = 0; code < 16; ++code) asked_.types.insert({type, code});
                return;
            }
            return unknown();
        }
        if (protocol == "ether" && field == "saddr") {
            const auto hardware = [](const json::value& value) -> std::optional<Wide> {
                const auto* text = value.if_string();
                if (!text || text->size() != 17) return plain_number(value);
                Wide number = 0;
                for (const char c : *text)
                    if (c != ':') number = number << 4 | static_cast<unsigned>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
                return number;
            };
            return shaped_wide(mine, values(op, list, hardware, 48), op, left, right,
                               [](Shape& s, std::uint64_t v) { s.hardware_source = v; });
        }
        if (protocol == "ether" || protocol == "igmp" || protocol == "arp") return;
        unknown();
    }

    void masked(Own& mine, const json::array& sides, std::string_view op, const json::array& list, const json::value& right) {
        const auto subject = words_of(sides[0]);
        if (subject == "tcp flags") {
            const auto number = words_number(flag_of);
            const auto mask = sides.size() > 1 ? number(sides[1]) : std::nullopt;
            for (const auto& span : values("==", list, number, 8).spans) {
                asked_.flags.insert(static_cast<std::uint8_t>(span.first));
                if (mask)  // one that does not fit, and the same with what the mask leaves free
                    asked_.flags.insert(static_cast<std::uint8_t>(span.first ^ *mask)),
                        asked_.flags.insert(static_cast<std::uint8_t>(span.first | (0x3F & ~*mask)));
            }
            return;
        }
        if (one_of(subject, {"ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "tcp dport", "udp dport", "th dport",
                             "tcp sport", "udp sport", "th sport"})) {
            asked_.opaque = true;
            simple(mine, sides[0], "==", list, right);
            return;
        }
        if (sides.size() > 1 && one_of(subject, {"ip frag-off", "ip ttl", "ip length", "ip id", "ip dscp", "ip ecn"})) {
            const auto mask = plain_number(sides[1]);
            const auto wanted = list.empty() ? std::nullopt : words_number(service_of)(bare(list[0]));
            if (mask && wanted) {  // `& 0x1fff != 0`: as one number without the mask
                const Wide lowest = *mask & (~*mask + 1);
                Values both;
                both.spans = {{*wanted, *wanted}};
                const auto* body = sides[0].as_object().begin()->value().if_object();
                const auto before = mine.wishes.size();
                if (body)
                    payload(mine, *body, op == "in" ? "==" : op, json::array{static_cast<std::uint64_t>(*wanted)}, sides[0], right,
                            [] {});
                if (mine.wishes.size() > before) {
                    auto& wish = mine.wishes.back();
                    const auto other = static_cast<std::uint64_t>(*wanted ^ lowest);
                    wish.meets = op == "!=" ? other : static_cast<std::uint64_t>(*wanted);
                    wish.misses = op == "!=" ? static_cast<std::uint64_t>(*wanted) : other;
                }
                return;
            }
        }
        if (subject == "ct state" || subject == "ct status") return;
        mine.excludes = mine.excludes || op == "!=";
        mine.beyond.push_back(fmt::format("{} & ... {} {}", subject, op, words_of(right)));
    }

    void add(Own& mine, Field field, std::string_view op, const Values& found) {
        if (op == "!=") mine.others.insert(field);
        if (!found.known) asked_.opaque = true;
        if (found.spans.empty()) return;
        asked_.values[field].insert(found.spans);
        mine.values.emplace(field, found.spans);
    }

    void protocols(Own& mine, const json::array& list, std::string_view op) {
        std::set<std::uint8_t> named;
        for (const auto& span : values("==", list, words_number(protocol_of), 8).spans)
            for (Wide number = span.first; number <= span.last && number < 256; ++number)
                named.insert(static_cast<std::uint8_t>(number));
        asked_.protocols.insert(named.begin(), named.end());
        if (op == "==" || op == "in") mine.protocols.insert(named.begin(), named.end());
    }

    static std::string wanted(Own& mine, const std::string& subject, std::string_view op, const json::value& right) {
        mine.excludes = mine.excludes || op == "!=";
        return fmt::format("{} {} {}", subject, op == "==" || op == "in" ? "must be" : op, words_of(right));
    }

    void shaped(Own& mine, const Values& found, std::string_view op, const json::value& left, const json::value& right,
                std::function<void(Shape&, unsigned)> put, const std::optional<Span>& sendable = {}) {
        shaped_wide(
            mine, found, op, left, right, [put = std::move(put)](Shape& s, std::uint64_t v) { put(s, static_cast<unsigned>(v)); }, sendable);
    }
    // `sendable`: of the values that would do one of these is taken, if there is one.
    void shaped_wide(Own& mine, const Values& found, std::string_view op, const json::value& left, const json::value& right,
                     std::function<void(Shape&, std::uint64_t)> put, const std::optional<Span>& sendable = {}) {
        const auto words = wanted(mine, words_of(left), op, right);
        if (found.spans.empty()) {
            mine.beyond.push_back(words);
            return;
        }
        const auto& span = found.spans.front();
        auto best = span;
        for (const auto& one : found.spans) {
            if (!sendable || one.last < sendable->first || sendable->last < one.first) continue;
            best = {std::max(one.first, sendable->first), std::min(one.last, sendable->last)};
            break;
        }
        const auto in = static_cast<std::uint64_t>(best.first + (best.last - best.first) / 2);
        const auto out = static_cast<std::uint64_t>(found.spans.back().last + 1 > 0xFFFF && span.first > 0 ? span.first - 1
                                                                                            : found.spans.back().last + 1);
        mine.wishes.push_back({std::move(put), op == "!=" ? out : in, op == "!=" ? in : out});
        mine.shaped.push_back(words);
    }

    // Of the rule and of those that lead to its chain.
    void shape(const rules::Rule& rule) {
        if (!rules::has_effect(ruleset_, rule) && own_[&rule].wishes.empty()) return;
        std::vector<const rules::Rule*> way{&rule};
        const auto* chain = &rule.chain;
        for (unsigned depth = 0; depth < 6; ++depth) {
            const auto* base = ruleset_.chain(*chain);
            if (!base || !base->hook.empty()) break;
            const rules::Rule* caller = nullptr;
            for (const auto& other : ruleset_.rules())
                if (other.chain.table == chain->table && other.chain.family == chain->family && leads_to(other, chain->chain) &&
                    (!caller || own_[caller].wishes.empty()))
                    caller = &other;
            if (!caller) break;
            way.push_back(caller);
            chain = &caller->chain;
        }
        std::vector<std::string> beyond, conditions;
        Shape meets, misses;
        std::set<std::uint8_t> protocols;
        std::map<Field, Spans> values;
        bool wishes = false, excludes = false;
        for (const auto* one : way) {
            const auto& mine = own_[one];
            beyond.insert(beyond.end(), mine.beyond.begin(), mine.beyond.end());
            conditions.insert(conditions.end(), mine.shaped.begin(), mine.shaped.end());
            protocols.insert(mine.protocols.begin(), mine.protocols.end());
            for (const auto& [field, spans] : mine.values) values.emplace(field, spans);
            for (const auto& wish : mine.wishes) wish.put(meets, wish.meets), wish.put(misses, wish.misses);
            wishes = wishes || !mine.wishes.empty();
            excludes = excludes || mine.excludes;
        }
        if (beyond.empty() && !wishes) return;
        const auto* own = ruleset_.chain(rule.chain);
        if (own && own->type == "route") return;
        Odd odd;
        odd.accepts = accepts(rule);
        const bool stops = !odd.accepts && has_word(rule, {"drop", "reject"});
        if (wishes) {
            if (const auto at = add_shape(meets, protocols)) odd.shapes.push_back(*at);
            add_shape(misses, protocols);
        }
        conditions.insert(conditions.end(), beyond.begin(), beyond.end());
        if (!beyond.empty()) odd.shapes.clear();
        odd.condition = fmt::format("{}", fmt::join(conditions, "; "));
        // A rule that stops what does not meet it lets the others through.
        if (!odd.accepts && !(stops && excludes)) return;
        odd.accepts = true;
        odd.key = rule.text;
        odd.values = std::move(values), odd.protocols = protocols;
        odd.chain = rule.chain, odd.handle = rule.handle;
        odd.rule = rule.place ? RuleRef{rule.place->file, rule.place->line, rule.place->text, rule.chain.text()}
                              : RuleRef{"", 0, rule.text, rule.chain.text()};
        asked_.odd.push_back(std::move(odd));
    }

    std::optional<std::size_t> add_shape(const Shape& shape, const std::set<std::uint8_t>& protocols) {
        for (std::size_t i = 0; i < asked_.shapes.size(); ++i)
            if (asked_.shapes[i].shape == shape) {
                if (protocols.empty()) asked_.shapes[i].protocols.clear();
                if (!asked_.shapes[i].protocols.empty())
                    asked_.shapes[i].protocols.insert(protocols.begin(), protocols.end());
                return i;
            }
        if (asked_.shapes.size() >= shapes_max) {
            ++asked_.shapes_left_out;
            return std::nullopt;
        }
        asked_.shapes.push_back({shape, protocols});
        return asked_.shapes.size() - 1;
    }

    static bool has_word(const rules::Rule& rule, std::initializer_list<std::string_view> words) {
        return std::ranges::any_of(rule.expr, [&](const json::value& part) {
            const auto* object = part.if_object();
            return object && !object->empty() && std::ranges::find(words, std::string_view{object->begin()->key()}) != words.end();
        });
    }

    bool accepts(const rules::Rule& rule) const {
        const auto* chain = ruleset_.chain(rule.chain);
        if (chain && chain->type == "nat" && chain->hook == "postrouting") return false;
        if (has_word(rule, {"accept", "queue", "dnat", "redirect", "tproxy", "flow", "fwd", "notrack"})) return true;
        for (const auto& map : rules::verdict_maps(ruleset_, rule)) {
            if (!map.known) return true;
            for (const auto& entry : map.entries)
                if (entry.verdict->contains("accept")) return true;
        }
        return false;
    }

    bool leads_to(const rules::Rule& rule, std::string_view target) const {
        const auto named = [&](const json::object& verdict) {
            for (const auto* word : {"jump", "goto"})
                if (const auto* body = rules::object_at(verdict, word))
                    if (rules::text_at(*body, "target") == target) return true;
            return false;
        };
        for (const auto& part : rule.expr)
            if (const auto* object = part.if_object(); object && named(*object)) return true;
        for (const auto& map : rules::verdict_maps(ruleset_, rule))
            for (const auto& entry : map.entries)
                if (named(*entry.verdict)) return true;
        return false;
    }

    // Each value between two that the ruleset names by itself.
    void read_word_by_word() {
        for (const auto port : literals_.ports)
            for (const auto field : {Field::source_port, Field::destination_port})
                if (port <= 65535) asked_.values[field].insert({{port, 65535}});
        if (literals_.addresses.size() > 2000) return;
        for (const auto address : literals_.addresses)
            for (const auto field : {Field::source, Field::destination})
                asked_.values[field].insert({{address, 0xFFFFFFFF}});
    }

    const rules::Ruleset& ruleset_;
    Asked& asked_;
    rules::Literals literals_;
    std::map<const rules::Rule*, Own> own_;
};

}  // namespace

void ask_for(const rules::Ruleset& ruleset, std::string_view listing, Asked& asked) { Reader{ruleset, listing, asked}.read(); }

std::vector<ValueClass> classes(const std::set<Spans>& asked, const Spans& domain) {
    // Every set of values has a number; the sum of those that hold changes where one begins or ends.
    std::map<Wide, std::uint64_t> changes;
    std::uint64_t number = 0x9E3779B97F4A7C15u;
    std::size_t count = 0;
    for (const auto& spans : asked) {
        number = number * 6364136223846793005u + 1442695040888963407u;
        for (const auto& span : spans) {
            if (++count > spans_max) break;
            changes[span.first] += number;
            if (span.last != ~Wide{0}) changes[span.last + 1] -= number;
        }
    }
    std::map<std::uint64_t, std::size_t> known;
    std::vector<ValueClass> all;
    for (const auto& part : domain) {
        std::uint64_t sum = 0;
        auto next = changes.begin();
        for (; next != changes.end() && next->first <= part.first; ++next) sum += next->second;
        Wide first = part.first;
        for (;;) {
            const Wide last = next != changes.end() && next->first <= part.last ? next->first - 1 : part.last;
            const auto [at, added] = known.emplace(sum, all.size());
            if (added) all.emplace_back();
            auto& spans = all[at->second].spans;
            if (!spans.empty() && spans.back().last + 1 == first)
                spans.back().last = last;
            else
                spans.push_back({first, last});
            if (last == part.last) break;
            first = last + 1;
            sum += next->second;
            ++next;
        }
    }
    return all;
}

Spans without(Spans from, const Spans& others) {
    for (const auto& other : others) {
        Spans left;
        for (const auto& span : from) {
            if (other.last < span.first || span.last < other.first) {
                left.push_back(span);
                continue;
            }
            if (span.first < other.first) left.push_back({span.first, other.first - 1});
            if (other.last < span.last) left.push_back({other.last + 1, span.last});
        }
        from = std::move(left);
    }
    return from;
}

}  // namespace wmlab::lab
