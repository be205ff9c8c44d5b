#include "lab/firewall/running.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "lab/firewall/kernel_rules.hpp"
#include "lab/programs/launcher.hpp"
#include "lab/rules/json_fields.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

constexpr const char* settings_read[] = {"ipv4/ip_forward",
                                         "ipv4/conf/all/rp_filter",
                                         "ipv4/conf/default/rp_filter",
                                         "netfilter/nf_conntrack_tcp_loose",
                                         "netfilter/nf_conntrack_tcp_be_liberal",
                                         "netfilter/nf_conntrack_helper",
                                         "netfilter/nf_conntrack_udp_timeout",
                                         "netfilter/nf_conntrack_udp_timeout_stream",
                                         "ipv4/icmp_ratelimit"};

bool iptables_table(std::string_view table) {
    const auto blank = table.find(' ');
    if (blank == std::string_view::npos || table.substr(0, blank) != "ip") return false;
    constexpr std::string_view names[] = {"filter", "nat", "mangle", "raw", "security"};
    return std::ranges::find(names, table.substr(blank + 1)) != std::end(names);
}

// What was counted says nothing about which rule it is.
std::string without_counts(std::string text) {
    for (auto at = text.find("counter packets "); at != std::string::npos; at = text.find("counter packets ", at + 7)) {
        auto end = text.find("bytes ", at);
        if (end == std::string::npos) break;
        end = std::min(text.find(' ', end + 6), text.size());
        text.replace(at, end - at, "counter");
    }
    return text;
}

rules::Source read_text(std::string_view name, const std::string& text) {
    return rules::read_source(std::filesystem::path{name}, [&](const auto& path) {
        return path == std::filesystem::path{name} ? std::optional{text} : std::nullopt;
    });
}

std::string first_line_not_in(const std::vector<std::string>& wanted, const std::vector<std::string>& there) {
    std::set<std::string> known;
    for (const auto& part : there) {
        std::istringstream lines{part};
        for (std::string line; std::getline(lines, line);) known.insert(line);
    }
    for (const auto& part : wanted) {
        std::istringstream lines{part};
        for (std::string line; std::getline(lines, line);)
            if (!known.contains(line)) return line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
    }
    return {};
}

json::value place_json(const std::optional<rules::Place>& place) {
    if (!place) return nullptr;
    return json::object{{"file", place->file},
                        {"line", place->line},
                        {"text", place->text},
                        {"alone", place->alone},
                        {"written", static_cast<int>(place->written)}};
}

std::optional<rules::Place> place_from(const json::value* value) {
    const auto* object = value ? value->if_object() : nullptr;
    if (!object) return std::nullopt;
    rules::Place place;
    place.file = rules::text_at(*object, "file");
    place.line = static_cast<unsigned>(rules::number_at(*object, "line"));
    place.text = rules::text_at(*object, "text");
    const auto* alone = object->if_contains("alone");
    place.alone = alone && alone->is_bool() && alone->get_bool();
    const auto written = rules::number_at(*object, "written");
    using enum rules::Place::Written;
    place.written = written == 1 ? appended : written == 2 ? inserted : in_block;
    return place;
}

bool true_at(const json::object& object, std::string_view key) {
    const auto* value = object.if_contains(key);
    return value && value->is_bool() && value->get_bool();
}

}  // namespace

json::object RunningRules::to_json() const {
    json::object values;
    for (const auto& [name, value] : settings) values[name] = value;
    return {{"listing", listing},
            {"stateless", stateless},
            {"iptables", iptables},
            {"legacy", legacy},
            {"settings", std::move(values)}};
}

RunningRules RunningRules::from(const json::object& object) {
    RunningRules running;
    running.listing = rules::text_at(object, "listing");
    running.stateless = rules::text_at(object, "stateless");
    running.iptables = rules::text_at(object, "iptables");
    running.legacy = true_at(object, "legacy");
    if (const auto* values = rules::object_at(object, "settings"))
        for (const auto& member : *values)
            running.settings[std::string{member.key()}] = rules::text_at(*values, member.key());
    return running;
}

RunningRules read_running(const Namespace& firewall) {
    RunningRules running;
    running.listing = running_listing(firewall);
    running.stateless = list_rules(firewall);
    const auto tables = tables_of(running.stateless);
    // Only where it has something to say: it is not to make tables.
    const bool may_be = std::ranges::any_of(tables, [](const auto& table) { return iptables_table(table.first); });
    for (const auto* name : {"iptables-nft-save", "iptables-save"}) {
        const auto program = may_be ? find_program(name) : std::filesystem::path{};
        if (program.empty()) continue;
        const auto result = run_tool(firewall, {program.string()});
        if (!result.ending.ok() || rules::dialect_of(result.output) != rules::Dialect::iptables) continue;
        running.iptables = result.output;
        break;
    }
    const Entered inside{firewall};
    std::string legacy;
    std::ifstream{"/proc/net/ip_tables_names"} >> legacy;
    running.legacy = !legacy.empty();
    for (const auto* name : settings_read) {
        std::string value;
        if (std::ifstream{std::string{"/proc/sys/net/"} + name} >> value) running.settings[name] = value;
    }
    return running;
}

