#include "common/scenario/flow_reader.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <string_view>

#include "common/bytes/read_file.hpp"
#include "common/rpc/port_registry.hpp"
#include "common/scenario/catalogue.hpp"
#include "common/scenario/expectation_reader.hpp"
#include "common/scenario/feeders.hpp"
#include "common/scenario/load_reader.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/staging_reader.hpp"
#include "common/scenario/values.hpp"
#include "common/scenario/vlc.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

constexpr PortRange any_port{1, 65535}, configured_port{1, configured_port_max};
constexpr std::string_view anyone_word = "anyone";
constexpr std::size_t registry_size_max = std::size_t{1} << 20;

std::vector<std::string_view> type_names() {
    std::vector<std::string_view> names;
    for (const auto& type : catalogue()) names.push_back(type.name);
    return names;
}

// The hosts from which `anyone` of a zone is played: at the zone's samples, or those that it has, or at one free address.
std::vector<Anyone> anyone_of(Scenario& scenario, const std::string& name, const std::function<bool(const std::string& host)>& taken) {
    std::vector<Anyone> all;
    const auto& zone = *scenario.zone(name);
    const auto add = [&](const Sample& sample) {
        const auto* host = scenario.host_at(sample.address);
        if (host == nullptr) {
            Host made;
            made.name = std::string{anyone_word} + '-' + sample.address.text();
            made.zone = name, made.address = sample.address, made.sample = true;
            made.launch = launch_of(scenario, made);
            scenario.hosts.push_back(std::move(made));
            host = &scenario.hosts.back();
        }
        if (!taken(host->name)) all.push_back({host->name, name, sample});
    };
    for (const auto& sample : zone.samples) add(sample);
    if (!zone.samples.empty()) return all;
    for (std::size_t i = 0; i < scenario.hosts.size() && all.size() < samples_max; ++i)
        if (scenario.hosts[i].zone == name && !scenario.hosts[i].sample) add({scenario.hosts[i].address});
    const auto free = [&](Ipv4 address) {
        const auto* const host = scenario.host_at(address);
        return address != zone.gateway && (host == nullptr || host->sample) &&
               std::ranges::none_of(scenario.hosts, [&](const Host& one) { return one.published_at(address); });
    };
    for (auto value = zone.subnet.network.value + 1; value < zone.subnet.broadcast().value && all.empty(); ++value)
        if (free({value})) add({Ipv4{value}});
    return all;
}

struct Defaults {
    std::optional<milliseconds> deadline, play;
    std::optional<std::string> content;
    std::optional<double> max_loss;
};

std::optional<double> read_max_loss(MapReader& map) {
    const auto* node = map.find("max_loss");
    const auto given = node != nullptr ? map.text(*node, "max_loss") : std::nullopt;
    if (!given) return std::nullopt;
    const auto fraction = fraction_from(*given);
    if (!fraction) map.problems().add(*node, "`max_loss` is not a part from 0 to 1:", "like 0.02 or 2%");
    return fraction;
}

std::optional<std::string> read_content(ReadContext& context, MapReader& map, const std::string& flow = {}) {
    const auto* node = map.find("content");
    const auto given = node != nullptr ? map.text(*node, "content") : std::nullopt;
    if (!given) return std::nullopt;
    if (context.contents_known && context.scenario.content(*given) == nullptr) context.fed.push_back({node, flow});
    return given;
}

class FlowReader {
public:
    FlowReader(ReadContext& context, const Defaults& defaults, const Node& node, std::size_t number)
        : context_{context},
          problems_{context.problems},
          defaults_{defaults},
          node_{node},
          map_{node, name(node, number), context.problems, "like { id: web, type: http, from: player, to: media }"} {}

    // Nothing where the type is not known.
    std::optional<Flow> read() {
        flow_.line = node_.at.line;
        read_id();
        const auto* type = read_type();
        flow_.from = read_hosts("from");
        flow_.to = read_hosts("to");
        check_pairs();
        if (type == nullptr) {
            for (const auto& option : flow_options()) map_.find(option.name);
            map_.finish();
            return std::nullopt;
        }
        flow_.type = type->type;
        read_common();
        read_ports();
        read_anyone();
        if (flow_.load) check_load_ports(map_, flow_);
        read_distribution();
        read_dcom();
        read_probe_and_command();
        read_expectation(map_, flow_);
        map_.finish([&](const Node& key) { return taken_by_others(key); });
        return flow_;
    }

private:
    static std::string name(const Node& node, std::size_t number) {
        if (node.is(Node::Kind::map))
            for (const auto& [key, value] : node.entries)
                if (key.text == "id" && is_name(value.text)) return "flow " + ticked(value.text);
        return "flow " + std::to_string(number);
    }

