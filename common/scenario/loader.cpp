#include "common/scenario/loader.hpp"

#include <algorithm>
#include <iostream>
#include <sstream>

#include "common/bytes/utf16.hpp"
#include "common/scenario/accepted_reader.hpp"
#include "common/scenario/boxes_reader.hpp"
#include "common/scenario/content_reader.hpp"
#include "common/scenario/events.hpp"
#include "common/scenario/firewall_reader.hpp"
#include "common/scenario/flow_reader.hpp"
#include "common/scenario/hosts_reader.hpp"
#include "common/scenario/problems.hpp"
#include "common/scenario/staging_reader.hpp"
#include "common/scenario/template.hpp"
#include "common/scenario/yaml_text.hpp"
#include "common/scenario/zones_reader.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

class Reader {
public:
    Reader(ReadContext& context, const Node& root)
        : context_{context}, scenario_{context.scenario}, problems_{context.problems}, root_{root} {}

    void read() {
        MapReader top{root_, "the scenario", problems_, "a scenario is a map: version, zones, hosts, flows ..."};
        if (!root_.is(Node::Kind::map)) return;
        read_version(top);
        if (const auto* node = top.find("name"))
            if (const auto given = top.text(*node, "name")) scenario_.name = *given;
        const auto* zones = top.require("zones");
        const auto* hosts = top.require("hosts");
        const auto samples = zones != nullptr ? read_zones(context_, *zones) : std::vector<Sampled>{};
        context_.hosts_known = hosts != nullptr && hosts->is(Node::Kind::map);
        if (const auto* launch = top.find("launch")) read_default_launch(context_, top, *launch);
        if (hosts != nullptr) read_hosts(context_, *hosts);
        check_samples(context_, samples);
        const auto *const firewall = top.find("firewall"), *const firewalls = top.find("firewalls");
        if (firewall != nullptr) {
            MapReader map{*firewall, "`firewall`", problems_, "like { ruleset: rules.nft }"};
            read_firewall(context_, map);
            map.finish();
            if (firewalls != nullptr)
                problems_.add(firewalls->at, {}, "`firewalls` beside `firewall`", "one firewall is `firewall:`, several are `firewalls:`");
        } else if (firewalls != nullptr) {
            read_firewalls(context_, *firewalls, [this](MapReader& map) { read_firewall(context_, map); });
        }
        if (const auto* contents = top.find("content")) read_contents(context_, *contents);
        for (auto* list : {&scenario_.accepted, &scenario_.allow_open}) {
            const auto* const key = list == &scenario_.accepted ? "accepted" : "allow_open";
            if (const auto* node = top.find(key)) read_accepted(problems_, *node, key, *list);
        }
        if (const auto* events = top.find("events")) {
            read_events(context_, *events);
            if (!scenario_.firewalls.empty() && !scenario_.events.empty())
                problems_.add(events->at, {}, "`events` with several `firewalls`", "they are done to a single `firewall:`");
        }
        const auto* defaults = top.find("defaults");
        if (const auto* flows = top.require("flows")) read_flows(context_, *flows, defaults);
        top.finish();
    }

private:
    void read_version(MapReader& top) {
        const auto* node = top.require("version");
        const auto given = node != nullptr ? top.text(*node, "version") : std::nullopt;
        if (given && *given != "1") problems_.add(*node, "unknown version", "this wmlab reads version 1");
    }

    ReadContext& context_;
    Scenario& scenario_;
    Problems& problems_;
    const Node& root_;
};

// Where the text stops being what a YAML file may hold; nothing: nowhere.
std::optional<std::pair<std::size_t, std::string>> bad_character(std::string_view text) {
    const auto round_trip = bytes::to_utf8(bytes::to_utf16(text));
    const auto [in, out] = std::ranges::mismatch(text, round_trip);
    if (in != text.end() || out != round_trip.end())
        return std::pair{static_cast<std::size_t>(in - text.begin()), std::string{"not UTF-8 from here on"}};
    const auto control = std::ranges::find_if(text, [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    });
    if (control != text.end())
        return std::pair{static_cast<std::size_t>(control - text.begin()), std::string{"a control character"}};
    return std::nullopt;
}

yaml::Place place_of(std::string_view text, std::size_t offset) {
    const auto before = text.substr(0, offset);
    const auto line_start = before.rfind('\n');
    return {static_cast<unsigned>(std::ranges::count(before, '\n')) + 1,
            static_cast<unsigned>(line_start == std::string_view::npos ? offset : offset - line_start - 1) + 1};
}

