#include "common/scenario/yaml_hints.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace wmlab::scenario::yaml {
namespace {

struct Line {
    std::string_view text;  // without a comment
    std::size_t indent = 0;
    bool blank() const { return indent == text.size(); }
};

// Where a comment begins, quotations left alone.
std::size_t end_of_text(std::string_view line) {
    char quote = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote != 0)
            quote = c == quote ? '\0' : quote;
        else if (c == '"' || c == '\'')
            quote = i == 0 || std::string_view{" \t,[{:-"}.find(line[i - 1]) != std::string_view::npos ? c : '\0';
        else if (c == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t'))
            return i;
    }
    return line.size();
}

std::vector<Line> lines_of(std::string_view text) {
    std::vector<Line> lines;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (line.ends_with('\r')) line.remove_suffix(1);
        line = line.substr(0, end_of_text(line));
        while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
        lines.push_back({line, std::min(line.find_first_not_of(' '), line.size())});
    }
    return lines;
}

bool in_a_key(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; }

// "key:" at that place of the line; its length without the colon.
std::size_t key_at(std::string_view line, std::size_t at) {
    std::size_t size = 0;
    while (at + size < line.size() && in_a_key(line[at + size])) ++size;
    return size > 0 && at + size < line.size() && line[at + size] == ':' ? size : 0;
}

std::optional<YamlError> brackets(const std::vector<Line>& lines) {
    struct Open {
        char sign;
        Place at;
        std::size_t indent;
    };
    std::vector<Open> open;
    const auto unclosed = [&](const Open& bracket) {
        const std::string closing = bracket.sign == '{' ? "}" : "]";
        return YamlError{bracket.at, std::string{"a `"} + bracket.sign + "` that is not closed",
                         "close it with `" + closing + "`"};
    };
    for (std::size_t n = 0; n < lines.size(); ++n) {
        const auto& [text, indent] = lines[n];
        // A key that begins a line no deeper than the bracket's line cannot be inside of it.
        if (!open.empty() && indent < text.size() && indent <= open.front().indent &&
            (key_at(text, indent) > 0 || text.substr(indent).starts_with("- ")))
            return unclosed(open.back());
        char quote = 0;
        for (auto i = indent; i < text.size(); ++i) {
            const char c = text[i];
            const Place here{static_cast<unsigned>(n + 1), static_cast<unsigned>(i + 1)};
            if (quote != 0) {
                if (c == quote) quote = 0;
            } else if (c == '"' || c == '\'') {
                if (i == 0 || std::string_view{" \t,[{:-"}.find(text[i - 1]) != std::string_view::npos) quote = c;
            } else if (c == '{' || c == '[') {
                const bool begins =
                    i == indent || std::string_view{" \t,[{:-"}.find(text[i - 1]) != std::string_view::npos;
                if (begins || !open.empty()) open.push_back({c, here, indent});
            } else if ((c == '}' || c == ']') && !open.empty()) {
                const char wanted = open.back().sign == '{' ? '}' : ']';
                if (c != wanted)
                    return YamlError{here, std::string{"`"} + c + "` where `" + wanted + "` is due",
                                     "it closes the `" + std::string{open.back().sign} + "` of line " +
                                         std::to_string(open.back().at.line) + ", column " +
                                         std::to_string(open.back().at.column)};
                open.pop_back();
            }
        }
    }
    if (open.empty()) return std::nullopt;
    return unclosed(open.back());
}

std::optional<YamlError> missing_blank(const std::vector<Line>& lines) {
    for (std::size_t n = 0; n < lines.size(); ++n) {
        const auto& [text, indent] = lines[n];
        auto at = indent;
        if (text.substr(at).starts_with("- ")) at = std::min(text.find_first_not_of(' ', at + 2), text.size());
        const auto size = key_at(text, at);
        if (size == 0 || at + size + 1 >= text.size()) continue;
        const auto behind = text.substr(at + size + 1);
        if (behind[0] == ' ' || behind[0] == '\t' || behind.starts_with("//")) continue;
        return YamlError{
            {static_cast<unsigned>(n + 1), static_cast<unsigned>(at + size + 1)},
            "no blank behind the colon",
            "write `" + std::string{text.substr(at, size)} + ": " + std::string{behind.substr(0, 40)} + "`"};
    }
    return std::nullopt;
}

