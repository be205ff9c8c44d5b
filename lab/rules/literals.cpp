#include "lab/rules/literals.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <vector>

#include "lab/rules/one_of.hpp"

namespace wmlab::lab::rules {
namespace {

bool in_a_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '@'; }

// Words and single signs; quoted text and comments are left out.
std::vector<std::string_view> tokens_of(std::string_view line) {
    std::vector<std::string_view> tokens;
    for (std::size_t at = 0; at < line.size();) {
        const char c = line[at];
        if (c == '#') break;
        if (c == '"') {
            const auto end = line.find('"', at + 1);
            tokens.push_back(line.substr(at, end == std::string_view::npos ? end : end - at + 1));
            if (end == std::string_view::npos) break;
            at = end + 1;
        } else if (in_a_word(c)) {
            const auto begin = at;
            while (at < line.size() && in_a_word(line[at])) ++at;
            tokens.push_back(line.substr(begin, at - begin));
        } else {
            if (c != ' ' && c != '\t') tokens.push_back(line.substr(at, 1));
            ++at;
        }
    }
    return tokens;
}

std::optional<std::uint32_t> number_of_token(std::string_view token) {
    int base = 10;
    if (token.starts_with("0x")) token.remove_prefix(2), base = 16;
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value, base);
    if (error != std::errc{} || end != token.data() + token.size()) return std::nullopt;
    return value;
}

// Some versions of nft write an extension's name in quotes.
std::string_view unquoted(std::string_view word) {
    return word.size() > 1 && word.front() == '"' ? word.substr(1, word.size() - 2) : word;
}

void add_address(std::uint32_t first, std::uint32_t last, Literals& literals) {
    literals.addresses.insert(first);
    if (last != UINT32_MAX) literals.addresses.insert(last + 1);
}

}  // namespace

bool Literals::same_address(scenario::Ipv4 a, scenario::Ipv4 b) const {
    if (a.value == b.value) return true;
    return !addresses_opaque && addresses.upper_bound(a.value) == addresses.upper_bound(b.value);
}

void collect_literals(std::string_view text, Literals& literals) {
    std::string set;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const auto tokens = tokens_of(line);
        if (tokens.size() > 1 && one_of(tokens[0], {"set", "map", "chain"})) set = tokens[1];
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const auto token = tokens[i];
            const auto next = [&](std::size_t by) {
                return i + by < tokens.size() ? tokens[i + by] : std::string_view{};
            };
            const auto before = i > 0 ? tokens[i - 1] : std::string_view{};
            if (const auto address = scenario::Ipv4::from(token)) {
                std::uint32_t host_bits = 0;  // what a mask leaves free
                if (next(1) == "/") {
                    if (const auto mask = scenario::Ipv4::from(next(2)))
                        host_bits = ~mask->value;
                    else if (const auto length = number_of_token(next(2)); length && *length <= 32)
                        host_bits = *length == 0 ? UINT32_MAX : (std::uint32_t{1} << (32 - *length)) - 1;
                }
                add_address(address->value & ~host_bits, address->value | host_bits, literals);
            } else if (const auto number = number_of_token(token)) {
                if (*number <= 65535) literals.ports.insert({*number, *number + 1});
            } else if (token == "&" || token == "^" || token == "<" || token == ">") {
                const bool comparison = token != "&" && token != "^" && next(1) != token;
                if (!comparison && !one_of(before, {"flags", "mark", "status", "off"}))
                    literals.ports_opaque = literals.addresses_opaque = true;
            } else if (token.starts_with("@th") || token.starts_with("@nh") || token.starts_with("@ih") ||
                       token.starts_with("@ll") || one_of(token, {"jhash", "symhash", "u32", "bpf", "string"})) {
                literals.ports_opaque = literals.addresses_opaque = true;
            } else if (one_of(token, {"ether", "fib", "geoip", "mac"})) {
                literals.addresses_opaque = true;
            } else if (token == "xt" && next(1) == "match" &&
                       !one_of(unquoted(next(2)),
                               {"comment", "conntrack", "state",     "limit",    "hashlimit", "recent", "connlimit",
                                "time",    "statistic", "connbytes", "connmark", "mark",      "tos",    "dscp",
                                "ttl",     "length",    "tcpmss",    "pkttype",  "physdev",   "helper", "quota"})) {
                literals.ports_opaque = literals.addresses_opaque = true;
            } else if (token == "dynamic" && !set.empty()) {
                literals.dynamic_sets.insert(set);
            }
        }
    }
}

}  // namespace wmlab::lab::rules