// yaml-cpp is terse about what is behind a broken line.
std::string syntax_hint(std::string_view text, yaml::Place at) {
    for (unsigned line = 1; !text.empty(); ++line) {
        const auto end = text.find('\n');
        const auto this_line = text.substr(0, end);
        const auto indent = this_line.substr(0, this_line.find_first_not_of(" \t"));
        if (line == at.line && indent.find('\t') != std::string_view::npos)
            return "YAML takes no tabs for indentation: use blanks";
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return {};
}

Node* entry(Node& map, std::string_view key) {
    const auto found = std::ranges::find_if(map.entries, [&](const yaml::Entry& one) { return one.key.text == key; });
    return found == map.entries.end() ? nullptr : &found->value;
}

// As if the hosts said it.
void put_addresses(Node& root, const Addresses& addresses) {
    auto* const hosts = entry(root, "hosts");
    if (hosts == nullptr) return;
    for (const auto& [name, address] : addresses)
        if (auto* const host = entry(*hosts, name))
            if (auto* const value = entry(*host, "address"); value != nullptr && value->text == "auto") value->text = address.text();
}

// As if the zones said it.
void put_samples(Node& root, const Samples& samples) {
    auto* const zones = entry(root, "zones");
    if (zones == nullptr) return;
    for (const auto& [name, list] : samples) {
        auto* const zone = entry(*zones, name);
        if (zone == nullptr || !zone->is(Node::Kind::map)) continue;
        const auto scalar = [&](std::string text) { return Node{Node::Kind::scalar, zone->at, std::move(text), {}, {}}; };
        Node all{Node::Kind::sequence, zone->at, {}, {}, {}};
        for (const auto& sample : list) {
            Node one{Node::Kind::map, zone->at, {}, {}, {}};
            one.entries.push_back({scalar("address"), scalar(sample.address.text())});
            if (!sample.stands_for.empty()) one.entries.push_back({scalar("stands_for"), scalar(sample.stands_for)});
            all.items.push_back(std::move(one));
        }
        std::erase_if(zone->entries, [](const yaml::Entry& one) { return one.key.text == "samples"; });
        zone->entries.push_back({scalar("samples"), std::move(all)});
    }
}

}  // namespace

Loaded load(std::string_view text, const std::string& file, const std::filesystem::path& directory, Files files, const Samples& samples,
            const Addresses& addresses) {
    Loaded loaded;
    loaded.scenario.file = file;
    loaded.scenario.name = file == "-" ? "scenario" : std::filesystem::path{file}.stem().string();
    if (text.size() > document_size_max) {
        loaded.problems.push_back({file, 0, 0, {}, "larger than 1 MiB: not a scenario", {}, {}});
        return loaded;
    }
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    Problems problems{file, text};
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
        problems.add({}, {}, "is UTF-16", "save it as UTF-8");
    } else if (const auto bad = bad_character(text)) {
        problems.add(place_of(text, bad->first), {}, bad->second);
    } else {
        auto document = yaml::parse(text);
        if (document.error) {
            const auto& error = *document.error;
            problems.add(error.at, {}, "YAML: " + error.what,
                         error.suggestion.empty() ? syntax_hint(text, error.at) : error.suggestion);
        } else {
            const auto here = std::filesystem::absolute(directory.empty() ? "." : directory);
            const bool made = expand(document.root, here, problems);
            put_samples(document.root, samples);
            put_addresses(document.root, addresses);
            if (made || !samples.empty() || !addresses.empty()) loaded.expanded = to_yaml(document.root);
            ReadContext context{loaded.scenario, problems, here, files, true, true};
            Reader{context, document.root}.read();
        }
    }
    loaded.problems = std::move(problems).sorted();
    return loaded;
}

Loaded load_file(const std::filesystem::path& file, Files files) {
    if (file == "-") return load(read_document(std::cin), "-", std::filesystem::current_path(), files);
    const auto refused = [&](const std::string& why) {
        Loaded loaded;
        loaded.scenario.file = file;
        loaded.problems.push_back({file.string(), 0, 0, {}, why, {}, {}});
        return loaded;
    };
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return refused("no such file");
    if (!std::filesystem::is_regular_file(file, error))
        return refused(std::filesystem::is_directory(file, error)
                           ? "is a directory, not a scenario file"
                           : "is not a file (- is standard input)");
    const auto text = bytes::read_file(file, document_size_max);
    if (!text) return refused(text.error().problem);
    return load(*text, file.string(), file.parent_path(), files);
}

std::string read_document(std::istream& in) {
    constexpr std::size_t read_max = 64 * document_size_max;  // of a document that is too large in any case
    std::string document, line;
    const auto add_line = [&] {
        const auto content = std::string_view{line}.substr(0, line.ends_with('\r') ? line.size() - 1 : line.size());
        if (content == "...") return false;
        if (document.size() <= document_size_max) document += line.substr(0, document_size_max) + '\n';
        line.clear();
        return true;
    };
    auto* const buffer = in.rdbuf();
    for (std::size_t read = 0; read < read_max; ++read) {
        const auto next = buffer->sbumpc();
        if (next == std::char_traits<char>::eof()) {
            if (!line.empty()) add_line();
            break;
        }
        if (next == '\n') {
            if (!add_line()) break;
        } else if (line.size() <= document_size_max) {
            line += static_cast<char>(next);
        }
    }
    return document;
}

boost::system::result<std::string, bytes::FileProblem> read_document(const std::filesystem::path& file) {
    auto text = bytes::read_file(file, document_size_max);
    if (!text) return text;
    std::istringstream in{*text};
    return read_document(in);
}

}  // namespace wmlab::scenario
