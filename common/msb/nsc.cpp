#include "common/msb/nsc.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <map>

#include "common/bytes/utf16.hpp"
#include "common/bytes/writer.hpp"
#include "common/msb/encoded_block.hpp"

namespace wmlab::msb {
namespace {

constexpr std::size_t formats_max = 256;

// Written by Windows 2000 servers and of no use here (appendix A <4>).
constexpr std::array<std::string_view, 6> windows_2000 = {"player url",      "player version", "distribution limit",
                                                          "channel version", "delivery mode",  "nsc url"};

std::string lower(std::string_view text) {
    std::string out{text};
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks{" \t\r\0", 4};
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The number a text ends with, as in Format12.
std::optional<unsigned> number_after(std::string_view name, std::string_view start) {
    if (!name.starts_with(start) || name.size() == start.size() || name.size() > start.size() + 6) return std::nullopt;
    unsigned number = 0;
    for (const char c : name.substr(start.size())) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + static_cast<unsigned>(c - '0');
    }
    return number;
}

std::optional<std::array<unsigned, 4>> ipv4(std::string_view text) {
    std::array<unsigned, 4> parts{};
    std::size_t part = 0, digits = 0;
    for (const char c : text) {
        if (c == '.') {
            if (digits == 0 || ++part == parts.size()) return std::nullopt;
            digits = 0;
        } else if (c >= '0' && c <= '9' && ++digits <= 3) {
            parts[part] = parts[part] * 10 + static_cast<unsigned>(c - '0');
            if (parts[part] > 255) return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    if (part != 3 || digits == 0) return std::nullopt;
    return parts;
}

class Parser {
public:
    NscReading parse(std::string_view text) {
        if (text.size() > station_file_size_max) {
            error("", "the file has " + std::to_string(text.size()) + " bytes, more than 8 MiB");
            return std::move(reading_);
        }
        if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
        while (!text.empty()) {
            const auto end = std::min(text.find_first_of("\r\n"), text.size());  // LF, CRLF, or CR alone
            ++line_;
            parse_line(trimmed(text.substr(0, end)));
            text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : std::min(end + 1, text.size()));
        }
        line_ = 0;
        if (!address_section_) {
            error("", "there is no [Address] section: this is no station file");
        } else {
            if (!seen_.contains("ip address")) error("IP Address", "is missing");
            if (!seen_.contains("ip port")) error("IP Port", "is missing");
            if (formats_ == 0) error("", "there is no Format1 in a section [Formats]");
        }
        for (auto& format : station_.formats) {
            const auto description =
                descriptions_.find(numbers_[static_cast<std::size_t>(&format - station_.formats.data())]);
            if (description != descriptions_.end()) format.description = description->second;
        }
        if (reading_.errors.empty()) reading_.station = std::move(station_);
        return std::move(reading_);
    }

private:
    void error(std::string_view property, std::string problem) {
        // A file of nothing but errors is told by the first ones.
        if (reading_.errors.size() < 100) reading_.errors.push_back({line_, std::string{property}, std::move(problem)});
    }
    void warn(std::string_view property, std::string problem) {
        if (reading_.warnings.size() < 100)
            reading_.warnings.push_back({line_, std::string{property}, std::move(problem)});
    }

    void parse_line(std::string_view line) {
        if (line.empty() || line.front() == ';') return;
        if (line.front() == '[') {
            section_ = lower(line);
            address_section_ = address_section_ || section_ == "[address]";
            if (section_ != "[address]" && section_ != "[formats]")
                warn("", "the section " + std::string{line.substr(0, 40)} + " is unknown and left out");
            return;
        }
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) {
            warn("", "is neither a section nor a property and left out");
            return;
        }
        const auto name = trimmed(line.substr(0, equals));
        const auto value = trimmed(line.substr(equals + 1));
        if (section_ == "[formats]")
            parse_format(name, value);
        else if (section_ == "[address]")
            parse_property(name, value);
        else if (section_.empty())
            warn(name, "stands before any section and is left out");
    }

    void parse_property(std::string_view name, std::string_view value) {
        const auto key = lower(name);
        if (std::ranges::find(windows_2000, key) != windows_2000.end()) return;
        if (seen_.contains(key)) {
            warn(name, "is given again; the first one counts");
            return;
        }
        if (key == "name") {
            station_.name = text(name, value, false);
        } else if (key == "nsc format version") {
            const auto version = text(name, value, false);
            if (version != "3.0") warn(name, "is " + version.substr(0, 20) + ", known is 3.0");
        } else if (key == "multicast adapter") {
            station_.multicast_adapter = text(name, value, false);
            if (!station_.multicast_adapter.empty() && !ipv4(station_.multicast_adapter)) {
                warn(name, "is no IPv4 address and left out");
                station_.multicast_adapter.clear();
            }
        } else if (key == "ip address") {
            station_.ip_address = text(name, value, true);
            check_group(name);
        } else if (key == "ip port") {
            if (const auto port = integer(name, value, true)) {
                if (*port == 0 || *port > 65535)
                    error(name, std::to_string(*port) + " is no port (use 1 to 65535)");
                else
                    station_.ip_port = static_cast<std::uint16_t>(*port);
            }
        } else if (key == "time to live") {
            station_.time_to_live = integer(name, value, false);
        } else if (key == "default ecc") {
            station_.default_ecc = integer(name, value, false);
        } else if (key == "log url") {
            station_.log_url = text(name, value, false);
        } else if (key == "unicast url") {
            station_.unicast_url = text(name, value, false);
        } else if (key == "allow splitting") {
            station_.allow_splitting = boolean(name, value);
        } else if (key == "allow caching") {
            station_.allow_caching = boolean(name, value);
        } else if (key == "cache expiration time") {
            station_.cache_expiration_time = integer(name, value, false);
        } else if (key == "network buffer time") {
            station_.network_buffer_time = integer(name, value, false);
        } else {
            warn(name, "is unknown and left out");
            return;
        }
        seen_[key] = line_;
    }

    void check_group(std::string_view name) {
        const auto& group = station_.ip_address;
        if (group.empty()) return;  // told already
        const auto parts = ipv4(group);
        if (!parts)
            error(name, group.substr(0, 60) + " is no IPv4 address");
        else if ((*parts)[0] < 224 || (*parts)[0] > 239)
            error(name, group + " is no multicast group (use 224.0.0.1 to 239.255.255.255)");
    }

    void parse_format(std::string_view name, std::string_view value) {
        const auto key = lower(name);
        if (const auto number = number_after(key, "description")) {
            descriptions_.emplace(*number, text(name, value, false));
            return;
        }
        const auto number = number_after(key, "format");
        if (!number) {
            warn(name, "is unknown and left out");
            return;
        }
        ++formats_;
        if (station_.formats.size() == formats_max) {
            error(name, "there are more than " + std::to_string(formats_max) + " formats");
            return;
        }
        auto block = EncodedBlock::decode(value);
        if (block.has_error()) return error(name, block.error().text());
        // A text may be edited by hand, an ASF header cannot.
        if (!block->crc_matches) return error(name, "is damaged: its checksum is not that of its bytes");
        Format format;
        auto id = block->Key;
        if (id == 0 || id > format_id_max) {
            if (*number == 0 || *number > format_id_max)
                return error(name, "has the Format ID " + std::to_string(id) + " (use 1 to 2047)");
            warn(name,
                 "has the Format ID " + std::to_string(id) + "; taken as " + std::to_string(*number) + ", its number");
            id = *number;
        }
        format.id = static_cast<std::uint16_t>(id);
        if (station_.format(format.id))
            return error(name, "has the Format ID " + std::to_string(id) + " of another format");
        auto header = asf::Header::parse(block->data);
        if (header.has_error()) return error(name, "holds no ASF header: " + header.error().text());
        format.header = *std::move(header);
        station_.formats.push_back(std::move(format));
        numbers_.push_back(*number);
    }

    // Plain or encoded. A text that cannot be decoded is an error only where the station needs it.
    std::string text(std::string_view name, std::string_view value, bool needed) {
        const auto fail = [&](std::string problem) {
            if (needed)
                error(name, std::move(problem));
            else
                warn(name, std::move(problem) + "; it is left out");
            return std::string{};
        };
        auto out = bytes::to_utf8(bytes::to_utf16(value.substr(0, value.find('\0'))));
        if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
            warn(name, "has characters outside ASCII, taken as UTF-8");
        if (looks_encoded(value)) {
            const auto block = EncodedBlock::decode(value);
            if (block.has_error() && value.starts_with("01")) return out;  // a plain text that begins so
            if (block.has_error()) return fail(block.error().text());
            if (!block->crc_matches) warn(name, "has the checksum of another text; the text is used");
            out = bytes::to_utf8(bytes::Reader{block->data}.utf16z("text"));
        }
        if (needed && out.empty()) return fail("is empty");
        return out;
    }

    std::optional<std::uint32_t> integer(std::string_view name, std::string_view value, bool needed) {
        if (value.empty() && !needed) return std::nullopt;
        const bool hex = value.starts_with("0x") || value.starts_with("0X");
        const auto digits = hex ? value.substr(2) : value;
        std::uint64_t number = 0;
        bool good = !digits.empty() && digits.size() <= 10;
        for (const char c : digits) {
            const bool decimal = c >= '0' && c <= '9';
            const char l = lower({&c, 1})[0];
            if (!decimal && !(hex && l >= 'a' && l <= 'f')) good = false;
            if (good) number = number * (hex ? 16 : 10) + static_cast<unsigned>(decimal ? c - '0' : l - 'a' + 10);
        }
        good = good && number <= 0xFFFFFFFF;
        const auto shown = "`" + std::string{value.substr(0, 20)} + "`";
        if (!good && needed) {
            error(name, shown + " is no number (0x and 8 hex digits)");
        } else if (!good) {
            warn(name, shown + " is no number (0x and 8 hex digits); it is left out");
        } else if (!hex) {
            warn(name, shown + " is taken as a decimal number (0x and 8 hex digits are usual)");
        }
        if (!good) return std::nullopt;
        return static_cast<std::uint32_t>(number);
    }

    std::optional<bool> boolean(std::string_view name, std::string_view value) {
        const auto number = integer(name, value, false);
        if (!number) return std::nullopt;
        if (*number > 1) warn(name, "is neither 0 nor 1; taken as 1");
        return *number != 0;
    }

    NscReading reading_;
    Station station_;
    std::string section_;
    std::size_t line_ = 0, formats_ = 0;
    bool address_section_ = false;
    std::map<std::string, std::size_t> seen_;
    std::map<unsigned, std::string> descriptions_;
    std::vector<unsigned> numbers_;  // of the formats, as they stand in the station
};

std::string encoded_text(std::string_view utf8) {
    bytes::Writer data;
    data.utf16z(bytes::to_utf16(utf8));
    return EncodedBlock{0, data.take()}.encode();
}

std::string integer_text(std::uint32_t value) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) text.push_back(digits[value >> shift & 15]);
    return text;
}

}  // namespace