    bool takes(std::string_view option) const { return flow_option(option)->taken_by(flow_.type); }
    // Null where the type does not take the option, or it is not given.
    const Node* option(std::string_view key) { return takes(key) ? map_.find(key) : nullptr; }
    const Node* required(std::string_view key) { return takes(key) ? map_.require(key) : nullptr; }
    std::optional<std::string> option_text(const Node* node, std::string_view key) {
        return node != nullptr ? map_.text(*node, key) : std::nullopt;
    }

    bool taken_by_others(const Node& key) {
        const auto* known = flow_option(key.text);
        if (known == nullptr) return false;
        problems_.add(key, ticked(spec(flow_.type).name) + " takes no", "taken by " + types_text(*known));
        return true;
    }

    void read_id() {
        const auto* node = map_.require("id");
        const auto given = option_text(node, "id");
        if (!given) return;
        if (!is_name(*given)) {
            const auto like = name_like(*given);
            problems_.add(*node,
                          "not a flow name:", like.empty() ? "names match [a-z][a-z0-9_-]*" : "like " + ticked(like));
        }
        flow_.id = *given;
    }

    const FlowTypeSpec* read_type() {
        const auto* node = map_.require("type");
        const auto given = option_text(node, "type");
        if (!given) return nullptr;
        const auto* type = spec(*given);
        if (type == nullptr) problems_.add(*node, "unknown flow type", problems_.did_you_mean(*given, type_names()));
        return type;
    }

    // "anyone@outside"; a host may be called so, though.
    bool is_anyone(const std::string& host) const {
        return (host == anyone_word || host.starts_with(std::string{anyone_word} + '@')) && context_.scenario.host(host) == nullptr;
    }

    std::vector<std::string_view> zone_names() const {
        std::vector<std::string_view> names;
        for (const auto& zone : context_.scenario.zones) names.push_back(zone.name);
        return names;
    }

    void take_anyone(const Node& node, const std::string& given, std::string_view key) {
        if (key != "from") {
            problems_.add(node, ticked(key) + " takes no", "a flow goes to a host that answers: name it; `from` takes " + ticked(anyone_word));
            return;
        }
        const auto at = given.find('@');
        const auto name = at == std::string::npos ? std::string{} : given.substr(at + 1);
        const auto names = zone_names();
        if (name.empty()) {
            problems_.add(node, "of which zone?", names.empty() ? std::string{} : "like " + ticked(std::string{anyone_word} + '@' + std::string{names.back()}));
        } else if (context_.scenario.zone(name) != nullptr) {
            anyone_.emplace_back(&node, name);
        } else if (!names.empty()) {
            auto place = node;
            place.text = name;
            place.at.column += static_cast<unsigned>(at) + 1;
            problems_.add(place, "unknown zone", problems_.did_you_mean(name, names));
        }
    }

    // When the flow's other hosts are known: it is played from none of them.
    void read_anyone() {
        using enum FlowType;
        for (const auto& [node, zone] : anyone_) {
            if (flow_.type == msbd || flow_.type == http_distribution || flow_.type == multicast || flow_.type == encoder_alias) {
                problems_.add(*node, ticked(spec(flow_.type).name) + " takes no", "its `from` is a server or an encoder: name that host");
                continue;
            }
            const auto count = flow_.from.size();
            const auto taken = [&](const std::string& host) {
                return std::ranges::find(flow_.from, host) != flow_.from.end() || std::ranges::find(flow_.to, host) != flow_.to.end() ||
                       (flow_.proxy && flow_.proxy->host == host);
            };
            for (auto& one : anyone_of(context_.scenario, zone, taken)) {
                flow_.from.push_back(one.host);
                flow_.anyone.push_back(std::move(one));
            }
            if (flow_.from.size() == count)
                problems_.add(*node, "no address of the zone is left for", "give it a larger `subnet`, or say `samples` in the zone");
        }
    }

    bool check_host(const Node& node, const std::string& host) {
        if (!context_.hosts_known || context_.scenario.host(host) != nullptr) return true;
        std::vector<std::string_view> names;
        for (const auto& known : context_.scenario.hosts) names.push_back(known.name);
        problems_.add(node, "unknown host", problems_.did_you_mean(host, names));
        return false;
    }

