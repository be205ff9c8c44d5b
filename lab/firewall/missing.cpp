#include "lab/firewall/missing.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>

#include "lab/firewall/loading.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab {
namespace {

std::string unquoted_name(std::string name) {
    std::erase_if(name, [](char c) { return c == '"' || c == ' ' || c == '\t'; });
    return name;
}

bool may_be_interface(std::string_view name) {
    constexpr std::size_t interface_name_max = 15;
    return !name.empty() && name.size() <= interface_name_max && name.find_first_of("*/:${}") == std::string_view::npos;
}

}  // namespace

std::vector<std::string> lacking_interfaces(std::string_view message) {
    constexpr std::string_view problem = "Interface does not exist\n";
    std::vector<std::string> names;
    for (auto at = message.find(problem); at != std::string_view::npos; at = message.find(problem, at + 1)) {
        // the line, and under it the signs ^^^^ beneath the name
        const auto line = at + problem.size();
        const auto end = message.find('\n', line);
        if (end == std::string_view::npos) break;
        const auto marks = message.substr(end + 1, message.find('\n', end + 1) - end - 1);
        const auto first = marks.find('^'), last = marks.rfind('^');
        if (first == std::string_view::npos || line + last >= end) continue;
        auto name = unquoted_name(std::string{message.substr(line + first, last - first + 1)});
        if (may_be_interface(name) && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
    return names;
}

std::vector<std::string> devices_named(const rules::Source& source) {
    std::vector<std::string> names;
    std::ranges::copy_if(source.devices, std::back_inserter(names), may_be_interface);
    return names;
}

std::string key_that_gives(std::string_view message) {
    struct Key {
        std::string_view words, hint;
    };
    static constexpr std::array keys = {
        Key{"User does not exist", "`firewall: { users: [NAME] }` in the scenario gives the gateway's accounts"},
        Key{"--uid-owner", "`firewall: { users: [NAME] }` in the scenario gives the gateway's accounts"},
        Key{"Group does not exist", "`firewall: { groups: [NAME] }` in the scenario gives the gateway's groups"},
        Key{"--gid-owner", "`firewall: { groups: [NAME] }` in the scenario gives the gateway's groups"},
        Key{"Could not resolve hostname", "`firewall: { names: { NAME: ADDRESS } }` in the scenario gives host names"},
        Key{"host/network `", "`firewall: { names: { NAME: ADDRESS } }` in the scenario gives host names"},
        Key{"File not found",
            "`firewall: { include_path: [FOLDER] }` in the scenario says where the gateway's files are, also those with absolute names"},
    };
    for (const auto& [words, hint] : keys)
        if (message.find(words) != std::string_view::npos) return std::string{hint};
    return {};
}

std::vector<std::string> about_includes(const rules::Source& source) {
    std::vector<std::string> notes;
    for (const auto& include : source.includes) {
        const auto where = include.place.file + ":" + std::to_string(include.place.line);
        if (include.files.empty()) {
            notes.push_back(
                where + ": the include of \"" + include.pattern +
                "\" matched no file: the rules under test are not all of the gateway's (bring the folder along and name it in `firewall: { include_path: [FOLDER] }`)");
        } else if (include.elsewhere) {
            notes.push_back(where + ": the include of \"" + include.pattern + "\" brought " +
                            std::to_string(include.files.size()) + (include.files.size() == 1 ? " file" : " files") +
                            " of this machine, not of the gateway (`firewall: { include_path: [FOLDER] }` names where the gateway's are)");
        } else if (include.pattern.find_first_of("*?[") != std::string::npos) {
            notes.push_back(where + ": the include of \"" + include.pattern + "\" brought " +
                            std::to_string(include.files.size()) + (include.files.size() == 1 ? " file" : " files"));
        }
    }
    return notes;
}

rules::Dialect load_for(const scenario::Scenario& scenario, const Namespace& firewall,
                        const std::filesystem::path& ruleset, const std::function<void(const std::string&)>& add,
                        std::vector<std::string>& notes) {
    const auto& include_path = scenario.firewall.include_path;
    const auto source = rules::read_source(ruleset, rules::read_from_disk, include_path);
    std::set<std::string> there{"lo"}, made;
    for (const auto& zone : scenario.zones) there.insert(zone.interface);
    for (const auto& interface : scenario.firewall.interfaces) there.insert(interface.name);
    const auto make = [&](const std::vector<std::string>& names) {
        bool any = false;
        for (const auto& name : names) {
            if (!there.insert(name).second) continue;
            add(name);
            made.insert(name);
            any = true;
        }
        return any;
    };
    make(devices_named(source));
    std::optional<rules::Dialect> dialect;
    while (!dialect) {
        try {
            dialect = load_ruleset(firewall, ruleset, include_path);
        } catch (const RulesetRefused& refused) {
            if (!make(lacking_interfaces(refused.what()))) throw;
        }
    }
    for (auto& note : about_includes(source)) notes.push_back(std::move(note));
    for (const auto& name : made)
        notes.push_back(
            ruleset.string() + " names the interface " + name +
            ", which no zone of the scenario has: it was made, and nobody is behind it (`firewall: { interfaces: [" +
            name + "] }` says that this is meant)");
    return *dialect;
}

}  // namespace wmlab::lab
