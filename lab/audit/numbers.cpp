#include "lab/audit/numbers.hpp"

#include <netdb.h>

#include <boost/json.hpp>
#include <map>
#include <utility>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/one_of.hpp"

namespace wmlab::lab {
namespace json = boost::json;
using rules::one_of;

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

}  // namespace wmlab::lab
