#include "lab/rules/site.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cctype>

#include "lab/rules/json_fields.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using scenario::Ipv4;
using scenario::Subnet;
namespace {

constexpr std::size_t listed_max = 6, elements_max = 500, hosts_max = 40;

std::optional<Subnet> network_of(const json::value& value) {
    if (const auto* text = value.if_string()) {
        const auto address = Ipv4::from(*text);
        return address ? std::optional{Subnet{*address, 32}} : std::nullopt;
    }
    const auto* object = value.if_object();
    if (!object) return std::nullopt;
    if (const auto* elem = object_at(*object, "elem"))
        if (const auto* inner = elem->if_contains("val")) return network_of(*inner);
    const auto* prefix = object_at(*object, "prefix");
    const auto address = prefix ? Ipv4::from(text_at(*prefix, "addr")) : std::nullopt;
    const auto length = prefix ? number_at(*prefix, "len") : 0;
    if (!address || length < 1 || length > 32) return std::nullopt;
    return Subnet{*address, static_cast<unsigned>(length)};
}

// The values a condition compares with: one, those in braces, those of a named set.
std::vector<json::value> values_of(const Ruleset& ruleset, const Rule& rule, const json::value& right) {
    if (const auto* text = right.if_string(); text && text->starts_with("@")) {
        const auto* elements = ruleset.set_elements(rule.chain, std::string{*text}.substr(1));
        if (!elements || elements->size() > elements_max) return {};
        return {elements->begin(), elements->end()};
    }
    const auto* object = right.if_object();
    if (const auto* set = object ? object->if_contains("set") : nullptr; set && set->is_array())
        return {set->get_array().begin(), set->get_array().end()};
    return {right};
}

struct Said {  // by one rule
    std::vector<std::string> in, out;
    std::vector<Subnet> source, destination;
    std::optional<Ipv4> leads_to;
    bool hides = false;
};

Said said_by(const Ruleset& ruleset, const Rule& rule) {
    Said said;
    for (const auto& part : rule.expr) {
        const auto* object = part.if_object();
        if (!object || object->empty()) continue;
        const std::string_view what = object->begin()->key();
        if (what == "masquerade" || what == "snat") said.hides = true;
        const auto* body = object->begin()->value().if_object();
        if (what == "dnat" && body) said.leads_to = Ipv4::from(text_at(*body, "addr"));
        if (what == "xt" && body && text_at(*body, "name") == "MASQUERADE") said.hides = true;
        const auto* left = what == "match" && body ? object_at(*body, "left") : nullptr;
        const auto* right = body ? body->if_contains("right") : nullptr;
        if (!left || !right || text_at(*body, "op") == "!=") continue;
        if (const auto* meta = object_at(*left, "meta")) {
            const auto key = text_at(*meta, "key");
            auto* into = key == "iifname" || key == "iif"   ? &said.in
                         : key == "oifname" || key == "oif" ? &said.out
                                                            : nullptr;
            if (!into) continue;
            for (const auto& value : values_of(ruleset, rule, *right))
                if (const auto* name = value.if_string(); name && *name != "lo") into->emplace_back(*name);
        } else if (const auto* payload = object_at(*left, "payload");
                   payload && text_at(*payload, "protocol") == "ip") {
            const auto field = text_at(*payload, "field");
            auto* into = field == "saddr" ? &said.source : field == "daddr" ? &said.destination : nullptr;
            if (!into) continue;
            for (const auto& value : values_of(ruleset, rule, *right))
                if (const auto network = network_of(value); network && network->network.value >> 28 != 0xE)
                    into->push_back(*network);
        }
    }
    return said;
}

bool is_private(Ipv4 address) {
    const auto v = address.value;
    return v >> 24 == 10 || v >> 20 == 0xAC1 || v >> 16 == 0xC0A8;
}

template <class Things, class Text>
std::string some_of(const Things& things, const Text& text) {
    std::string words;
    std::size_t count = 0;
    for (const auto& thing : things) {
        if (count++ == listed_max) return words + " ...";
        words += (words.empty() ? "" : ", ") + text(thing);
    }
    return words;
}

bool overlap(const Subnet& a, const Subnet& b) { return a.contains(b.network) || b.contains(a.network); }

}  // namespace