    std::vector<std::string> read_hosts(std::string_view key) {
        std::vector<std::string> hosts;
        const auto* node = map_.require(key);
        if (node == nullptr) return hosts;
        const auto add = [&](const Node& item) {
            const auto host = map_.text(item, key);
            if (!host) return;
            if (is_anyone(*host)) {
                if (std::ranges::any_of(anyone_, [&](const auto& had) { return had.first->text == *host; }))
                    problems_.add(item, ticked(key) + " names a zone twice:");
                else
                    take_anyone(item, *host, key);
            } else if (std::ranges::find(hosts, *host) != hosts.end()) {
                problems_.add(item, ticked(key) + " names a host twice:");
            } else if (check_host(item, *host)) {
                hosts.push_back(*host);
            }
        };
        if (node->is(Node::Kind::sequence)) {
            if (node->items.empty())
                problems_.add(node->at, {}, ticked(key) + " of " + map_.owner() + " is an empty list");
            for (const auto& item : node->items) add(item);
        } else {
            add(*node);
        }
        return hosts;
    }

    void check_pairs() {
        for (const auto& from : flow_.from) {
            if (std::ranges::find(flow_.to, from) == flow_.to.end()) continue;
            problems_.add(map_.find("to")->at, from, map_.owner() + " goes from a host to itself:");
            return;
        }
    }

    void read_common() {
        flow_.deadline = defaults_.deadline.value_or(flow_.deadline);
        flow_.deadline = read_duration(map_, "deadline", deadline_min, deadline_max).value_or(flow_.deadline);
        if (takes("play")) {
            flow_.play = defaults_.play.value_or(flow_.play);
            flow_.play = read_duration(map_, "play", play_min, play_max).value_or(flow_.play);
        }
        if (takes("idle")) flow_.idle = read_duration(map_, "idle", idle_min, play_max).value_or(flow_.idle);
        if (const auto* tags = map_.find("tags")) flow_.tags = read_tags(map_, *tags);
        if (takes("max_loss")) {
            flow_.max_loss = defaults_.max_loss.value_or(flow_.max_loss);
            flow_.max_loss = read_max_loss(map_).value_or(flow_.max_loss);
        }
        if (takes("content")) {
            flow_.content = defaults_.content.value_or(std::string{});
            flow_.content = read_content(context_, map_, flow_.id).value_or(flow_.content);
            const auto& contents = context_.scenario.contents;
            if (flow_.content.empty() && contents.size() == 1) flow_.content = contents.front().name;
            if (flow_.content.empty() && map_.find("content") == nullptr && context_.contents_known)
                problems_.add(map_.at(), {}, map_.owner() + " has no `content`",
                              contents.empty() ? "add a section like content: { lecture: { synthetic: audio } }"
                                               : "give one, here or in `defaults`");
        }
        flow_.count = read_number("count", 1, count_max, 1);
        if (const auto* load = option("load")) read_load(context_, map_, *load, flow_);
    }

    unsigned read_number(std::string_view key, unsigned min, unsigned max, unsigned otherwise) {
        const auto* node = option(key);
        const auto given = option_text(node, key);
        if (!given) return otherwise;
        const auto number = count_from(*given);
        if (number && *number >= min && *number <= max) return *number;
        problems_.add(
            *node, ticked(key) + " is not a number from " + std::to_string(min) + " to " + std::to_string(max) + ':');
        return otherwise;
    }

    std::optional<std::uint16_t> port_of(const Node& node, const std::string& given, std::string_view key,
                                         PortRange allowed) {
        const auto range = PortRange::from(given);
        if (range && range->first == range->last && allowed.contains(range->first)) return range->first;
        problems_.add(node, ticked(key) + " is not a port from " + std::to_string(allowed.first) + " to " +
                                std::to_string(allowed.last) + ':');
        return std::nullopt;
    }

