// Values of nft's JSON (libnftables-json(5)) as numbers: names by their meaning, prefixes and ranges as spans. Pure.
#pragma once
#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lab/audit/crafted.hpp"

namespace wmlab::lab {

struct Span {  // both ends included
    Wide first = 0, last = 0;
    bool contains(Wide value) const { return first <= value && value <= last; }
    auto operator<=>(const Span&) const = default;
};

// What nft writes as a word. Nothing: it is none of these.
std::optional<unsigned> service_of(std::string_view name);   // DSCP and ECN: "af41", "ce"
std::optional<unsigned> flag_of(std::string_view name);      // of TCP
std::optional<unsigned> protocol_of(std::string_view name);  // of IP; also those of protocols(5)
std::optional<unsigned> icmp_type_of(std::string_view name, bool v6);

using Number = std::function<std::optional<Wide>(const boost::json::value&)>;
std::optional<Wide> plain_number(const boost::json::value& value);
std::optional<Wide> address_number(const boost::json::value& value);
// Numbers, or words by their meaning; words joined by `|` or in a list are one number.
Number words_number(std::function<std::optional<unsigned>(std::string_view)> meaning);

const boost::json::value& bare(const boost::json::value& value);  // an element of a set without its time-out and comment
std::optional<Span> span_of(const boost::json::value& value, const Number& number, unsigned bits);
std::string words_of(const boost::json::value& value);  // a side of a condition: "tcp dport", "{ 22, 80-90 }"

}  // namespace wmlab::lab
