#include "common/scenario/events.hpp"

#include <algorithm>
#include <array>

#include "common/scenario/options.hpp"
#include "common/scenario/surroundings.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;
using enum Incident::Kind;

constexpr std::size_t events_max = 100, rule_max = 1000;
constexpr std::string_view like = "like - { at: 1s, reload: new.nft }";
constexpr std::array<std::string_view, 7> kind_names = {"reload", "flush-conntrack", "link", "kill",
                                                        "restart", "block",          "sysctl"};
constexpr std::string_view at_once = "at-once", flush_first = "flush-first";

// One statement of nft and nothing more: it cannot end the rule, its chain or its table.
bool is_one_match(std::string_view rule) {
    int depth = 0;
    for (const char c : rule) {
        if (c == ';' || c == '#' || c == '\n' || c == '\r') return false;
        depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        if (depth < 0) return false;
    }
    return depth == 0 && !rule.empty() && rule.size() <= rule_max;
}

class EventReader {
public:
    EventReader(ReadContext& context, const Node& item)
        : context_{context}, problems_{context.problems}, item_{item}, map_{item, "an entry of `events`", problems_, std::string{like}} {}

    void read() {
        incident_.line = item_.at.line;
        if (const auto at = duration(map_, map_.require("at"), "at", milliseconds{0})) incident_.at = *at;
        const Node* given = nullptr;
        for (std::size_t i = 0; i < kind_names.size(); ++i) {
            const auto* node = map_.find(kind_names[i]);
            if (node == nullptr) continue;
            if (given != nullptr) {
                problems_.add(node->at, std::string{kind_names[i]}, "a second thing in one entry of `events`:", "make it an entry of its own");
                continue;
            }
            given = node;
            incident_.kind = static_cast<Incident::Kind>(i);
        }
        if (given != nullptr) read_kind(*given);
        if (const auto* apply = map_.find("apply")) {
            if (given != nullptr && incident_.kind != reload)
                problems_.add(apply->at, {}, "`apply` says how a ruleset is loaded, and this entry loads none");
            set_manner(incident_, read_apply(map_, *apply));
        } else {
            set_manner(incident_, context_.scenario.firewall.apply);
        }
        if (const auto* node = map_.find("expect"))
            if (const auto word = map_.text(*node, "expect")) {
                incident_.expect = *word == "untouched" ? Incident::Wish::untouched : *word == "survived" ? Incident::Wish::survived : Incident::Wish::none;
                if (incident_.expect == Incident::Wish::none)
                    problems_.add(*node, "unknown `expect` of an event", problems_.did_you_mean(*word, {"untouched", "survived"}));
            }
        map_.finish();
        if (item_.is(Node::Kind::map) && given == nullptr)
            problems_.add(item_.at, {}, "an entry of `events` says what happens: reload, flush-conntrack, link, kill, restart, block or sysctl",
                          std::string{like});
        if (given != nullptr) context_.scenario.events.push_back(std::move(incident_));
    }

private:
    std::optional<milliseconds> duration(MapReader& map, const Node* node, std::string_view key, milliseconds least) {
        const auto given = node != nullptr ? map.text(*node, key) : std::nullopt;
        if (!given) return std::nullopt;
        const auto value = *given == "0" ? std::optional{milliseconds{0}} : duration_from(*given);
        if (value && *value >= least && *value <= play_max) return value;
        problems_.add(*node, "`" + std::string{key} + "` is not a duration from " + text(least) + " to 24h:", "like 1s or 500ms");
        return std::nullopt;
    }