    void read_ports() {
        if (const auto* node = option("client_ports")) {
            if (const auto given = map_.text(*node, "client_ports")) {
                const auto range = PortRange::from(*given);
                if (!range) {
                    problems_.add(*node, "`client_ports` is not a port or a range of ports:", "like 1024-5000");
                } else if (range->first == vlc_port && range->last == vlc_port) {
                    flow_.client_ports = *range;  // the judge says that the article does not name it
                } else if (!player_ports.contains(range->first) || !player_ports.contains(range->last)) {
                    problems_.add(*node,
                                  "`client_ports` is outside of 1024-5000:", "players announce no other UDP port");
                } else {
                    flow_.client_ports = *range;
                }
            }
        }
        flow_.port = http_port;
        if (flow_.type == FlowType::http || flow_.type == FlowType::http_distribution) {
            const auto* node = option("port");
            if (const auto given = option_text(node, "port"))
                flow_.port = port_of(*node, *given, "port", any_port).value_or(flow_.port);
        }
        if (const auto* node = option("proxy")) read_proxy(*node);
    }

    void read_proxy(const Node& node) {
        MapReader map{node, "`proxy` of " + map_.owner(), problems_, "like { host: proxy, port: 3128 }"};
        Proxy proxy;
        if (const auto* host = map.require("host")) {
            if (const auto given = map.text(*host, "host")) {
                proxy.host = *given;
                const auto end = [&](const std::vector<std::string>& hosts) {
                    return std::ranges::find(hosts, *given) != hosts.end();
                };
                if (check_host(*host, *given) && (end(flow_.from) || end(flow_.to)))
                    problems_.add(*host, "the proxy is an end of the flow itself:");
            }
        }
        if (const auto* port = map.find("port"))
            if (const auto given = map.text(*port, "port"))
                proxy.port = port_of(*port, *given, "port", any_port).value_or(proxy.port);
        map.finish();
        if (!proxy.host.empty()) flow_.proxy = proxy;
    }

    std::optional<std::string> read_word(std::string_view key, const std::vector<std::string_view>& words) {
        const auto* node = option(key);
        const auto given = option_text(node, key);
        if (!given) return std::nullopt;
        if (std::ranges::find(words, *given) != words.end()) return given;
        problems_.add(*node, "unknown " + ticked(key), problems_.did_you_mean(*given, words));
        return std::nullopt;
    }

    void read_msbd_port(std::string_view key) {
        const auto* node = option(key);
        const auto given = option_text(node, key);
        if (!given) return;
        if (*given == "fallback") {
            flow_.msbd_port.fallback = true;
            return;
        }
        const auto range = PortRange::from(*given);
        if (range && range->first == range->last && configured_port.contains(range->first)) {
            flow_.msbd_port.port = range->first;
        } else {
            problems_.add(*node, ticked(key) + " is neither a port from 1 to 65000 nor `fallback`:");
        }
    }

    void read_distribution() {
        if (const auto source = read_word("source", {"encoder", "server"}))
            flow_.source = *source == "encoder" ? Source::encoder : Source::server;
        if (flow_.type == FlowType::msbd) read_msbd_port("port");
        if (flow_.type == FlowType::encoder_alias) read_msbd_port("msbd_port");
        if (const auto* node = required("alias")) {
            const auto given = map_.text(*node, "alias");
            if (given && !is_name(*given)) problems_.add(*node, "not a stream alias:", "names match [a-z][a-z0-9_-]*");
            flow_.alias = given.value_or(std::string{});
        }
        if (flow_.type != FlowType::multicast) return;
        if (const auto* node = required("group")) {
            if (const auto given = map_.text(*node, "group")) {
                const auto group = Ipv4::from(*given);
                if (!group || group->value <= 0xE0000000 || group->value >= 0xF0000000) {
                    problems_.add(*node, "not a group from 224.0.0.1 to 239.255.255.255:");
                } else {
                    flow_.group = *group;
                }
            }
        }
        if (const auto* node = required("port"))
            if (const auto given = map_.text(*node, "port"))
                flow_.port = port_of(*node, *given, "port", configured_port).value_or(flow_.port);
        flow_.ttl = read_number("ttl", 1, 255, flow_.ttl);
        flow_.igmp_version = read_number("igmp_version", 2, 3, flow_.igmp_version);
    }

