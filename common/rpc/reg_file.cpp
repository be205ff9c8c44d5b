#include "common/rpc/reg_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

#include "common/bytes/utf16.hpp"

namespace wmlab::rpc {
namespace {

constexpr std::size_t problems_max = 100;
constexpr std::size_t line_width_max = 80;
constexpr std::string_view header4 = "REGEDIT4", header5 = "Windows Registry Editor Version 5.00";

std::u16string utf16_units(std::string_view octets) {
    std::u16string units;
    for (std::size_t i = 0; i + 1 < octets.size(); i += 2) {
        const auto low = static_cast<unsigned char>(octets[i]), high = static_cast<unsigned char>(octets[i + 1]);
        units.push_back(static_cast<char16_t>(low | high << 8));
    }
    return units;
}

// The file as single bytes a character: UTF-16 becomes UTF-8, ANSI stays as it is (names that matter are ASCII).
std::string decode(std::string_view octets) {
    if (octets.starts_with("\xFF\xFE")) return bytes::to_utf8(utf16_units(octets.substr(2)));
    if (octets.size() >= 2 && octets[0] != 0 && octets[1] == 0) return bytes::to_utf8(utf16_units(octets));
    if (octets.starts_with("\xEF\xBB\xBF")) octets.remove_prefix(3);
    return std::string{octets};
}

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_end_or_comment(std::string_view rest) {
    rest = trimmed(rest);
    return rest.empty() || rest.front() == ';';
}

class Parser {
public:
    explicit Parser(std::string_view octets)
        : text_{decode(octets)}, line_end_{text_.find('\n') == std::string::npos ? '\r' : '\n'} {}

    RegRead run() {
        read_header();
        while (auto line = next_line()) read_line(*line);
        return std::move(result_);
    }

private:
    std::optional<std::string_view> next_line() {
        if (at_ >= text_.size()) return {};
        const auto end = std::min(text_.find(line_end_, at_), text_.size());
        auto line = std::string_view{text_}.substr(at_, end - at_);
        at_ = end + 1;
        ++line_;
        if (line.ends_with('\r')) line.remove_suffix(1);
        return line;
    }

    void problem(std::string what) {
        if (result_.problems.size() < problems_max) result_.problems.push_back({std::max(line_, 1U), std::move(what)});
    }

    void read_header() {
        auto line = next_line();
        while (line && trimmed(*line).empty()) line = next_line();
        const auto header = line ? trimmed(*line) : std::string_view{};
        if (header == header4)
            result_.file.version = 4;
        else if (header != header5)
            problem("the first line is neither \"" + std::string{header4} + "\" nor \"" + std::string{header5} + "\"");
    }

    void read_line(std::string_view line) {
        line = trimmed(line);
        if (line.empty() || line.front() == ';') return;
        if (line.front() == '[') return read_key(line);
        if (line.front() == '"' || line.front() == '@') return read_value(line);
        problem("is no key, value or comment: " + std::string{line.substr(0, 40)});
    }

    void read_key(std::string_view line) {
        const auto end = line.rfind(']');
        if (end == std::string_view::npos || !is_end_or_comment(line.substr(end + 1)))
            return problem("a key without its closing bracket");
        RegKey key;
        key.line = line_;
        auto path = line.substr(1, end - 1);
        key.deleted = path.starts_with('-');
        if (key.deleted) path.remove_prefix(1);
        if (path.empty()) return problem("a key without a name");
        key.path = path;
        result_.file.keys.push_back(std::move(key));
    }

    // A quoted text with \\ and \" escapes; `line` moves behind it.
    std::optional<std::string> quoted(std::string_view& line) {
        std::string out;
        for (std::size_t i = 1; i < line.size(); ++i) {
            if (line[i] == '"') {
                line.remove_prefix(i + 1);
                return out;
            }
            if (line[i] == '\\' && i + 1 < line.size()) ++i;
            out.push_back(line[i]);
        }
        return {};
    }

    void read_value(std::string_view line) {
        RegValue value;
        value.line = line_;
        if (line.front() == '@') {
            line.remove_prefix(1);
        } else {
            auto name = quoted(line);
            if (!name) return problem("a value's name without its closing quote");
            value.name = std::move(*name);
        }
        line = trimmed(line);
        if (!line.starts_with('=')) return problem("a value without \"=\" after its name");
        line = trimmed(line.substr(1));
        if (!read_data(line, value)) return;
        if (result_.file.keys.empty()) return problem("a value before the first key");
        result_.file.keys.back().values.push_back(std::move(value));
    }

