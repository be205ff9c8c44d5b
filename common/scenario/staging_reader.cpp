#include "common/scenario/staging_reader.hpp"

#include <algorithm>
#include <array>
#include <regex>

#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr std::array<std::string_view, 11> formats{"asa",      "pan-os", "fortios", "junos",     "pf",   "opnsense",
                                                   "iptables", "nft",    "windows", "cisco-ios", "regex"};
constexpr std::size_t tags_max = 32, tag_size_max = 100, pattern_size_max = 1000;

// "udp://192.0.2.1:5514"; tcp, and syslog for both
bool is_listener(std::string_view text) {
    for (const std::string_view scheme : {"udp://", "tcp://", "syslog://"}) {
        if (!text.starts_with(scheme)) continue;
        const auto rest = text.substr(scheme.size());
        const auto colon = rest.rfind(':');
        return colon != std::string_view::npos && Ipv4::from(rest.substr(0, colon)) &&
               PortRange::from(rest.substr(colon + 1)) && rest.find('-') == std::string_view::npos;
    }
    return false;
}

void read_log_from(ReadContext& context, MapReader& map, const Node& node, DeviceLog& log) {
    if (node.is(Node::Kind::sequence)) {
        log.command = read_words(map, node, "from", false);
        return;
    }
    const auto given = map.text(node, "from");
    if (!given) return;
    if (given->find("://") != std::string::npos) {
        if (!is_listener(*given))
            context.problems.add(
                node, "not a syslog listener:",
                "like udp://192.0.2.1:5514, with the address of this machine that the device sends to");
        log.listen = *given;
        return;
    }
    std::error_code ignored;
    const auto words = words_from(*given);
    if (words.size() > 1 && !std::filesystem::exists(context.directory / *given, ignored)) {
        log.command = words;
        return;
    }
    log.file = read_path(context, node, *given, "device log");
}

void read_log(ReadContext& context, const Node& node) {
    MapReader map{node, "`log` of `firewall`", context.problems, "like { format: asa, from: asa.log }"};
    auto& log = context.scenario.firewall.log;
    if (const auto* format = map.require("format"))
        if (const auto given = map.text(*format, "format")) {
            log.format = *given;
            if (std::ranges::find(formats, std::string_view{*given}) == formats.end())
                context.problems.add(*format, "unknown log format",
                                     context.problems.did_you_mean(*given, {formats.begin(), formats.end()}));
        }
    if (const auto* pattern = map.find("pattern")) {
        if (const auto given = map.text(*pattern, "pattern")) {
            log.pattern = *given;
            if (log.format != "regex") context.problems.add(*pattern, "`pattern` belongs to the format `regex`:");
            if (given->size() > pattern_size_max) context.problems.add(*pattern, "longer than 1000 characters:");
        }
    } else if (log.format == "regex") {
        context.problems.add(
            map.at(), {}, "the format `regex` has no `pattern`",
            "like 'RULE=(?<rule>\\S+) SRC=(?<source>\\S+) DST=(?<destination>\\S+) ACT=(?<action>\\S+)'");
    }
    if (const auto* from = map.require("from")) read_log_from(context, map, *from, log);
    map.finish();
}

}  // namespace

std::span<const std::string_view> device_log_formats() { return formats; }

void read_default_launch(ReadContext& context, MapReader& top, const Node& node) {
    auto& launch = context.scenario.launch;
    launch = read_words(top, node, "launch", true);
    for (const auto& word : launch)
        for (auto at = word.find('{'); at != std::string::npos; at = word.find('{', at + 1)) {
            const auto end = word.find('}', at);
            const auto name = word.substr(at, end == std::string::npos ? end : end + 1 - at);
            if (name != "{address}" && name != "{host}" && name != "{zone}")
                context.problems.add(node.at, name, "`launch` has no", "there are {address}, {host} and {zone}");
        }
}

std::vector<std::string> launch_of(const Scenario& scenario, const Host& host) {
    auto words = scenario.launch;
    const auto put = [](std::string& word, std::string_view name, const std::string& value) {
        for (auto at = word.find(name); at != std::string::npos; at = word.find(name, at + value.size()))
            word.replace(at, name.size(), value);
    };
    for (auto& word : words) {
        put(word, "{address}", host.address.text());
        put(word, "{host}", host.name);
        put(word, "{zone}", host.zone);
    }
    return words;
}

void read_staging(ReadContext& context, MapReader& firewall) {
    if (const auto* launch = firewall.find("launch"))
        context.scenario.firewall.launch = read_words(firewall, *launch, "launch", true);
    if (const auto* log = firewall.find("log")) read_log(context, *log);
}

std::vector<std::string> read_tags(MapReader& flow, const Node& node) {
    std::vector<std::string> tags;
    const auto take = [&](const Node& one) {
        const auto given = flow.text(one, "tags");
        if (!given) return;
        const bool good = !given->empty() && given->size() <= tag_size_max && std::ranges::all_of(*given, [](char c) {
            return static_cast<unsigned char>(c) > ' ' && c != ',' && c != 0x7F;
        });
        if (!good)
            flow.problems().add(one,
                                "not a tag:", "a tag is a word without blanks and commas, like nightly or site=lyon");
        else if (tags.size() < tags_max)
            tags.push_back(*given);
        else
            flow.problems().add(one, "more than " + std::to_string(tags_max) + " tags:");
    };
    if (node.is(Node::Kind::sequence))
        for (const auto& item : node.items) take(item);
    else
        take(node);
    return tags;
}

}  // namespace wmlab::scenario