const Format* Station::format(std::uint16_t id) const {
    const auto found = std::ranges::find(formats, id, &Format::id);
    return found == formats.end() ? nullptr : &*found;
}

std::string NscProblem::text(std::string_view file) const {
    std::string text{file};
    if (line != 0) text += ":" + std::to_string(line);
    text += ": ";
    if (!property.empty()) text += property + ": ";
    return text + problem;
}

NscReading read_nsc(std::string_view text) { return Parser{}.parse(text); }

std::vector<NscProblem> problems_of(const Station& station) {
    std::vector<NscProblem> problems;
    const auto group = ipv4(station.ip_address);
    if (!group || (*group)[0] < 224 || (*group)[0] > 239)
        problems.push_back(
            {0, "IP Address", station.ip_address + " is no multicast group (use 224.0.0.1 to 239.255.255.255)"});
    if (station.ip_port == 0) problems.push_back({0, "IP Port", "0 is no port (use 1 to 65535)"});
    if (!station.multicast_adapter.empty() && !ipv4(station.multicast_adapter))
        problems.push_back({0, "Multicast Adapter", station.multicast_adapter + " is no IPv4 address"});
    if (station.formats.empty()) problems.push_back({0, "Format1", "is missing: a station needs an ASF header"});
    for (std::size_t i = 0; i < station.formats.size(); ++i) {
        const auto& format = station.formats[i];
        const auto name = "Format" + std::to_string(i + 1);
        if (format.id == 0 || format.id > format_id_max)
            problems.push_back({0, name, "has the Format ID " + std::to_string(format.id) + " (use 1 to 2047)"});
        if (station.format(format.id) != &format)
            problems.push_back({0, name, "has the Format ID " + std::to_string(format.id) + " of another format"});
        if (format.header.raw.size() > encoded_length_max) problems.push_back({0, name, "is more than 1 MiB"});
    }
    return problems;
}