Site site_of(const Ruleset& ruleset) {
    Site site;
    for (const auto& rule : ruleset.rules()) {
        const auto said = said_by(ruleset, rule);
        const auto note = [&](const std::vector<std::string>& names, const std::vector<Subnet>& behind) {
            for (const auto& name : names) {
                auto& interface = site.interfaces[name];
                ++interface.times;
                for (const auto& network : behind) {
                    const auto known = std::ranges::find(interface.behind, network, &Site::Network::subnet);
                    if (known != interface.behind.end())
                        ++known->times;
                    else
                        interface.behind.push_back({network, 1});
                }
            }
        };
        const auto* chain = ruleset.chain(rule.chain);
        const bool input = chain && chain->hook == "input";
        note(said.in, said.source);
        note(said.out, input ? std::vector<Subnet>{} : said.destination);
        if (said.hides)
            for (const auto& name : said.out) site.interfaces[name].hides = true;
        for (const auto& network : said.source) ++site.networks[network];
        for (const auto& network : said.destination)
            if (!said.leads_to) ++site.networks[network];
        if (!said.leads_to) continue;
        ++site.networks[Subnet{*said.leads_to, 32}];
        for (const auto& network : said.destination)
            if (network.prefix == 32) site.published.emplace(network.network, *said.leads_to);
    }
    return site;
}

bool forwards_everything(const Ruleset& ruleset) {
    return std::ranges::none_of(ruleset.chains(), [&](const auto& entry) {
        const auto& chain = entry.second;
        const bool on_the_way = chain.hook == "prerouting" || chain.hook == "forward" || chain.hook == "postrouting" ||
                                chain.hook == "ingress" || chain.hook == "egress";
        if (!on_the_way || chain.name.family == "ip6") return false;
        return chain.policy_drop || std::ranges::any_of(chain.rules, [&](std::size_t index) {
                   return has_effect(ruleset, ruleset.rules()[index]);
               });
    });
}

namespace {

using Strangers = std::vector<std::string>;          // interfaces that rules name and the scenario does not have
using Unnamed = std::vector<const scenario::Zone*>;  // zones whose interface no rule names

std::string itself(const std::string& text) { return text; }

// "inside: { interface: eth1 }": which stranger is probably meant by which zone, by the networks that rules name with it.
std::string proposed_interfaces(const Site& site, const Strangers& strange, const Unnamed& unnamed) {
    std::string proposal;
    std::set<std::string> taken;
    for (const auto* zone : unnamed) {
        const std::string* best = nullptr;
        unsigned most = 0;
        for (const auto& name : strange) {
            unsigned times = 0;
            for (const auto& network : site.interfaces.at(name).behind)
                if (overlap(network.subnet, zone->subnet) && network.subnet.prefix >= 8) times += network.times;
            if (times > most && !taken.contains(name)) most = times, best = &name;
        }
        // What is left over fits where one is left over on both sides.
        if (!best && strange.size() == 1 && unnamed.size() == 1) best = &strange.front();
        if (!best) continue;
        taken.insert(*best);
        proposal += (proposal.empty() ? "" : ", ") + zone->name + ": { interface: " + *best + " }";
    }
    return proposal;
}

// Empty: the interfaces that rules name are the scenario's.
std::string misfit_of_interfaces(const Site& site, const scenario::Scenario& scenario) {
    const auto fits = [](const std::string& pattern, const std::string& name) { return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0; };
    Strangers strange;
    std::set<std::string> known;
    for (const auto& [name, interface] : site.interfaces) {
        bool found = false;
        for (const auto& zone : scenario.zones)
            if (fits(name, zone.interface)) found = true, known.insert(zone.interface);
        for (const auto& further : scenario.firewall.interfaces) found = found || fits(name, further.name);
        if (!found) strange.push_back(name);
    }
    if (strange.empty()) return {};
    Unnamed unnamed;
    for (const auto& zone : scenario.zones)
        if (!known.contains(zone.interface)) unnamed.push_back(&zone);
    if (unnamed.empty())
        return "the rules name " + some_of(strange, itself) +
               ", which the scenario does not have: nothing comes from there or goes there in the test (`firewall: { interfaces: [" + some_of(strange, itself) +
               "] }` says that this is meant)";
    const auto proposal = proposed_interfaces(site, strange, unnamed);
    return "the rules name the interface" + std::string{strange.size() > 1 ? "s " : " "} + some_of(strange, itself) +
           ", which no zone has, and none names that of zone " +
           some_of(unnamed, [](const scenario::Zone* zone) { return zone->name + " (" + zone->interface + ")"; }) +
           ": what is accepted by interface will not be" + (proposal.empty() ? "" : "; perhaps `zones: { " + proposal + " }`");
}

// Empty: some network that rules name is the scenario's, or they name none.
std::string misfit_of_networks(const Site& site, const scenario::Scenario& scenario) {
    std::vector<Subnet> elsewhere;
    for (const auto& entry : site.networks) {
        const auto& network = entry.first;
        if (network.prefix == 0) continue;
        if (std::ranges::any_of(scenario.zones, [&](const scenario::Zone& zone) { return overlap(network, zone.subnet); })) return {};
        elsewhere.push_back(network);
    }
    if (elsewhere.empty()) return {};
    return "the rules name " + some_of(elsewhere, [](const Subnet& s) { return s.prefix == 32 ? s.network.text() : s.text(); }) +
           ", and no address of the scenario's zones (" + some_of(scenario.zones, [](const scenario::Zone& zone) { return zone.subnet.text(); }) +
           "): this may be the ruleset of another site";
}

}  // namespace