    bool read_data(std::string_view line, RegValue& value) {
        if (line.starts_with('"')) return read_text(line, value);
        if (line.starts_with('-') && is_end_or_comment(line.substr(1))) {
            value.type = RegValue::Type::deleted;
            return true;
        }
        if (line.starts_with("dword:")) return read_dword(line.substr(6), value);
        if (line.starts_with("hex")) return read_hex(line.substr(3), value);
        return problem("data of no known form: " + std::string{line.substr(0, 40)}), false;
    }

    // Of a text every backslash is doubled or stands before a quote, of a key's path none.
    static bool is_key_outside_texts(std::string_view line) {
        if (!line.starts_with("[HK") && !line.starts_with("[-HK")) return false;
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (line[i] != '\\') continue;
            ++i;
            if (i == line.size() || (line[i] != '\\' && line[i] != '"')) return true;
        }
        return false;
    }

    // A text may hold line ends, which regedit writes as they are: then it goes on until its closing quote. Where none
    // follows that ends a line, before the next key, this line alone is wrong.
    bool read_text(std::string_view line, RegValue& value) {
        constexpr unsigned lines_max = 4096;
        const auto begin = at_;
        const auto begin_line = line_;
        std::string whole{line};
        for (unsigned lines = 0; lines < lines_max; ++lines) {
            std::string_view rest = whole;
            if (auto text = quoted(rest)) {
                if (!is_end_or_comment(rest)) break;
                value.strings.push_back(std::move(*text));
                return true;
            }
            const auto next = next_line();
            if (!next || is_key_outside_texts(*next)) break;
            whole.append("\n").append(*next);
        }
        at_ = begin;
        line_ = begin_line;
        return problem("a text without its closing quote"), false;
    }

    bool read_dword(std::string_view digits, RegValue& value) {
        value.type = RegValue::Type::dword;
        digits = trimmed(digits.substr(0, digits.find(';')));
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value.number, 16);
        if (error != std::errc{} || end != digits.data() + digits.size() || digits.size() > 8)
            return problem("dword: is followed by " + std::string{digits.substr(0, 20)} + ", not by a hex number"),
                   false;
        return true;
    }

    bool read_hex(std::string_view line, RegValue& value) {
        unsigned type = 3;  // hex: without a number is binary
        if (line.starts_with('(')) {
            const auto close = line.find(')');
            if (close == std::string_view::npos) return problem("hex( without its closing bracket"), false;
            const auto digits = line.substr(1, close - 1);
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), type, 16);
            if (error != std::errc{} || end != digits.data() + digits.size())
                return problem("hex(" + std::string{digits.substr(0, 20)} + ") is no type"), false;
            line = line.substr(close + 1);
        }
        if (!line.starts_with(':')) return problem("hex without a colon"), false;
        line.remove_prefix(1);
        if (!read_octets(line, value.data)) return false;
        switch (type) {
            case 1:
                value.type = RegValue::Type::sz;
                break;
            case 2:
                value.type = RegValue::Type::expand_sz;
                break;
            case 3:
                value.type = RegValue::Type::binary;
                return true;
            case 7:
                value.type = RegValue::Type::multi_sz;
                break;
            default:
                value.type = RegValue::Type::other;
                return true;
        }
        return read_strings(value, type);
    }

    // aa,bb,...; a backslash at the end of a line continues it.
    bool read_octets(std::string_view line, Octets& out) {
        for (;;) {
            line = trimmed(line.substr(0, line.find(';')));
            const bool continued = line.ends_with('\\');
            if (continued) line.remove_suffix(1);
            for (line = trimmed(line); !line.empty();) {
                const auto comma = std::min(line.find(','), line.size());
                const auto digits = trimmed(line.substr(0, comma));
                unsigned octet = 0;
                const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), octet, 16);
                if (error != std::errc{} || end != digits.data() + digits.size() || octet > 0xFF)
                    return problem("\"" + std::string{digits.substr(0, 20)} + "\" is no hex octet"), false;
                out.push_back(static_cast<std::byte>(octet));
                line = comma < line.size() ? trimmed(line.substr(comma + 1)) : std::string_view{};
            }
            if (!continued) return true;
            const auto next = next_line();
            if (!next) return problem("the file ends in a continued line"), false;
            line = *next;
        }
    }

    bool read_strings(RegValue& value, unsigned type) {
        std::u16string units;
        if (result_.file.version == 4) {
            for (const auto octet : value.data) units.push_back(std::to_integer<char16_t>(octet));
        } else {
            if (value.data.size() % 2 != 0)
                return problem("hex(" + std::to_string(type) + ") has " + std::to_string(value.data.size()) +
                               " octets, which are no whole UTF-16 characters"),
                       false;
            for (std::size_t i = 0; i < value.data.size(); i += 2)
                units.push_back(static_cast<char16_t>(std::to_integer<unsigned>(value.data[i]) |
                                                      std::to_integer<unsigned>(value.data[i + 1]) << 8));
        }
        if (type != 7) {
            value.strings.push_back(bytes::to_utf8(std::u16string_view{units}.substr(0, units.find(u'\0'))));
            return true;
        }
        // Strings end in a null, the list in an empty string; a missing last null is common.
        for (std::size_t at = 0; at < units.size() && units[at] != 0;) {
            const auto end = std::min(units.find(u'\0', at), units.size());
            value.strings.push_back(bytes::to_utf8(std::u16string_view{units}.substr(at, end - at)));
            at = end + 1;
        }
        return true;
    }

    std::string text_;
    char line_end_;
    std::size_t at_ = 0;
    unsigned line_ = 0;
    RegRead result_;
};

