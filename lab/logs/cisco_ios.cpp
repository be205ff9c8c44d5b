// Cisco IOS: access lists that log (SEC-6-IPACCESSLOGP, -LOGNP, -LOGRP) and the zone firewall (FW-6-DROP_PKT,
// -PASS_PKT).
#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

// "10.20.0.10(1217)", "10.20.0.10(1217),"
std::optional<End> ios_end(std::string_view word) {
    while (word.ends_with(',')) word.remove_suffix(1);
    if (is_ipv4(word)) return End{std::string{word}, 0};
    if (!word.ends_with(')')) return std::nullopt;
    word.remove_suffix(1);
    return end_of(word, '(');
}

}  // namespace

std::optional<Entry> read_cisco_ios(std::string_view line) {
    Entry entry;
    using enum Entry::Action;
    if (const auto mark = line.find("-IPACCESSLOG"); mark != std::string_view::npos) {
        // list 101 denied tcp A(p) (GigabitEthernet0/1 0011.2233.4455) -> B(q), 1 packet
        const auto words = words_of(line.substr(mark));
        std::size_t list = 0, arrow = 0;
        for (std::size_t i = 0; i < words.size(); ++i) {
            if (words[i] == "list" && list == 0) list = i;
            if (words[i] == "->") arrow = i;
        }
        if (list == 0 || arrow < list + 4 || arrow + 1 >= words.size()) return std::nullopt;
        entry.action = action_of(words[list + 2]);
        entry.protocol = protocol_of(words[list + 3]);
        const auto source = ios_end(words[list + 4]), destination = ios_end(words[arrow + 1]);
        if (!source || !destination) return std::nullopt;
        entry.source = *source, entry.destination = *destination;
        entry.rule = "list " + std::string{words[list + 1]};
        return entry;
    }
    const bool drop = line.find("-DROP_PKT") != std::string_view::npos;
    if (!drop && line.find("-PASS_PKT") == std::string_view::npos) return std::nullopt;
    // Dropping tcp session A:p B:q on zone-pair NAME class NAME due to ...
    const auto words = words_of(line);
    for (std::size_t i = 1; i + 2 < words.size(); ++i) {
        if (words[i] != "session") continue;
        const auto source = end_of(words[i + 1], ':'), destination = end_of(words[i + 2], ':');
        if (!source || !destination) return std::nullopt;
        entry.action = drop ? deny : permit;
        entry.protocol = protocol_of(words[i - 1]);
        entry.source = *source, entry.destination = *destination;
        for (auto j = i + 3; j + 1 < words.size(); ++j)
            if (words[j] == "zone-pair" || words[j] == "class")
                entry.rule += (entry.rule.empty() ? "" : " ") + std::string{words[j]} + " " + std::string{words[j + 1]};
        return entry;
    }
    return std::nullopt;
}

}  // namespace wmlab::lab::logs
