// Juniper SRX, RT_FLOW messages: structured (key="value") and plain.
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

// "10.20.0.10/1217->10.10.0.10/1755"
bool junos_pair(std::string_view word, End& source, End& destination) {
    const auto arrow = word.find("->");
    if (arrow == std::string_view::npos) return false;
    const auto from = end_of(word.substr(0, arrow), '/'), to = end_of(word.substr(arrow + 2), '/');
    if (!from || !to) return false;
    source = *from, destination = *to;
    return true;
}

std::string policy_words(std::string_view name) { return name.empty() ? "" : "policy " + std::string{name}; }

}  // namespace

std::optional<Entry> read_junos(std::string_view line) {
    const auto mark = line.find("RT_FLOW_SESSION_");
    if (mark == std::string_view::npos) return std::nullopt;
    const auto message = line.substr(mark);
    Entry entry;
    using enum Entry::Action;
    const auto kind = message.substr(16, message.find_first_of(" :[", 16) - 16);
    if (kind.starts_with("DENY"))
        entry.action = deny;
    else if (kind.starts_with("CREATE"))
        entry.action = build;
    else if (kind.starts_with("CLOSE"))
        entry.action = teardown;
    else
        return std::nullopt;
    if (message.find("source-address=") != std::string_view::npos) {
        const auto pairs = pairs_of(message);
        const auto value = [&](std::string_view key) -> std::string {
            const auto found = pairs.find(key);
            return found == pairs.end() ? std::string{} : found->second;
        };
        const auto end = [&](const std::string& address, const std::string& port) -> std::optional<End> {
            if (!is_ipv4(value(address))) return std::nullopt;
            return End{value(address), port_of(value(port)).value_or(0)};
        };
        const auto from = end("source-address", "source-port"), to = end("destination-address", "destination-port");
        if (!from || !to) return std::nullopt;
        entry.source = *from, entry.destination = *to;
        if (const auto as = end("nat-source-address", "nat-source-port"); as && *as != *from) entry.source_as = as;
        if (const auto as = end("nat-destination-address", "nat-destination-port"); as && *as != *to)
            entry.destination_as = as;
        entry.protocol = protocol_of(value("protocol-id"));
        entry.rule = policy_words(value("policy-name"));
        return entry;
    }
    const auto words = words_of(message);
    std::size_t at = 0;
    while (at < words.size() && !junos_pair(words[at], entry.source, entry.destination)) ++at;
    if (at == words.size()) return std::nullopt;
    End source, destination;
    for (++at; at < words.size(); ++at) {
        if (junos_pair(words[at], source, destination)) {
            if (source != entry.source) entry.source_as = source;
            if (destination != entry.destination) entry.destination_as = destination;
            continue;
        }
        // protocol-id, in a denial with the ICMP type: 6(0); the policy's name stands behind it.
        const auto number = words[at].substr(0, words[at].find('('));
        if (const auto protocol = protocol_of(number);
            !protocol.empty() && number.find_first_not_of("0123456789") == number.npos) {
            entry.protocol = protocol;
            if (at + 1 < words.size()) entry.rule = policy_words(words[at + 1]);
            return entry;
        }
    }
    return std::nullopt;
}

}  // namespace wmlab::lab::logs