std::vector<std::string> misfits(const Ruleset& ruleset, const scenario::Scenario& scenario) {
    if (ruleset.empty()) return {};
    if (forwards_everything(ruleset))
        return {"no rule and no policy on the way of forwarded packets stops or changes any: the firewall forwards everything, whatever its other chains hold"};
    const auto site = site_of(ruleset);
    std::vector<std::string> sentences{misfit_of_interfaces(site, scenario), misfit_of_networks(site, scenario)};
    std::erase(sentences, std::string{});
    return sentences;
}

namespace {

std::string as_name(std::string_view text) {
    std::string name;
    for (const char c : text) {
        const auto lower = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        name.push_back(std::isalnum(static_cast<unsigned char>(lower)) != 0 || lower == '-' || lower == '_' ? lower
                                                                                                            : '-');
    }
    while (!name.empty() && std::isalpha(static_cast<unsigned char>(name.front())) == 0) name.erase(0, 1);
    return name.substr(0, 40);
}

Subnet around(Ipv4 address) { return {Ipv4{address.value & 0xFFFFFF00U}, 24}; }

struct SkeletonZone {
    std::string name, interface;
    Subnet subnet;
    bool guessed = false;  // no rule says what is behind it
    Ipv4 gateway() const { return Ipv4{subnet.network.value + 1}; }
};

class Skeleton {
public:
    Skeleton(const Ruleset& ruleset, const std::map<std::string, std::string, std::less<>>& names)
        : site_{site_of(ruleset)}, names_{names} {}

