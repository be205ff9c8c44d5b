#include "common/rpc/port_registry.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/rpc/identifiers.hpp"

namespace wmlab::rpc {
namespace {

char lower(char character) { return static_cast<char>(std::tolower(static_cast<unsigned char>(character))); }

bool same_text(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

// HKLM is Samba's spelling; the registry compares without regard to case.
bool is_internet_key(std::string_view path) {
    constexpr std::string_view short_root = "HKLM", long_root = "HKEY_LOCAL_MACHINE";
    auto known = InternetKey::path;
    if (same_text(path.substr(0, short_root.size()), short_root)) {
        path.remove_prefix(short_root.size());
        known.remove_prefix(long_root.size());
    }
    return same_text(path, known);
}

// Deleting a key deletes what is below it.
bool is_above_internet_key(std::string_view path) {
    for (auto parent = std::string{InternetKey::path}; !parent.empty();
         parent.resize(parent.rfind('\\') == std::string::npos ? 0 : parent.rfind('\\'))) {
        auto short_parent = parent.size() >= 18 ? "HKLM" + parent.substr(18) : parent;
        if (same_text(path, parent) || same_text(path, short_parent)) return true;
    }
    return false;
}

std::optional<std::uint16_t> port_from(std::string_view digits) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size()) return {};
    return port;
}

// One string of Ports. Blanks inside are fatal in RPC too (KB201911: DCOMCNFG wrote "4000 - 4010").
std::optional<PortRange> range_from(std::string_view text) {
    const auto dash = text.find('-');
    const auto first = port_from(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : port_from(text.substr(dash + 1));
    if (!first || !last || *first > *last) return {};
    return PortRange{*first, *last};
}

PortRanges merged(PortRanges ranges) {
    std::sort(ranges.begin(), ranges.end());
    PortRanges out;
    for (const auto& range : ranges) {
        if (!out.empty() && range.first <= out.back().last + 1)
            out.back().last = std::max(out.back().last, range.last);
        else
            out.push_back(range);
    }
    return out;
}

// a without b; both merged.
PortRanges without(const PortRanges& a, const PortRanges& b) {
    PortRanges out;
    for (const auto& range : a) {
        unsigned first = range.first;
        const unsigned last = range.last;
        for (const auto& hole : b) {
            if (hole.last < first || hole.first > last) continue;
            if (hole.first > first)
                out.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(hole.first - 1)});
            first = unsigned{hole.last} + 1;
        }
        if (first <= last) out.push_back({static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)});
    }
    return out;
}

// The mapper's own port and 0 are never handed out.
PortRanges usable(const PortRanges& ranges) { return without(ranges, {{0, 0}, {mapper_port, mapper_port}}); }

std::optional<bool> yes_or_no(const std::optional<std::string>& value) {
    if (!value || value->size() != 1) return {};
    const char letter = lower(value->front());
    return letter == 'y' || letter == 'n' ? std::optional{letter == 'y'} : std::nullopt;
}

}  // namespace

std::string text(const PortRanges& ranges) {
    std::string out;
    for (const auto& range : ranges) {
        if (!out.empty()) out += ' ';
        out += std::to_string(range.first);
        if (range.last != range.first) out += "-" + std::to_string(range.last);
    }
    return out;
}

std::size_t size(const PortRanges& ranges) {
    std::size_t ports = 0;
    for (const auto& range : ranges) ports += std::size_t{range.last} - range.first + 1;
    return ports;
}

InternetKey InternetKey::reserve(const PortRanges& ports) {
    InternetKey key;
    key.present = true;
    key.Ports.emplace();
    for (const auto& range : ports) key.Ports->push_back(text(PortRanges{range}));
    key.PortsInternetAvailable = key.UseInternetPorts = "Y";
    return key;
}