std::optional<YamlError> second_colon(const std::vector<Line>& lines, Place at) {
    if (at.line == 0 || at.line > lines.size()) return std::nullopt;
    const auto& [text, indent] = lines[at.line - 1];
    auto begin = indent;
    if (text.substr(begin).starts_with("- ")) begin = std::min(text.find_first_not_of(' ', begin + 2), text.size());
    const auto size = key_at(text, begin);
    if (size == 0) return std::nullopt;
    const auto value = text.find_first_not_of(' ', begin + size + 1);
    if (value == std::string_view::npos || std::string_view{"\"'{["}.find(text[value]) != std::string_view::npos)
        return std::nullopt;
    const auto second = text.find(": ", value);
    if (second == std::string_view::npos && !text.ends_with(':')) return std::nullopt;
    const auto column = second == std::string_view::npos ? text.size() : second + 1;
    return YamlError{
        {at.line, static_cast<unsigned>(column)},
        "a second colon in one value",
        "quote it: `" + std::string{text.substr(begin, size)} + ": \"" + std::string{text.substr(value)} + "\"`"};
}

std::optional<YamlError> indentation(const std::vector<Line>& lines, Place at) {
    // The first line that goes back to where no line above it stands.
    std::vector<std::size_t> levels;
    for (std::size_t n = 0; n < lines.size(); ++n) {
        const auto& line = lines[n];
        if (line.blank()) continue;
        while (!levels.empty() && line.indent < levels.back()) levels.pop_back();
        const bool deeper = levels.empty() || line.indent > levels.back();
        // Deeper is right only below a key without a value, or a list's sign.
        std::size_t before = n;
        while (before > 0 && lines[before - 1].blank()) --before;
        const bool wrong_deeper = deeper && before > 0 && !lines[before - 1].text.ends_with(':') &&
                                  !lines[before - 1].text.ends_with('{') && !lines[before - 1].text.ends_with('[') &&
                                  !lines[before - 1].text.ends_with(',') && !lines[before - 1].text.ends_with('|') &&
                                  !lines[before - 1].text.ends_with('>') &&
                                  line.text.find(':') != std::string_view::npos &&
                                  !lines[before - 1].text.substr(lines[before - 1].indent).starts_with("- ");
        const bool back_to_nowhere = deeper && before > 0 && line.indent < lines[before - 1].indent;
        if ((wrong_deeper || back_to_nowhere) && n + 1 <= at.line + 1U) {
            const auto wanted = lines[before - 1].indent;
            return YamlError{{static_cast<unsigned>(n + 1), static_cast<unsigned>(line.indent + 1)},
                             "this line is indented as no line above it",
                             std::to_string(line.indent) + " blanks, where " + std::to_string(wanted) +
                                 " put it beside line " + std::to_string(before)};
        }
        if (deeper) levels.push_back(line.indent);
    }
    return std::nullopt;
}

}  // namespace

YamlError in_plain_words(std::string_view text, YamlError error) {
    const auto lines = lines_of(text);
    if (error.at.line > 0 && error.at.line <= lines.size()) {
        const auto& line = lines[error.at.line - 1];
        if (line.text.substr(0, line.text.find_first_not_of(" \t")).find('\t') != std::string_view::npos)
            return error;  // said by the loader
    }
    if (auto better = brackets(lines)) return *better;
    if (auto better = missing_blank(lines)) return *better;
    if (auto better = second_colon(lines, error.at)) return *better;
    if (auto better = indentation(lines, error.at)) return *better;
    return error;
}

std::string with_blank(std::string_view key) {
    const auto size = key_at(key, 0);
    if (size == 0 || size + 1 >= key.size() || key[size + 1] == ' ' || key.substr(size + 1).starts_with("//"))
        return {};
    return std::string{key.substr(0, size)} + ": " + std::string{key.substr(size + 1)};
}

}  // namespace wmlab::scenario::yaml
