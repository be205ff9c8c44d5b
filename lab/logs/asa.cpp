// Cisco ASA and Firepower (ASA message guide): 106001, 106006, 106007, 106010, 106014, 106015, 106021, 106023, 106100,
// 302013 to 302016, 305011.
#include <algorithm>

#include "lab/logs/fields.hpp"

namespace wmlab::lab::logs {
namespace {

// "outside:10.20.0.10/1217", "outside/10.20.0.10(1217)", "10.20.0.10/1217"
std::optional<End> asa_end(std::string_view word) {
    while (word.ends_with(',') || word.ends_with(';')) word.remove_suffix(1);
    if (word.ends_with(')')) {
        word.remove_suffix(1);
        const auto open = word.rfind('(');
        if (open == std::string_view::npos) return std::nullopt;
        auto address = word.substr(0, open);
        if (const auto slash = address.rfind('/'); slash != std::string_view::npos) address.remove_prefix(slash + 1);
        const auto port = port_of(word.substr(open + 1));
        if (!is_ipv4(address) || !port) return std::nullopt;
        return End{std::string{address}, *port};
    }
    if (const auto colon = word.rfind(':'); colon != std::string_view::npos) word.remove_prefix(colon + 1);
    return end_of(word, '/');
}

// "(10.20.0.10/1217)"
std::optional<End> asa_mapped(std::string_view word) {
    if (!word.starts_with('(') || !word.ends_with(')')) return std::nullopt;
    return end_of(word.substr(1, word.size() - 2), '/');
}

std::string_view after(const std::vector<std::string_view>& words, std::string_view word, std::size_t from = 0) {
    for (auto i = from; i + 1 < words.size(); ++i)
        if (words[i] == word) return words[i + 1];
    return {};
}

std::optional<Entry> asa_built(const std::vector<std::string_view>& words, Entry entry) {
    // Built inbound TCP connection 17 for outside:A/p (mapped) to inside:B/q (mapped)
    std::size_t at = 0;
    while (at < words.size() && words[at] != "for") ++at;
    if (at + 3 >= words.size()) return std::nullopt;
    std::vector<std::optional<End>> ends, mapped;
    for (auto i = at + 1; i < words.size() && ends.size() < 2; ++i) {
        if (words[i] == "to") continue;
        const auto end = asa_end(words[i]);
        if (!end) continue;
        ends.push_back(end);
        mapped.push_back(i + 1 < words.size() ? asa_mapped(words[i + 1]) : std::nullopt);
        if (mapped.back()) ++i;
    }
    if (ends.size() < 2) return std::nullopt;
    // `for` is the side of the lower security level: of an outbound connection the one it goes to.
    const bool outbound = std::ranges::find(words, std::string_view{"outbound"}) != words.end();
    const std::size_t from = outbound ? 1 : 0, to = outbound ? 0 : 1;
    entry.source = *ends[from];
    entry.destination = *ends[to];
    if (mapped[from] && *mapped[from] != *ends[from]) entry.source_as = mapped[from];
    if (mapped[to] && *mapped[to] != *ends[to]) entry.destination_as = mapped[to];
    for (const auto word : words)
        if (const auto protocol = protocol_of(word); protocol == "tcp" || protocol == "udp") entry.protocol = protocol;
    return entry;
}

}  // namespace

std::optional<Entry> read_asa(std::string_view line) {
    const auto mark = line.find("%ASA-") != std::string_view::npos ? line.find("%ASA-") : line.find("%FTD-");
    if (mark == std::string_view::npos) return std::nullopt;
    auto message = line.substr(mark);
    const auto colon = message.find(": ");
    const auto dash = message.find('-', 5);
    if (colon == std::string_view::npos || dash == std::string_view::npos || dash > colon) return std::nullopt;
    const auto number = message.substr(dash + 1, colon - dash - 1);
    message.remove_prefix(colon + 2);
    const auto words = words_of(message);
    Entry entry;
    using enum Entry::Action;
    const auto ends = [&](std::string_view from, std::string_view to) {
        const auto source = asa_end(from), destination = asa_end(to);
        if (!source || !destination) return false;
        entry.source = *source, entry.destination = *destination;
        return true;
    };
    if (number == "106023") {  // Deny tcp src outside:A/p dst inside:B/q by access-group "NAME" [..]
        entry.action = deny;
        if (words.size() < 2 || !ends(after(words, "src"), after(words, "dst"))) return std::nullopt;
        entry.protocol = protocol_of(words[1]);
        const auto name = between(message, "access-group \"", "\"");
        entry.rule = name.empty() ? "106023" : "access-group \"" + std::string{name} + "\"";
        return entry;
    }
    if (number == "106100") {  // access-list NAME denied tcp outside/A(p) -> inside/B(q) hit-cnt 1 ...
        if (words.size() < 7 || words[0] != "access-list") return std::nullopt;
        entry.action = words[2] == "denied"                                   ? deny
                       : words[2] == "permitted" || words[2] == "est-allowed" ? permit
                                                                              : unknown;
        entry.protocol = protocol_of(words[3]);
        if (!ends(words[4], words[6])) return std::nullopt;
        entry.rule = "access-list " + std::string{words[1]};
        return entry;
    }
    if (number == "302013" || number == "302015") {
        entry.action = build;
        return asa_built(words, std::move(entry));
    }
    if (number == "302014" || number == "302016") {
        entry.action = teardown;
        return asa_built(words, std::move(entry));
    }
    if (number == "305011") {  // Built dynamic TCP translation from inside:A/p to outside:B/q
        entry.action = translate;
        if (words.size() < 3 || !ends(after(words, "from"), after(words, "to"))) return std::nullopt;
        entry.protocol = protocol_of(words[2]);
        entry.source_as = entry.destination;
        entry.destination = {};
        return entry;
    }
    if (number == "106001" || number == "106006" || number == "106007" || number == "106014" || number == "106015" ||
        number == "106010" || number == "106021") {
        entry.action = deny;
        const auto from = after(words, "from").empty() ? after(words, "src") : after(words, "from");
        auto to = after(words, "from").empty() ? after(words, "dst") : std::string_view{};
        for (std::size_t i = 0; to.empty() && i + 1 < words.size(); ++i)
            if (words[i] == "to") to = words[i + 1];
        if (!ends(from, to)) return std::nullopt;
        for (const auto word : words)
            if (entry.protocol.empty()) entry.protocol = lower(word) == "protocol" ? "" : protocol_of(word);
        entry.stray = number == "106015";
        entry.rule = std::string{number} + " (" + std::string{message.substr(0, message.find(" from "))} + ")";
        return entry;
    }
    return std::nullopt;
}

}  // namespace wmlab::lab::logs