std::string quote(std::string_view text) {
    std::string out = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') out.push_back('\\');
        out.push_back(character);
    }
    return out + "\"";
}

Octets multi_sz_octets(const std::vector<std::string>& strings, unsigned version) {
    Octets octets;
    const auto put = [&](char16_t unit) {
        octets.push_back(static_cast<std::byte>(unit & 0xFF));
        if (version != 4) octets.push_back(static_cast<std::byte>(unit >> 8));
    };
    for (const auto& string : strings) {
        for (const auto unit : bytes::to_utf16(string)) put(unit);
        put(0);
    }
    put(0);
    return octets;
}

std::string hex_lines(std::string line, const Octets& octets) {
    std::string out;
    for (std::size_t i = 0; i < octets.size(); ++i) {
        std::array<char, 4> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", std::to_integer<unsigned>(octets[i]));
        const bool last = i + 1 == octets.size();
        if (line.size() + 4 > line_width_max) {  // two digits, a comma and the backslash
            out += line + "\\\r\n";
            line = "  ";
        }
        line += digits.data();
        if (!last) line += ',';
    }
    return out + line;
}

std::string data_text(const std::string& name, const RegValue& value, unsigned version) {
    switch (value.type) {
        case RegValue::Type::sz:
            return name + quote(value.strings.empty() ? "" : value.strings.front());
        case RegValue::Type::multi_sz:
            return hex_lines(name + "hex(7):", multi_sz_octets(value.strings, version));
        case RegValue::Type::expand_sz:
            return hex_lines(name + "hex(2):", value.data);
        case RegValue::Type::deleted:
            return name + "-";
        case RegValue::Type::dword: {
            std::array<char, 9> digits{};
            std::snprintf(digits.data(), digits.size(), "%08x", value.number);
            return name + "dword:" + digits.data();
        }
        case RegValue::Type::binary:
        case RegValue::Type::other:
            break;
    }
    return hex_lines(name + "hex:", value.data);
}

}  // namespace

std::string RegProblem::text() const { return "line " + std::to_string(line) + ": " + what; }

RegRead read_reg(std::string_view octets) { return Parser{octets}.run(); }

std::string write_reg(const RegFile& file) {
    std::string out{file.version == 4 ? header4 : header5};
    out += "\r\n\r\n";
    for (const auto& key : file.keys) {
        out += std::string{"["} + (key.deleted ? "-" : "") + key.path + "]\r\n";
        for (const auto& value : key.values)
            out += data_text((value.name.empty() ? "@" : quote(value.name)) + "=", value, file.version) + "\r\n";
        out += "\r\n";
    }
    if (file.version == 4) return out;
    std::string wide = "\xFF\xFE";
    for (const auto unit : bytes::to_utf16(out)) {
        wide.push_back(static_cast<char>(unit & 0xFF));
        wide.push_back(static_cast<char>(unit >> 8));
    }
    return wide;
}

}  // namespace wmlab::rpc