std::string write_nsc(const Station& station) {
    assert(problems_of(station).empty());
    std::string out;
    const auto line = [&out](std::string_view name, std::string_view value) {
        out.append(name).append("=").append(value).append("\r\n");
    };
    const auto number = [&line](std::string_view name, std::optional<std::uint32_t> value) {
        if (value) line(name, integer_text(*value));
    };
    out += "[Address]\r\n";
    line("Name", encoded_text(station.name));
    line("NSC Format Version", encoded_text("3.0"));
    if (!station.multicast_adapter.empty()) line("Multicast Adapter", encoded_text(station.multicast_adapter));
    line("IP Address", encoded_text(station.ip_address));
    line("IP Port", integer_text(station.ip_port));
    number("Time To Live", station.time_to_live);
    number("Default Ecc", station.default_ecc);
    line("Log URL", encoded_text(station.log_url));
    line("Unicast URL", encoded_text(station.unicast_url));
    number("Allow Splitting", station.allow_splitting);
    number("Allow Caching", station.allow_caching);
    number("Cache Expiration Time", station.cache_expiration_time);
    number("Network Buffer Time", station.network_buffer_time);
    out += "[Formats]\r\n";
    for (std::size_t i = 0; i < station.formats.size(); ++i) {
        const auto& format = station.formats[i];
        line("Format" + std::to_string(i + 1), EncodedBlock{format.id, format.header.raw}.encode());
        if (!format.description.empty()) line("Description" + std::to_string(i + 1), encoded_text(format.description));
    }
    return out;
}

}  // namespace wmlab::msb
