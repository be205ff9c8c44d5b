#include "common/url/asx.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>

#include "common/bytes/text.hpp"
#include "common/bytes/utf16.hpp"

namespace wmlab::url {
namespace {

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool blank(char c) { return static_cast<unsigned char>(c) <= ' '; }

using bytes::same_word;

// The document as UTF-8, whatever it came in.
std::string as_text(std::string_view document) {
    const auto at = [&](std::size_t i) { return i < document.size() ? static_cast<unsigned char>(document[i]) : 0u; };
    const bool little = (at(0) == 0xFF && at(1) == 0xFE) || (at(0) != 0 && document.size() > 1 && at(1) == 0);
    const bool big = (at(0) == 0xFE && at(1) == 0xFF) || (document.size() > 1 && at(0) == 0 && at(1) != 0);
    if (!little && !big) {
        if (document.starts_with("\xEF\xBB\xBF")) document.remove_prefix(3);
        return bytes::as_utf8(document);
    }
    std::u16string units;
    for (std::size_t i = 0; i + 1 < document.size(); i += 2)
        units.push_back(static_cast<char16_t>(little ? at(i) | at(i + 1) << 8 : at(i) << 8 | at(i + 1)));
    if (units.starts_with(u'\uFEFF')) units.erase(0, 1);
    return bytes::to_utf8(units);
}

// Where a declaration <!...> ends: what is quoted, in comments or between brackets may hold a `>` of its own.
std::size_t end_of_declaration(std::string_view text) {
    char quote = 0;
    int open = 0;
    for (std::size_t i = 2; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != 0) {
            if (c == quote) quote = 0;
        } else if (text.substr(i).starts_with("<!--")) {
            const auto end = text.find("-->", i + 2);
            if (end == std::string_view::npos) return end;
            i = end + 2;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '<' || c == '[') {
            ++open;
        } else if (c == ']') {
            --open;
        } else if (c == '>' && open-- == 0) {
            return i + 1;
        }
    }
    return std::string_view::npos;
}

// Without what may stand in front of the root element.
std::string_view without_prolog(std::string_view text) {
    for (;;) {
        while (!text.empty() && blank(text.front())) text.remove_prefix(1);
        std::size_t end = 0;
        if (text.starts_with("<?")) {
            end = text.find("?>");
            if (end != std::string_view::npos) end += 2;
        } else if (text.starts_with("<!--")) {
            end = text.find("-->");
            if (end != std::string_view::npos) end += 3;
        } else if (text.starts_with("<!")) {
            end = end_of_declaration(text);
            // A quote or bracket that is never closed: to the first `>`, as players of the era take it.
            if (end == std::string_view::npos && text.find('>') != std::string_view::npos) end = text.find('>') + 1;
        } else {
            return text;
        }
        if (end == std::string_view::npos) return {};
        text.remove_prefix(end);
    }
}

// "ASF mms://media/lecture", or the URL alone.
std::string_view url_of_line(std::string_view line) {
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
    while (!line.empty() && blank(line.back())) line.remove_suffix(1);
    if (same_word(line.substr(0, 4), "ASF ")) line.remove_prefix(4);
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
    const auto scheme = line.substr(0, line.find("://"));
    const bool plain = !scheme.empty() && scheme.size() < std::min<std::size_t>(line.size(), 8) &&
                       std::all_of(scheme.begin(), scheme.end(), [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; });
    return plain && line.find_first_of("<>") == std::string_view::npos ? line : std::string_view{};
}

struct Entity {
    std::string_view name;
    char character;
};
constexpr std::array<Entity, 5> entities = {{{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}}};

// "#228" or "#xE4" as UTF-8; empty: it is none.
std::string character_reference(std::string_view name) {
    if (!name.starts_with('#')) return {};
    name.remove_prefix(1);
    const int base = same_word(name.substr(0, 1), "x") ? 16 : 10;
    if (base == 16) name.remove_prefix(1);
    std::uint32_t code = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, base);
    const bool surrogate = code >= 0xD800 && code < 0xE000;
    if (name.empty() || error != std::errc{} || end != name.data() + name.size()) return {};
    if (code < ' ' || code == 0x7F || code > 0x10FFFF || surrogate) return {};
    if (code < 0x10000) return bytes::to_utf8(std::u16string(1, static_cast<char16_t>(code)));
    return bytes::to_utf8(std::u16string{static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10)),
                                         static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF))});
}