rules::Source source_of(const RunningRules& running) {
    auto source = read_text(nft_listing_name, running.listing);
    for (auto& [name, chain] : source.chains) {
        for (auto& place : chain.rules) place.text = without_counts(place.text);
    }
    if (running.iptables.empty()) return source;
    const auto saved = read_text(iptables_listing_name, running.iptables);
    bool any = false;
    for (const auto& [name, chain] : saved.chains) {
        const auto nft = source.chains.find(name);
        // What iptables cannot say it leaves out: then nft's own listing is the one with the right lines.
        if (nft != source.chains.end() && nft->second.rules.size() != chain.rules.size()) continue;
        any = any || !chain.rules.empty() || chain.policy;
        source.chains[name] = chain;
    }
    if (any) {
        source.dialect = rules::Dialect::iptables;
        source.files = saved.files;
        source.lines = saved.lines;
    }
    return source;
}

std::map<std::string, std::vector<std::string>> tables_of(std::string_view listing) {
    std::map<std::string, std::vector<std::string>> tables;
    std::vector<std::string>* table = nullptr;
    std::string part;
    const auto close = [&] {
        if (table && !part.empty()) table->push_back(std::move(part));
        part.clear();
    };
    std::istringstream lines{std::string{listing}};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("table ")) {
            const auto end = line.find(" {");
            table = &tables[line.substr(6, end == std::string::npos ? end : end - 6)];
        } else if (line == "}") {
            close();
            table = nullptr;
        } else if (line == "\t}") {
            part += line + "\n";
            close();
        } else if (table && !line.empty() && !line.starts_with('#')) {
            part += line + "\n";
        }
    }
    close();
    for (auto& [name, parts] : tables) std::ranges::sort(parts);
    return tables;
}

Matched match_running(const RunningRules& running, const rules::Source& file, std::string_view file_listing) {
    Matched matched;
    matched.source = source_of(running);
    const auto there = tables_of(running.stateless), wanted = tables_of(file_listing);
    for (const auto& [name, parts] : wanted) {
        const auto found = there.find(name);
        if (found != there.end() && found->second == parts) {
            matched.same.push_back(name);
            continue;
        }
        matched.other.push_back(name);
        if (matched.other.size() > 1) continue;
        if (found == there.end()) {
            matched.first_difference = "there is no such table";
        } else if (const auto lacks = first_line_not_in(parts, found->second); !lacks.empty()) {
            matched.first_difference = "`" + lacks + "` of the file does not run";
        } else if (const auto more = first_line_not_in(found->second, parts); !more.empty()) {
            matched.first_difference = "`" + more + "` runs and is not in the file";
        } else {
            matched.first_difference = "the order is another";
        }
    }
    for (const auto& [name, chain] : file.chains)
        if (std::ranges::find(matched.same, name.family + " " + name.table) != matched.same.end())
            matched.source.chains[name] = chain;
    if (!matched.same.empty()) {
        matched.source.dialect = file.dialect;
        matched.source.files = file.files;
        matched.source.lines = file.lines;
    }
    return matched;
}

json::object to_json(const rules::Source& source) {
    json::array chains, files;
    for (const auto& [name, chain] : source.chains) {
        json::array places;
        for (const auto& place : chain.rules) places.push_back(place_json(place));
        chains.push_back(json::object{{"family", name.family},
                                      {"table", name.table},
                                      {"chain", name.chain},
                                      {"rules", std::move(places)},
                                      {"policy", place_json(chain.policy)},
                                      {"end", place_json(chain.end)},
                                      {"certain", chain.certain}});
    }
    for (const auto& file : source.files) files.emplace_back(file.string());
    return {{"iptables", source.dialect == rules::Dialect::iptables},
            {"chains", std::move(chains)},
            {"files", std::move(files)},
            {"lines", source.lines}};
}

rules::Source source_from(const json::object& object) {
    rules::Source source;
    source.dialect = true_at(object, "iptables") ? rules::Dialect::iptables : rules::Dialect::nft;
    source.lines = static_cast<unsigned>(rules::number_at(object, "lines"));
    const auto* files = object.if_contains("files");
    if (files && files->is_array())
        for (const auto& file : files->get_array())
            if (file.is_string()) source.files.emplace_back(std::string{file.get_string()});
    const auto* chains = object.if_contains("chains");
    if (!chains || !chains->is_array()) return source;
    for (const auto& one : chains->get_array()) {
        const auto* chain = one.if_object();
        if (!chain) continue;
        auto& made = source.chains[{rules::text_at(*chain, "family"), rules::text_at(*chain, "table"),
                                    rules::text_at(*chain, "chain")}];
        made.policy = place_from(chain->if_contains("policy"));
        made.end = place_from(chain->if_contains("end"));
        made.certain = true_at(*chain, "certain");
        const auto* places = chain->if_contains("rules");
        if (!places || !places->is_array()) continue;
        for (const auto& place : places->get_array())
            if (auto read = place_from(&place)) made.rules.push_back(std::move(*read));
    }
    return source;
}

}  // namespace wmlab::lab
