// Windows Defender Firewall, pfirewall.log: date time action protocol source destination ports ... The file names no
// rule.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {

std::optional<Entry> read_windows(std::string_view line) {
    const auto words = words_of(line);
    constexpr std::size_t action = 2, protocol = 3, source = 4, destination = 5, source_port = 6, destination_port = 7;
    if (words.size() <= destination_port || line.starts_with('#')) return std::nullopt;
    if (!is_ipv4(words[source]) || !is_ipv4(words[destination])) return std::nullopt;
    Entry entry;
    entry.action = action_of(words[action]);
    entry.protocol = protocol_of(words[protocol]);
    entry.source = {std::string{words[source]}, port_of(words[source_port]).value_or(0)};
    entry.destination = {std::string{words[destination]}, port_of(words[destination_port]).value_or(0)};
    if (entry.action == Entry::Action::unknown) return std::nullopt;
    const auto way = words.back();
    entry.rule = std::string{words[action]} +
                 (way == "RECEIVE" || way == "SEND" || way == "FORWARD" ? " " + std::string{way} : "");
    return entry;
}

}  // namespace wmlab::lab::logs