    void read_kind(const Node& node) {
        const auto key = text(incident_.kind);
        switch (incident_.kind) {
            case reload:
                if (const auto given = map_.text(node, key)) incident_.ruleset = read_path(context_, node, *given, "ruleset");
                break;
            case flush_conntrack:
                if (node.is(Node::Kind::null)) break;
                if (const auto given = map_.text(node, key); given && *given != "true" && *given != "all")
                    problems_.add(node, "`flush-conntrack` forgets all connections:", "write `flush-conntrack: all`");
                break;
            case link: {
                MapReader part{node, "`link` of an event", problems_, "like { zone: outside, down: 500ms }"};
                if (const auto* zone = part.require("zone")) named(part, *zone, "zone", context_.scenario.zones);
                if (const auto down = duration(part, part.require("down"), "down", milliseconds{1})) incident_.lasts = *down;
                part.finish();
                break;
            }
            case kill:
            case restart:
                named(map_, node, key, context_.scenario.hosts);
                if (const auto* host = context_.scenario.host(incident_.subject); host != nullptr && !host->run.empty())
                    problems_.add(node, "a host that runs a program of its own:", "only the simulators can be stopped and started");
                break;
            case block:
                read_block(node);
                break;
            case sysctl: {
                MapReader part{node, "`sysctl` of an event", problems_, "like { net.netfilter.nf_conntrack_udp_timeout: 1 }"};
                if (node.is(Node::Kind::map) && node.entries.size() != 1)
                    problems_.add(node.at, {}, "`sysctl` of an event is one setting", "make each an entry of its own");
                for (const auto& [name, value] : node.entries) {
                    if (const auto path = sysctl_from(context_, name)) incident_.subject = *path;
                    if (const auto given = part.text(value, name.text)) incident_.value = *given;
                }
                break;
            }
        }
    }

    void read_block(const Node& node) {
        const Node* rule = &node;
        if (node.is(Node::Kind::map)) {
            MapReader part{node, "`block` of an event", problems_, "like { rule: udp dport 1024-5000, for: 500ms }"};
            rule = part.require("rule");
            if (const auto length = duration(part, part.find("for"), "for", milliseconds{1})) incident_.lasts = *length;
            part.finish();
        }
        const auto given = rule != nullptr ? map_.text(*rule, "rule") : std::nullopt;
        if (!given) return;
        incident_.subject = *given;
        if (!is_one_match(*given)) problems_.add(*rule, "not what one rule of nft matches:", "like udp dport 1024-5000");
    }

    template <class Things>
    void named(MapReader& map, const Node& node, std::string_view key, const Things& things) {
        const auto given = map.text(node, key);
        if (!given) return;
        incident_.subject = *given;
        std::vector<std::string_view> names;
        for (const auto& thing : things) names.push_back(thing.name);
        if (!names.empty() && std::ranges::find(names, *given) == names.end())
            problems_.add(node, "unknown " + std::string{incident_.kind == link ? "zone" : "host"}, problems_.did_you_mean(*given, names));
    }

    ReadContext& context_;
    Problems& problems_;
    const Node& item_;
    MapReader map_;
    Incident incident_;
};

}  // namespace

std::string_view text(Incident::Kind kind) { return kind_names[static_cast<std::size_t>(kind)]; }

void set_manner(Incident& incident, std::vector<std::string> apply) {
    const bool word = apply.size() == 1;
    if (apply.empty() || (word && apply.front() == at_once)) {
        incident.manner = Incident::Manner::at_once;
    } else if (word && apply.front() == flush_first) {
        incident.manner = Incident::Manner::flush_first;
    } else {
        incident.manner = Incident::Manner::program;
        incident.program = std::move(apply);
    }
}

std::vector<std::string> read_apply(MapReader& map, const Node& node) {
    auto words = read_words(map, node, "apply", true);
    const bool known = words.size() == 1 && (words.front() == at_once || words.front() == flush_first);
    const bool names_it = std::ranges::any_of(words, [](const auto& word) { return word.find("{ruleset}") != std::string::npos; });
    if (!words.empty() && !known && !names_it)
        map.problems().add(node.at, words.front(), "`apply` does not say where the file goes:",
                           "at-once, flush-first, or a program like [nft, -f, \"{ruleset}\"]");
    return words;
}

void read_events(ReadContext& context, const Node& node) {
    if (!node.is(Node::Kind::sequence)) {
        if (!node.is(Node::Kind::null)) context.problems.add(node, "`events` is not a list:", std::string{like});
        return;
    }
    for (const auto& item : node.items) {
        if (context.scenario.events.size() == events_max) {
            context.problems.add(item.at, {}, "more than " + std::to_string(events_max) + " events");
            break;
        }
        EventReader{context, item}.read();
    }
    std::ranges::stable_sort(context.scenario.events, {}, &Incident::at);
}

}  // namespace wmlab::scenario