InternetKey InternetKey::from(const RegFile& file) {
    InternetKey key;
    for (const auto& found : file.keys) {
        if (found.deleted && is_above_internet_key(found.path)) key = {};
        if (found.deleted || !is_internet_key(found.path)) continue;
        key.present = true;
        for (const auto& value : found.values) {
            const auto take_text = [&](std::optional<std::string>& into) {
                into.reset();
                if (value.type == RegValue::Type::sz)
                    into = value.strings.front();
                else if (value.type != RegValue::Type::deleted)
                    key.wrong_type = value.name + " is not a REG_SZ";
            };
            if (same_text(value.name, "PortsInternetAvailable")) {
                take_text(key.PortsInternetAvailable);
            } else if (same_text(value.name, "UseInternetPorts")) {
                take_text(key.UseInternetPorts);
            } else if (same_text(value.name, "Ports")) {
                key.Ports.reset();
                if (value.type == RegValue::Type::multi_sz)
                    key.Ports = value.strings;
                else if (value.type != RegValue::Type::deleted)
                    key.wrong_type = value.name + " is not a REG_MULTI_SZ";
            }
        }
    }
    return key;
}

RegFile InternetKey::reg_file(unsigned version) const {
    RegFile file;
    file.version = version;
    if (!present) return file;
    RegKey key;
    key.path = path;
    if (Ports) {
        RegValue value;
        value.name = "Ports";
        value.type = RegValue::Type::multi_sz;
        value.strings = *Ports;
        key.values.push_back(std::move(value));
    }
    const auto add_text = [&](std::string_view name, const std::optional<std::string>& content) {
        if (!content) return;
        RegValue value;
        value.name = name;
        value.strings = {*content};
        key.values.push_back(std::move(value));
    };
    add_text("PortsInternetAvailable", PortsInternetAvailable);
    add_text("UseInternetPorts", UseInternetPorts);
    file.keys.push_back(std::move(key));
    return file;
}

DynamicPorts dynamic_ports(const InternetKey& key, PortPolicy policy, PortRange pool) {
    const PortRanges all = usable({pool});
    if (!key.present) return {all, ""};
    // Whole or nothing: one bad value and no process gets any dynamic port.
    if (!key.wrong_type.empty()) return {{}, key.wrong_type};
    if (!key.Ports) return {{}, "Ports is missing"};
    if (!key.PortsInternetAvailable) return {{}, "PortsInternetAvailable is missing"};
    if (!key.UseInternetPorts) return {{}, "UseInternetPorts is missing"};
    const auto available = yes_or_no(key.PortsInternetAvailable);
    if (!available) return {{}, "PortsInternetAvailable is \"" + *key.PortsInternetAvailable + "\", not Y or N"};
    const auto use = yes_or_no(key.UseInternetPorts);
    if (!use) return {{}, "UseInternetPorts is \"" + *key.UseInternetPorts + "\", not Y or N"};
    PortRanges listed;
    for (const auto& string : *key.Ports) {
        const auto range = range_from(string);
        if (!range) return {{}, "Ports holds \"" + string + "\", which is no port and no range of ports"};
        listed.push_back(*range);
    }
    listed = merged(std::move(listed));
    const bool internet = policy == PortPolicy::standard ? *use : policy == PortPolicy::internet;
    return {internet == *available ? usable(listed) : without(all, listed), ""};
}

std::optional<PortRanges> port_ranges_from(std::string_view list, std::string& problem) {
    PortRanges ranges;
    while (true) {
        const auto begin = list.find_first_not_of(" ,");
        if (begin == std::string_view::npos) break;
        list.remove_prefix(begin);
        const auto word = list.substr(0, list.find_first_of(" ,"));
        list.remove_prefix(word.size());
        const auto range = range_from(word);
        if (!range || range->first == 0) {
            problem = "\"" + std::string{word} + "\" is no port and no range of ports in 1-65535";
            return {};
        }
        ranges.push_back(*range);
    }
    if (ranges.empty()) {
        problem = "no port is given";
        return {};
    }
    return merged(std::move(ranges));
}

}  // namespace wmlab::rpc