    PortList read_port_list(const Node& node, std::string_view key) {
        PortList ports;
        const auto add = [&](const Node& item, std::string_view word) {
            const auto range = PortRange::from(word);
            if (!range) {
                const auto dash = word.find('-');
                const auto low = PortRange::from(word.substr(0, dash));
                const auto high = dash == std::string_view::npos ? low : PortRange::from(word.substr(dash + 1));
                const bool reversed = low && high && low->first > high->first;
                const bool listed = word.find_first_of(",;") != std::string_view::npos;
                std::string list{word};  // "80,443"
                for (auto at = list.find_first_of(",;"); at != std::string::npos; at = list.find_first_of(",;", at + 2))
                    list.replace(at, 1, ", ");
                problems_.add(item.at, word,
                              reversed ? "the range is reversed:" : "not a port or a range of ports from 1 to 65535:",
                              reversed ? "did you mean " + ticked(high->text() + '-' + low->text()) + '?'
                              : listed ? "several are a list: [" + list + "]"
                                       : std::string{});
                return;
            }
            for (const auto& other : ports) {
                if (other.first > range->last || range->first > other.last) continue;
                problems_.add(item.at, word, ticked(key) + " names ports twice:", "overlaps " + other.text());
                return;
            }
            ports.push_back(*range);
        };
        if (node.is(Node::Kind::sequence)) {
            if (node.items.empty())
                problems_.add(node.at, {}, ticked(key) + " of " + map_.owner() + " is an empty list");
            for (const auto& item : node.items)
                if (const auto given = map_.text(item, key)) add(item, *given);
        } else if (const auto given = map_.text(node, key)) {
            for (const auto& word : words_from(*given)) add(node, word);
        }
        return ports;
    }

    void read_dcom() {
        flow_.processes = read_number("processes", 1, processes_max, flow_.processes);
        if (const auto transport = read_word("transport", {"tcp", "udp"}))
            flow_.transport = *transport == "udp" ? Protocol::udp : Protocol::tcp;
        const auto* ports = option("reserved_ports");
        const auto* registry = option("registry");
        if (ports != nullptr) flow_.reserved_ports = read_port_list(*ports, "reserved_ports");
        if (const auto given = option_text(registry, "registry")) {
            flow_.registry = read_path(context_, *registry, *given, "registry file");
            if (ports == nullptr) read_registry(*registry, *given);
        }
        if (ports != nullptr && registry != nullptr) {
            problems_.add(registry->at, registry->text, map_.owner() + " has `reserved_ports` and `registry`:",
                          "the registry file gives the reserved ports: remove one");
        } else if (takes("reserved_ports") && ports == nullptr && registry == nullptr) {
            problems_.add(map_.at(), {}, map_.owner() + " has neither `reserved_ports` nor `registry`",
                          "like reserved_ports: 3001-3010");
        }
    }

    // The ports that a server with this registry hands out. A file that is not there has been complained of, or is on
    // another host.
    void read_registry(const Node& node, const std::string& given) {
        if (!std::filesystem::is_regular_file(flow_.registry)) return;
        const auto octets = bytes::read_file(flow_.registry, registry_size_max);
        if (!octets) {
            std::error_code unknown;
            if (std::filesystem::file_size(flow_.registry, unknown) <= registry_size_max || unknown) return;
            problems_.add(node, "more than 1 MiB is no export of one registry key:",
                          "export HKLM\\SOFTWARE\\Microsoft\\Rpc\\Internet only");
            return;
        }
        const auto read = rpc::read_reg(*octets);
        // A first line that is no export's says it all.
        const std::size_t told = !read.ok() && read.problems.front().line == 1 ? 1 : 3;
        for (std::size_t i = 0; i < std::min(read.problems.size(), told); ++i)
            problems_.add(node, given + ":" + std::to_string(read.problems[i].line) + ": " + read.problems[i].what +
                                    ", in registry file");
        if (!read.ok()) return;
        const auto dynamic = rpc::dynamic_ports(rpc::InternetKey::from(read.file));
        if (!dynamic.invalid.empty())
            problems_.add(node, given + ": no process would get any port: " + dynamic.invalid + ", in registry file");
        for (const auto& range : dynamic.ranges) flow_.reserved_ports.push_back({range.first, range.last});
    }

    void read_probe_and_command() {
        if (const auto protocol = read_word("protocol", {"tcp", "udp"}))
            flow_.protocol = *protocol == "udp" ? Protocol::udp : Protocol::tcp;
        if (const auto* node = required("ports")) flow_.ports = read_port_list(*node, "ports");
        if (const auto* node = required("run")) flow_.run = read_words(map_, *node, "run", false);
    }

    ReadContext& context_;
    Problems& problems_;
    const Defaults& defaults_;
    const Node& node_;
    MapReader map_;
    Flow flow_;
    std::vector<std::pair<const Node*, std::string>> anyone_;  // with the zone
};

