#include "common/scenario/accepted_reader.hpp"

#include "common/scenario/sections.hpp"

namespace wmlab::scenario {
namespace {

bool is_date(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9')) return false;
    const auto month = text.substr(5, 2), day = text.substr(8, 2);
    return month >= "01" && month <= "12" && day >= "01" && day <= "31";
}

}  // namespace

void read_accepted(Problems& problems, const yaml::Node& node, const std::string& key, std::vector<Accepted>& list) {
    using yaml::Node;
    constexpr std::string_view like = "like - { rule: \"tcp dport 22\", reason: administration, until: 2027-03-31 }";
    if (!node.is(Node::Kind::sequence)) {
        if (!node.is(Node::Kind::null)) problems.add(node, "`" + key + "` is not a list:", std::string{like});
        return;
    }
    for (const auto& item : node.items) {
        MapReader map{item, "an entry of `" + key + "`", problems, std::string{like}};
        Accepted entry;
        entry.line = static_cast<unsigned>(item.at.line) + 1;
        const auto read = [&](std::string_view name, std::string& into) {
            if (const auto* at = map.find(name))
                if (const auto given = map.text(*at, name)) into = *given;
        };
        read("rule", entry.rule), read("from", entry.from), read("to", entry.to), read("protocol", entry.protocol);
        if (const auto* at = map.find("ports"))
            for (const auto* one : one_or_more(*at))
                if (const auto given = map.text(*one, "ports")) {
                    if (const auto range = PortRange::from(*given))
                        entry.ports.push_back(*range);
                    else
                        problems.add(*one, "not a port or a range of ports from 1 to 65535:", "like 22 or 5900-5910");
                }
        if (const auto* at = map.require("reason"))
            if (const auto given = map.text(*at, "reason")) entry.reason = *given;
        if (const auto* at = map.find("until"))
            if (const auto given = map.text(*at, "until")) {
                entry.until = *given;
                if (!is_date(*given)) problems.add(*at, "not a day:", "like 2027-03-31");
            }
        if (entry.rule.empty() && entry.from.empty() && entry.to.empty() && entry.protocol.empty() && entry.ports.empty())
            problems.add(item.at, {}, "an entry of `" + key + "` says what it is about: rule, from, to, protocol or ports", std::string{like});
        map.finish();
        list.push_back(std::move(entry));
    }
}

}  // namespace wmlab::scenario
