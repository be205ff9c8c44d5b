#include "lab/logs/fields.hpp"

#include <algorithm>
#include <charconv>

namespace wmlab::lab::logs {

bool is_ipv4(std::string_view text) { return scenario::Ipv4::from(text).has_value(); }

std::optional<std::uint16_t> port_of(std::string_view text) {
    std::uint16_t port = 0;
    const auto* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, port);
    if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
    return port;
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t at = 0; (at = text.find_first_not_of(" \t", at)) != std::string_view::npos;) {
        const auto end = std::min(text.find_first_of(" \t", at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

std::string lower(std::string_view text) {
    std::string result{text};
    for (auto& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string protocol_of(std::string_view word) {
    const auto name = lower(word);
    if (name == "tcp" || name == "6") return "tcp";
    if (name == "udp" || name == "17") return "udp";
    if (name == "icmp" || name == "1") return "icmp";
    if (name == "igmp" || name == "2") return "igmp";
    return {};
}

std::optional<End> end_of(std::string_view text, char between) {
    const auto at = text.rfind(between);
    const auto address = text.substr(0, at);
    if (!is_ipv4(address)) return std::nullopt;
    End end{std::string{address}, 0};
    if (at == std::string_view::npos) return end;
    const auto port = port_of(text.substr(at + 1));
    if (!port) return std::nullopt;
    end.port = *port;
    return end;
}

std::map<std::string, std::string, std::less<>> pairs_of(std::string_view text) {
    std::map<std::string, std::string, std::less<>> pairs;
    for (std::size_t at = 0; (at = text.find('=', at)) != std::string_view::npos;) {
        auto start = at;
        while (start > 0 && text[start - 1] != ' ' && text[start - 1] != '\t' && text[start - 1] != '[' &&
               text[start - 1] != ',')
            --start;
        const std::string key{text.substr(start, at - start)};
        ++at;
        std::string value;
        if (at < text.size() && text[at] == '"') {
            const auto end = std::min(text.find('"', at + 1), text.size());
            value = text.substr(at + 1, end - at - 1);
            at = std::min(end + 1, text.size());
        } else {
            const auto end = std::min(text.find_first_of(" \t,]", at), text.size());
            value = text.substr(at, end - at);
            at = end;
        }
        if (!key.empty()) pairs.emplace(key, std::move(value));
    }
    return pairs;
}

std::vector<std::string> comma_fields(std::string_view text) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (const char c : text) {
        if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            fields.emplace_back();
        else
            fields.back() += c;
    }
    return fields;
}

Entry::Action action_of(std::string_view word) {
    const auto name = lower(word);
    const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    using enum Entry::Action;
    const bool stops = has("deny") || has("denied") || has("drop") || has("block") || has("reject") || has("reset") ||
                       has("discard") || has("refuse") || has("violation");
    const bool lets = has("accept") || has("allow") || has("permit") || has("pass");
    if (stops == lets) return unknown;
    return stops ? deny : permit;
}

std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
    const auto at = text.find(before);
    if (at == std::string_view::npos) return {};
    text.remove_prefix(at + before.size());
    const auto end = text.find(after);
    return end == std::string_view::npos ? std::string_view{} : text.substr(0, end);
}

}  // namespace wmlab::lab::logs
