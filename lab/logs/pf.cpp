// pf: what `tcpdump -n -e -ttt -i pflog0` prints, and the filterlog messages of OPNsense and pfSense.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

// "10.20.0.10.1217", behind which a colon may stand
std::optional<End> pf_end(std::string_view word) {
    while (word.ends_with(':') || word.ends_with(',')) word.remove_suffix(1);
    if (is_ipv4(word)) return End{std::string{word}, 0};
    const auto dot = word.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const auto port = port_of(word.substr(dot + 1));
    if (!is_ipv4(word.substr(0, dot)) || !port) return std::nullopt;
    return End{std::string{word.substr(0, dot)}, *port};
}

}  // namespace

std::optional<Entry> read_pf(std::string_view line) {
    if (line.find("filterlog") != std::string_view::npos) return read_filterlog(line);
    // rule 5/0(match): block in on em0: 10.20.0.10.1217 > 10.10.0.10.1755: Flags [S], ...
    const auto mark = line.find("rule ");
    if (mark == std::string_view::npos) return std::nullopt;
    const auto message = line.substr(mark);
    const auto words = words_of(message);
    Entry entry;
    std::size_t at = 0;
    for (std::size_t i = 2; i < words.size() && i < 12 && entry.action == Entry::Action::unknown; ++i)
        entry.action = action_of(words[i]);
    while (at < words.size() && words[at] != ">") ++at;
    if (at == 0 || at + 1 >= words.size()) return std::nullopt;
    const auto source = pf_end(words[at - 1]), destination = pf_end(words[at + 1]);
    if (!source || !destination) return std::nullopt;
    entry.source = *source, entry.destination = *destination;
    const auto rest = message.substr(static_cast<std::size_t>(words[at + 1].end() - message.begin()));
    const auto what = lower(rest);
    if (what.find("flags [") != std::string::npos || what.starts_with(" s ") || what.find("tcp") != std::string::npos)
        entry.protocol = "tcp";
    else if (what.find("udp") != std::string::npos)
        entry.protocol = "udp";
    else if (what.find("icmp") != std::string::npos)
        entry.protocol = "icmp";
    else if (what.find("igmp") != std::string::npos)
        entry.protocol = "igmp";
    auto name = words.size() > 1 ? words[1] : std::string_view{};
    name = name.substr(0, name.find('('));
    while (name.ends_with(':') || name.ends_with('/')) name.remove_suffix(1);
    entry.rule = "rule " + std::string{name};
    return entry;
}

std::optional<Entry> read_filterlog(std::string_view line) {
    const auto mark = line.find("filterlog");
    if (mark == std::string_view::npos) return std::nullopt;
    auto message = line.substr(mark);
    if (const auto colon = message.find(": "); colon != std::string_view::npos && colon < message.find(','))
        message.remove_prefix(colon + 2);  // filterlog[77]: ...
    else if (const auto bracket = message.find("] "); bracket != std::string_view::npos)
        message.remove_prefix(bracket + 2);  // RFC 5424: filterlog 77 - [meta ...] ...
    const auto fields = comma_fields(message);
    constexpr std::size_t rule = 0, label = 3, action = 6, version = 8, protocol = 16, source = 18, destination = 19,
                          source_port = 20, destination_port = 21;
    if (fields.size() <= destination || fields[version] != "4") return std::nullopt;
    if (!is_ipv4(fields[source]) || !is_ipv4(fields[destination])) return std::nullopt;
    Entry entry;
    entry.action = action_of(fields[action]);
    entry.protocol = protocol_of(fields[protocol]);
    entry.source.address = fields[source];
    entry.destination.address = fields[destination];
    if (fields.size() > destination_port && (entry.protocol == "tcp" || entry.protocol == "udp")) {
        entry.source.port = port_of(fields[source_port]).value_or(0);
        entry.destination.port = port_of(fields[destination_port]).value_or(0);
    }
    entry.rule = "rule " + fields[rule] + (fields[label].empty() ? "" : " (" + fields[label] + ")");
    return entry;
}

}  // namespace wmlab::lab::logs