    std::string text(const std::string& file) {
        zones();
        hosts();
        std::string out = "# Made by `wmlab init` from " + file +
                          ": what its rules name. Look through it, and say what shall work.\nversion: 1\nname: " +
                          as_name(file_stem(file)) + "\nzones:\n";
        for (const auto& zone : zones_)
            out += "  " + zone.name + ": { subnet: " + zone.subnet.text() + ", interface: " + zone.interface + " }" +
                   (zone.guessed ? "  # no rule says which network this is" : "") + "\n";
        out += "hosts:\n" + hosts_text_;
        std::string further;
        for (const auto& [name, interface] : site_.interfaces)
            if (std::ranges::find(zones_, name, &SkeletonZone::interface) == zones_.end() &&
                name.find('*') == std::string::npos)
                further += (further.empty() ? "" : ", ") + name;
        out += "firewall:\n  ruleset: " + quoted(file) + "\n";
        if (!further.empty()) out += "  interfaces: [" + further + "]  # that no zone of the test is behind\n";
        out += "  # sysctls: gateway.sysctl      # what `sysctl -a` prints there\n  # default_route: " +
               zones_.back().name + "\n";
        out +=
            "content:\n  lecture: { synthetic: audio, bitrate: 64k }\ndefaults: { deadline: 3s, play: 1s, content: lecture }\nflows:\n";
        out += "  - { id: unicast-tcp, type: mms-tcp, from: " + player_ + ", to: " + server_ + " }\n";
        for (const auto* flow :
             {"unicast-udp, type: mms-udp, from: P, to: S", "web, type: http, from: P, to: S, port: 80",
              "rollover, type: mms-auto, from: P, to: S",
              "feed, type: msbd, from: P, to: S, source: server, port: 7007",
              "webfeed, type: http-distribution, from: P, to: S, source: server",
              "station, type: multicast, from: S, to: [P], group: 239.1.2.3, port: 8080",
              "admin, type: dcom, from: P, to: S, processes: 3, reserved_ports: 3001-3010",
              "alias, type: encoder-alias, from: P, to: S, alias: lecture, msbd_port: 7007, reserved_ports: 3001-3010",
              "no-telnet, type: probe, from: P, to: S, protocol: tcp, ports: 23, expect: blocked"}) {
            std::string line = flow;
            for (const auto& [sign, host] :
                 {std::pair{std::string{": P"}, player_}, std::pair{std::string{": S"}, server_},
                  std::pair{std::string{"[P]"}, "[" + player_ + "]"}})
                if (const auto at = line.find(sign); at != std::string::npos)
                    line.replace(at, sign.size(), (sign[0] == ':' ? ": " : "") + host);
            out += "  # - { id: " + line + " }\n";
        }
        return out;
    }

private:
    static std::string file_stem(const std::string& file) {
        const auto slash = file.rfind('/');
        const auto name = slash == std::string::npos ? file : file.substr(slash + 1);
        return name.substr(0, name.find('.'));
    }
    static std::string quoted(const std::string& text) {
        const bool plain = std::ranges::all_of(text, [](char c) {
            return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '/' || c == '.' || c == '_' || c == '-';
        });
        return plain ? text : "\"" + text + "\"";
    }
    bool taken(const Subnet& subnet) const {
        return std::ranges::any_of(zones_, [&](const SkeletonZone& zone) { return overlap(zone.subnet, subnet); });
    }
    void add_zone(std::string name, const std::string& interface, const Subnet& subnet, bool guessed) {
        name = as_name(name);
        if (name.empty() || name == "firewall") name = "zone";
        const auto base = name;
        for (int n = 2; std::ranges::find(zones_, name, &SkeletonZone::name) != zones_.end(); ++n)
            name = base + std::to_string(n);
        zones_.push_back({name, interface, subnet, guessed});
    }
    Subnet unused() const {
        for (const std::uint32_t value : {0xC6336400U, 0xCB007100U, 0xC0000200U})  // RFC 5737
            if (const Subnet subnet{Ipv4{value}, 24}; !taken(subnet)) return subnet;
        for (std::uint32_t third = 0;; ++third)
            if (const Subnet subnet{Ipv4{0xC6120000U + (third << 8)}, 24}; !taken(subnet)) return subnet;
    }

    void zones() {
        std::vector<std::string> later;
        for (const auto& [name, interface] : site_.interfaces) {
            if (name.find('*') != std::string::npos || name.size() > 15 || zones_.size() == 16) continue;
            std::optional<Subnet> best;
            unsigned most = 0;
            for (const auto& [network, times] : interface.behind) {
                if (network.prefix < 8 || (network.prefix > 30 && network.prefix != 32)) continue;
                const auto subnet = network.prefix == 32 ? around(network.network) : network;
                const auto weight = times * (network.prefix == 32 ? 1U : 4U) * (is_private(network.network) ? 2U : 1U);
                const auto first = network.network.value >> 24;
                if (weight <= most || taken(subnet) || first == 0 || first == 127 || first >= 224) continue;
                most = weight, best = subnet;
            }
            if (best && !interface.hides)
                add_zone(name, name, *best, false);
            else
                later.push_back(name);
        }
        for (const auto& name : later) {
            const auto& interface = site_.interfaces.at(name);
            std::optional<Subnet> outer;  // the gateway's own public address lies in it
            if (interface.hides)
                for (const auto& [address, leads_to] : site_.published)
                    if (!taken(around(address)) && !outer) outer = around(address);
            add_zone(interface.hides ? "outside" : name, name, outer.value_or(unused()), true);
        }
        // Networks that no interface is named with.
        for (const auto& [network, times] : site_.networks) {
            if (zones_.size() >= 2) break;
            const auto subnet = network.prefix == 32 ? around(network.network) : network;
            if (!is_private(network.network) || subnet.prefix < 8 || subnet.prefix > 30 || taken(subnet)) continue;
            add_zone(zones_.empty() ? "inside" : "zone",
                     zones_.empty() ? "inside" : "zone" + std::to_string(zones_.size()), subnet, false);
        }
        while (zones_.size() < 2)
            add_zone(zones_.empty() ? "inside" : "outside", zones_.empty() ? "inside" : "outside", unused(), true);
        std::ranges::stable_sort(zones_, {}, &SkeletonZone::guessed);
    }

