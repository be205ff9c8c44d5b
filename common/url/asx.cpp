#include "common/url/asx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

#include "common/bytes/text.hpp"

namespace wmlab::url {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool blank(char c) { return static_cast<unsigned char>(c) <= ' '; }

using bytes::same_word;

std::string_view without_mark(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    return text;
}

struct Entity {
    std::string_view name;
    char character;
};
constexpr std::array<Entity, 5> entities = {{{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}};

std::string unescaped(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const auto semicolon = text.front() == '&' ? text.substr(0, 12).find(';') : std::string_view::npos;
        if (semicolon != std::string_view::npos) {
            const auto name = text.substr(1, semicolon - 1);
            const auto* entity = std::find_if(entities.begin(), entities.end(),
                                              [&](const Entity& e) { return same_word(e.name, name); });
            unsigned code = 0;
            if (entity != entities.end()) {
                plain += entity->character;
                text.remove_prefix(semicolon + 1);
                continue;
            }
            if (name.size() > 1 && name.front() == '#' &&
                std::from_chars(name.data() + 1, name.data() + name.size(), code).ptr == name.data() + name.size() &&
                code >= 0x20 && code < 0x7F) {
                plain += static_cast<char>(code);
                text.remove_prefix(semicolon + 1);
                continue;
            }
        }
        plain += text.front();
        text.remove_prefix(1);
    }
    return plain;
}

std::string escaped(std::string_view text) {
    std::string xml;
    for (const char c : text) {
        const auto* entity =
            std::find_if(entities.begin(), entities.end(), [&](const Entity& e) { return e.character == c; });
        if (entity != entities.end())
            xml.append("&").append(entity->name).append(";");
        else if (static_cast<unsigned char>(c) >= ' ')
            xml += c;
    }
    return xml;
}

std::string folded(std::string_view text) {
    std::string folded;
    for (const char c : text) {
        if (!blank(c))
            folded += c;
        else if (!folded.empty() && folded.back() != ' ')
            folded += ' ';
    }
    if (folded.ends_with(' ')) folded.pop_back();
    return folded;
}

struct Tag {
    std::string name;  // lower case
    bool closing = false;
    std::string href;
};

// One tag, without its angle brackets.
Tag tag_from(std::string_view text) {
    Tag tag;
    if (text.starts_with('/')) tag.closing = true, text.remove_prefix(1);
    std::size_t end = 0;
    while (end < text.size() && !blank(text[end]) && text[end] != '/') ++end;
    for (const char c : text.substr(0, std::min<std::size_t>(end, 32))) tag.name += lower(c);
    text.remove_prefix(end);
    while (!text.empty()) {
        while (!text.empty() && (blank(text.front()) || text.front() == '/')) text.remove_prefix(1);
        std::size_t size = 0;
        while (size < text.size() && !blank(text[size]) && text[size] != '=') ++size;
        const auto attribute = text.substr(0, size);
        text.remove_prefix(size);
        while (!text.empty() && blank(text.front())) text.remove_prefix(1);
        if (!text.starts_with('=')) {
            if (size == 0 && !text.empty()) text.remove_prefix(1);
            continue;
        }
        text.remove_prefix(1);
        while (!text.empty() && blank(text.front())) text.remove_prefix(1);
        std::string_view value;
        if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
            const auto close = text.find(text.front(), 1);
            value = text.substr(1, close == std::string_view::npos ? close : close - 1);
            text.remove_prefix(close == std::string_view::npos ? text.size() : close + 1);
        } else {
            size = 0;
            while (size < text.size() && !blank(text[size])) ++size;
            value = text.substr(0, size);
            // <Ref href=mms://a/b/> closes the element; a slash of the URL itself is not told from it, as in players
            if (size == text.size() && value.ends_with('/')) value.remove_suffix(1);
            text.remove_prefix(size);
        }
        if (same_word(attribute, "href") && tag.href.empty()) tag.href = unescaped(value);
    }
    return tag;
}

// The end of a tag: a `>` outside quotes, or, where a quote is never closed, the first `>`.
std::size_t end_of_tag(std::string_view text) {
    char quote = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            if (c == quote) quote = 0;
            if (c == '\n' || c == '<') break;  // an unclosed quote
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return i;
        }
    }
    return text.find('>');
}

void add_ref(AsxEntry& entry, std::string_view href) {
    const auto url = folded(href);
    if (!url.empty() && url.size() <= url_size_max && entry.refs.size() < asx_refs_max) entry.refs.push_back(url);
}