Defaults read_defaults(ReadContext& context, const Node* node) {
    Defaults defaults;
    if (node == nullptr) return defaults;
    MapReader map{*node, "`defaults`", context.problems, "like { deadline: 3s, play: 1s }"};
    defaults.deadline = read_duration(map, "deadline", deadline_min, deadline_max);
    defaults.play = read_duration(map, "play", play_min, play_max);
    defaults.content = read_content(context, map);
    defaults.max_loss = read_max_loss(map);
    map.finish();
    return defaults;
}

}  // namespace

std::optional<milliseconds> read_duration(MapReader& map, std::string_view key, milliseconds min, milliseconds max) {
    const auto* node = map.find(key);
    const auto given = node != nullptr ? map.text(*node, key) : std::nullopt;
    if (!given) return std::nullopt;
    const auto duration = duration_from(*given);
    if (!duration) {
        map.problems().add(*node, ticked(key) + " is not a duration:", "like 3s, 500ms or 1m");
    } else if (*duration < min || *duration > max) {
        map.problems().add(*node, ticked(key) + " is outside of " + text(min) + " to " + text(max) + ':');
    } else {
        return duration;
    }
    return std::nullopt;
}

std::filesystem::path read_path(ReadContext& context, const Node& node, const std::string& text, const std::string& what, bool must_exist) {
    if (text.size() > 4000 || text.find('\0') != std::string::npos) {
        context.problems.add(node, "not a file name:");
        return {};
    }
    const auto path = (context.directory / text).lexically_normal();
    if (!must_exist || context.files == Files::not_checked) return path;
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) {
        context.problems.add(node, what + " not found:", "looked for " + path.string());
    } else if (std::filesystem::is_directory(status)) {
        context.problems.add(node, what + " is a directory:");
    }
    return path;
}

std::vector<std::string> read_words(MapReader& map, const Node& node, std::string_view key, bool split) {
    std::vector<std::string> words;
    if (node.is(Node::Kind::sequence)) {
        for (const auto& item : node.items) {
            if (item.is(Node::Kind::scalar)) {  // an argument may be empty
                words.push_back(item.text);
            } else if (const auto text = map.text(item, key)) {
                words.push_back(*text);
            }
        }
        if (node.items.empty() || (!words.empty() && words.front().empty()))
            map.problems().add(node.at, {}, '`' + std::string{key} + "` of " + map.owner() + " names no program");
        return words;
    }
    const auto text = map.text(node, key);
    if (!text) return words;
    words = words_from(*text);
    if (split) return words;
    std::string list;
    for (const auto& word : words) list += (list.empty() ? "[" : ", ") + word;
    map.problems().add(node, '`' + std::string{key} + "` of " + map.owner() + " is not a list:", "like " + list + ']');
    return words;
}

void read_flows(ReadContext& context, const Node& flows, const Node* defaults_node) {
    const auto defaults = read_defaults(context, defaults_node);
    if (!flows.is(Node::Kind::sequence) || flows.items.empty()) {
        const bool empty = flows.is(Node::Kind::null) || (flows.is(Node::Kind::sequence) && flows.items.empty());
        context.problems.add(flows, empty ? "`flows` is empty" : "`flows` is not a list:",
                             "like - { id: web, type: http, from: player, to: media }");
        return;
    }
    std::map<std::string, unsigned> ids;  // with the line
    std::size_t number = 0;
    std::uint64_t total = 0;
    for (const auto& node : flows.items) {
        auto flow = FlowReader{context, defaults, node, ++number}.read();
        for (const auto& [key, value] : node.entries) {
            if (key.text != "id" || !value.is(Node::Kind::scalar) || value.text.empty()) continue;
            const auto [first, fresh] = ids.emplace(value.text, value.at.line);
            if (!fresh)
                context.problems.add(value, "two flows with the id", "first in line " + std::to_string(first->second));
            break;
        }
        if (!flow) continue;
        const auto before = total;
        total += std::uint64_t{flow->from.size()} * flow->to.size() * flow->count;
        if (total > instances_max && before <= instances_max)
            context.problems.add(node.at, {},
                                 "more than " + std::to_string(instances_max) + " flows in all (from x to x count)");
        context.scenario.flows.push_back(std::move(*flow));
    }
    auto& contents = context.scenario.contents;
    contents.insert(contents.end(), context.made.begin(), context.made.end());
    check_feeders(context);
}

}  // namespace wmlab::scenario