std::string unescaped(std::string_view text) {
    std::string plain;
    while (!text.empty()) {
        const auto semicolon = text.front() == '&' ? text.substr(0, 12).find(';') : std::string_view::npos;
        if (semicolon != std::string_view::npos) {
            const auto name = text.substr(1, semicolon - 1);
            const auto* entity = std::find_if(entities.begin(), entities.end(),
                                              [&](const Entity& e) { return same_word(e.name, name); });
            if (entity != entities.end()) {
                plain += entity->character;
                text.remove_prefix(semicolon + 1);
                continue;
            }
            if (const auto character = character_reference(name); !character.empty()) {
                plain += character;
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

void add_ref(AsxEntry& entry, std::string_view href, const std::optional<Url>& base) {
    auto url = folded(href);
    if (url.empty() || url.size() > url_size_max || entry.refs.size() >= asx_refs_max) return;
    if (base && url.find("://") == std::string::npos)
        if (const auto whole = resolve(*base, url)) url = whole->text();
    entry.refs.push_back(std::move(url));
}

Asx parse_elements(std::string_view text) {
    Asx asx;
    bool in_entry = false, room = true;    // for one more entry
    std::optional<Url> base, base_of_all;  // an Entry's own is for what stands in it
    while (!text.empty()) {
        if (text.starts_with("<!--")) {
            const auto end = text.find("-->");
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 3);
            continue;
        }
        if (text.starts_with("<![CDATA[")) {  // text, whatever it looks like
            const auto end = text.find("]]>");
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
        const auto begin_entry = [&] {
            room = asx.entries.size() < asx_entries_max;
            if (room) asx.entries.emplace_back();
            return room;
        };
        if (tag.name == "entry") {
            in_entry = !tag.closing;
            base = base_of_all;
            if (in_entry && begin_entry() && !tag.href.empty()) add_ref(asx.entries.back(), tag.href, base);
        } else if (tag.name == "ref" && !tag.closing) {
            // A Ref outside any Entry stands for an entry of its own.
            if (in_entry ? room : begin_entry()) add_ref(asx.entries.back(), tag.href, base);
        } else if (tag.name == "entryref" && !tag.closing) {
            in_entry = false;
            base = base_of_all;
            if (!begin_entry()) continue;
            asx.entries.back().entry_ref = true;
            add_ref(asx.entries.back(), tag.href, base);
        } else if (tag.name == "base" && !tag.closing) {
            const auto given = parse(folded(tag.href));
            base = given ? std::optional{*given} : std::nullopt;
            if (!in_entry) base_of_all = base;
        } else if (tag.name == "title" && !tag.closing) {
            auto title = folded(unescaped(text.substr(0, std::min<std::size_t>(text.find('<'), 512))));
            (in_entry && room ? asx.entries.back().title : asx.title) = std::move(title);
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

Asx parse_lines(std::string_view text) {
    Asx asx;
    while (!text.empty()) {
        const auto end = text.find_first_of("\r\n");
        if (const auto url = url_of_line(text.substr(0, end)); !url.empty() && asx.entries.size() < asx_entries_max) {
            asx.entries.emplace_back();
            add_ref(asx.entries.back(), url, std::nullopt);
        }
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    std::erase_if(asx.entries, [](const AsxEntry& entry) { return entry.refs.empty(); });
    return asx;
}

enum class Form { none, elements, reference, lines };
Form form_of(std::string_view text) {
    if (same_word(text.substr(0, 4), "<ASX")) return Form::elements;
    if (same_word(text.substr(0, 11), "[Reference]")) return Form::reference;
    return url_of_line(text.substr(0, text.find_first_of("\r\n"))).empty() ? Form::none : Form::lines;
}

}  // namespace

bool looks_like_asx(std::string_view document) {
    const auto text = as_text(document.substr(0, asx_size_max));
    return form_of(without_prolog(text)) != Form::none;
}

bool redirector_name(std::string_view name) {
    for (const std::string_view extension : {".asx", ".wax", ".wvx", ".wmx"})
        if (name.size() >= extension.size() && same_word(name.substr(name.size() - extension.size()), extension))
            return true;
    return false;
}

boost::system::result<Asx, Problem> parse_asx(std::string_view document) {
    const auto problem = [](std::string text) {
        return boost::system::result<Asx, Problem>{boost::system::in_place_error, Problem{std::move(text)}};
    };
    if (document.size() > asx_size_max) return problem("is a redirector file of more than 64 KiB");
    const auto whole = as_text(document);
    const auto text = without_prolog(whole);
    const auto form = form_of(text);
    if (form == Form::none)
        return problem("is no redirector file: it begins neither with <ASX nor with [Reference]");
    auto asx = form == Form::elements    ? parse_elements(text)
               : form == Form::reference ? parse_reference(text)
                                         : parse_lines(text);
    if (asx.entries.empty()) return problem("is a redirector file that names nothing");
    return {boost::system::in_place_value, std::move(asx)};
}

std::string write_asx(const Asx& asx) {
    std::string text = "<ASX version=\"3.0\">\r\n";
    if (!asx.title.empty()) text += "<Title>" + escaped(asx.title) + "</Title>\r\n";
    for (const auto& entry : asx.entries) {
        if (entry.entry_ref) {
            for (const auto& ref : entry.refs) text += "<EntryRef href=\"" + escaped(ref) + "\"/>\r\n";
            continue;
        }
        text += "<Entry>\r\n";
        if (!entry.title.empty()) text += "<Title>" + escaped(entry.title) + "</Title>\r\n";
        for (const auto& ref : entry.refs) text += "<Ref href=\"" + escaped(ref) + "\"/>\r\n";
        text += "</Entry>\r\n";
    }
    return text + "</ASX>\r\n";
}

std::string write_reference(const std::vector<std::string>& urls) {
    std::string text = "[Reference]\r\n";
    for (std::size_t i = 0; i < urls.size(); ++i) text += "Ref" + std::to_string(i + 1) + '=' + urls[i] + "\r\n";
    return text;
}

}  // namespace wmlab::url