Asx parse_elements(std::string_view text) {
    Asx asx;
    bool in_entry = false;
    while (!text.empty()) {
        if (text.starts_with("<!--")) {
            const auto end = text.find("-->");
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 3);
            continue;
        }
        if (text.front() != '<') {
            text.remove_prefix(std::min(text.find('<'), text.size()));
            continue;
        }
        const auto end = end_of_tag(text);
        if (end == std::string_view::npos) break;
        const auto tag = tag_from(text.substr(1, end - 1));
        text.remove_prefix(end + 1);
        if (tag.name == "entry") {
            in_entry = !tag.closing;
            if (in_entry && asx.entries.size() < asx_entries_max) asx.entries.emplace_back();
            if (in_entry && !tag.href.empty() && !asx.entries.empty()) add_ref(asx.entries.back(), tag.href);
        } else if (tag.name == "ref" && !tag.closing) {
            // A Ref outside any Entry stands for an entry of its own.
            if (!in_entry && asx.entries.size() < asx_entries_max) asx.entries.emplace_back();
            if (!asx.entries.empty()) add_ref(asx.entries.back(), tag.href);
        } else if (tag.name == "entryref" && !tag.closing) {
            if (!tag.href.empty() && asx.entry_refs.size() < asx_entries_max)
                asx.entry_refs.push_back(folded(tag.href));
        } else if (tag.name == "title" && !tag.closing) {
            auto title = folded(unescaped(text.substr(0, std::min<std::size_t>(text.find('<'), 512))));
            (in_entry && !asx.entries.empty() ? asx.entries.back().title : asx.title) = std::move(title);
        }
    }
    std::erase_if(asx.entries, [](const AsxEntry& entry) { return entry.refs.empty(); });
    return asx;
}

Asx parse_reference(std::string_view text) {
    std::map<unsigned, std::string> refs;
    while (!text.empty()) {
        const auto end = text.find_first_of("\r\n");
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        const auto key = folded(line.substr(0, equals));
        const auto value = folded(line.substr(equals + 1));
        unsigned number = 0;
        if (key.size() < 4 || !same_word(std::string_view{key}.substr(0, 3), "Ref")) continue;
        const auto* last = key.data() + key.size();
        if (std::from_chars(key.data() + 3, last, number).ptr != last || value.empty() || value.size() > url_size_max)
            continue;
        if (refs.size() < asx_refs_max) refs.emplace(number, value);
    }
    Asx asx;
    if (refs.empty()) return asx;
    asx.entries.emplace_back();
    for (auto& [number, ref] : refs) asx.entries.back().refs.push_back(std::move(ref));
    return asx;
}

}  // namespace

bool looks_like_asx(std::string_view beginning) {
    const auto text = without_mark(beginning);
    return same_word(text.substr(0, 4), "<ASX") || same_word(text.substr(0, 11), "[Reference]");
}

boost::system::result<Asx, Problem> parse_asx(std::string_view document) {
    const auto problem = [](std::string text) {
        return boost::system::result<Asx, Problem>{boost::system::in_place_error, Problem{std::move(text)}};
    };
    if (document.size() > asx_size_max) return problem("is a redirector file of more than 64 KiB");
    const auto text = without_mark(document);
    if (!looks_like_asx(text))
        return problem("is no redirector file: it begins neither with <ASX nor with [Reference]");
    auto asx = text.front() == '<' ? parse_elements(text) : parse_reference(text);
    if (asx.entries.empty() && asx.entry_refs.empty()) return problem("is a redirector file that names nothing");
    return {boost::system::in_place_value, std::move(asx)};
}

std::string write_asx(const Asx& asx) {
    std::string text = "<ASX version=\"3.0\">\r\n";
    if (!asx.title.empty()) text += "<Title>" + escaped(asx.title) + "</Title>\r\n";
    for (const auto& entry : asx.entries) {
        text += "<Entry>\r\n";
        if (!entry.title.empty()) text += "<Title>" + escaped(entry.title) + "</Title>\r\n";
        for (const auto& ref : entry.refs) text += "<Ref href=\"" + escaped(ref) + "\"/>\r\n";
        text += "</Entry>\r\n";
    }
    for (const auto& ref : asx.entry_refs) text += "<EntryRef href=\"" + escaped(ref) + "\"/>\r\n";
    return text + "</ASX>\r\n";
}

std::string write_reference(const std::vector<std::string>& urls) {
    std::string text = "[Reference]\r\n";
    for (std::size_t i = 0; i < urls.size(); ++i) text += "Ref" + std::to_string(i + 1) + '=' + urls[i] + "\r\n";
    return text;
}

}  // namespace wmlab::url