    void hosts() {
        std::map<Ipv4, std::string> chosen;
        std::set<std::string> used{"localhost", "firewall"};
        const auto name_for = [&](Ipv4 address, const std::string& otherwise) {
            const auto known = names_.find(address.text());
            auto name = as_name(known == names_.end() ? otherwise : known->second);
            if (name.empty()) name = "host";
            const auto base = name;
            for (int n = 2; !used.insert(name).second; ++n) name = base + std::to_string(n);
            return name;
        };
        const auto zone_of = [&](Ipv4 address) {
            return std::ranges::find_if(zones_,
                                        [&](const SkeletonZone& zone) { return zone.subnet.contains(address); });
        };
        const auto add = [&](Ipv4 address, std::string name) {
            const auto zone = zone_of(address);
            if (zone == zones_.end() || address == zone->gateway() || address == zone->subnet.network ||
                address == zone->subnet.broadcast() || chosen.contains(address) || chosen.size() == hosts_max)
                return;
            if (name.empty()) {
                name = "h" + address.text();
                std::ranges::replace(name, '.', '-');
            }
            name = name_for(address, name);
            chosen[address] = name;
            std::string outer;
            for (const auto& [published, leads_to] : site_.published)
                if (leads_to == address && outer.empty()) outer = published.text();
            hosts_text_ += "  " + name + ": { zone: " + zone->name + ", address: " + address.text() +
                           (outer.empty() ? "" : ", published: " + outer) + " }\n";
            if (server_.empty() && (!outer.empty() || site_.published.empty()))
                server_ = name, server_zone_ = zone->name;
        };
        for (const auto& [published, leads_to] : site_.published) add(leads_to, {});
        for (const auto& [network, times] : site_.networks)
            if (network.prefix == 32 && !site_.published.contains(network.network)) add(network.network, {});
        if (server_.empty()) add(Ipv4{zones_.front().subnet.network.value + 10}, "media");
        if (server_.empty() && !chosen.empty()) {
            server_ = chosen.begin()->second;
            server_zone_ = zone_of(chosen.begin()->first)->name;
        }
        auto other = std::ranges::find_if(zones_.rbegin(), zones_.rend(),
                                          [&](const SkeletonZone& zone) { return zone.name != server_zone_; });
        if (const auto hiding = std::ranges::find_if(zones_.rbegin(), zones_.rend(),
                                                     [&](const SkeletonZone& zone) {
                                                         const auto found = site_.interfaces.find(zone.interface);
                                                         return zone.name != server_zone_ &&
                                                                found != site_.interfaces.end() && found->second.hides;
                                                     });
            hiding != zones_.rend())
            other = hiding;
        const auto& outside = other == zones_.rend() ? zones_.back() : *other;
        for (std::uint32_t last = 10; player_.empty() && last < 250; ++last) {
            const Ipv4 address{outside.subnet.network.value + last};
            if (chosen.contains(address) || site_.published.contains(address) || !outside.subnet.contains(address))
                continue;
            add(address, "player");
            player_ = chosen.contains(address) ? chosen[address] : std::string{};
        }
        if (player_.empty()) player_ = server_;
    }

    Site site_;
    const std::map<std::string, std::string, std::less<>>& names_;
    std::vector<SkeletonZone> zones_;
    std::string hosts_text_, server_, server_zone_, player_;
};

}  // namespace

std::string skeleton(const Ruleset& ruleset, const std::string& file,
                     const std::map<std::string, std::string, std::less<>>& names) {
    return Skeleton{ruleset, names}.text(file);
}

}  // namespace wmlab::lab::rules
