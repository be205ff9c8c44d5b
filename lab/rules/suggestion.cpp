#include "lab/rules/suggestion.hpp"

#include <algorithm>
#include <sstream>

namespace wmlab::lab::rules {
namespace {

std::string listed(const std::vector<std::string>& words) {
    if (words.size() == 1) return words[0];
    std::string text = "{ ";
    for (std::size_t i = 0; i < words.size(); ++i) text += (i > 0 ? ", " : "") + words[i];
    return text + " }";
}

std::string named(const AcceptRule::Names& names, const std::string& value, const std::string& otherwise) {
    const auto found = names.find(value);
    return found == names.end() ? otherwise : found->second;
}

std::vector<std::string> words_of_ports(const scenario::PortList& ports) {
    std::vector<std::string> words;
    for (const auto& range : ports) words.push_back(range.text());
    return words;
}

std::string nft_text(const AcceptRule& rule, const AcceptRule::Names& names) {
    const auto addresses = [&](const std::vector<scenario::Subnet>& list) {
        std::vector<std::string> words;
        for (const auto& net : list) {
            const auto text = net.prefix == 32 ? net.network.text() : net.text();
            words.push_back(named(names, text, text));
        }
        return listed(words);
    };
    std::string text;
    if (!rule.in.empty()) text += "iifname " + named(names, rule.in, '"' + rule.in + '"') + " ";
    if (!rule.out.empty()) text += "oifname " + named(names, rule.out, '"' + rule.out + '"') + " ";
    if (!rule.sources.empty()) text += "ip saddr " + addresses(rule.sources) + " ";
    if (!rule.destinations.empty()) text += "ip daddr " + addresses(rule.destinations) + " ";
    if (rule.ports.empty())
        text += "meta l4proto " + rule.protocol;
    else
        text += rule.protocol + (rule.answers ? " sport " : " dport ") + listed(words_of_ports(rule.ports));
    return text + " accept";
}

std::string iptables_text(const AcceptRule& rule, std::string_view chain, const scenario::PortList& ports) {
    const auto addresses = [](const std::vector<scenario::Subnet>& list) {
        std::string text;
        for (const auto& net : list) text += (text.empty() ? "" : ",") + net.text();
        return text;
    };
    std::string text = "-A " + std::string{chain};
    if (!rule.in.empty()) text += " -i " + rule.in;
    if (!rule.out.empty()) text += " -o " + rule.out;
    if (!rule.sources.empty()) text += " -s " + addresses(rule.sources);
    if (!rule.destinations.empty()) text += " -d " + addresses(rule.destinations);
    text += " -p " + rule.protocol;
    if (!ports.empty()) {
        const std::string port = rule.answers ? "sport" : "dport";
        text += ports.size() == 1 ? " -m " + rule.protocol + " --" + port + " " : " -m multiport --" + port + "s ";
        std::string list;
        for (const auto& range : ports) {
            if (!list.empty()) list += ",";
            list += std::to_string(range.first);
            if (range.last != range.first) list += ":" + std::to_string(range.last);
        }
        text += list;
    }
    return text + " -j ACCEPT";
}

std::vector<std::string> split_words(const std::string& text) {
    std::istringstream in{text};
    std::vector<std::string> words;
    for (std::string word; in >> word;) words.push_back(word);
    return words;
}

// "10.20.0.10/32,10.20.0.11/32" or "{ 10.20.0.10, 10.20.0.11 }" from the word at `i` on, which is left on the last one.
std::vector<std::string> list_at(const std::vector<std::string>& words, std::size_t& i) {
    std::string all;
    if (i < words.size() && words[i] == "{") {
        while (++i < words.size() && words[i] != "}") all += words[i];
    } else if (i < words.size()) {
        all = words[i];
    }
    std::vector<std::string> parts;
    std::istringstream in{all};
    for (std::string part; std::getline(in, part, ',');) parts.push_back(part);
    return parts;
}

bool add_addresses(const std::vector<std::string>& parts, std::vector<scenario::Subnet>& into) {
    for (const auto& part : parts) {
        const auto net = scenario::Subnet::from(part.find('/') == std::string::npos ? part + "/32" : part);
        if (!net) return false;
        into.push_back(*net);
    }
    return !parts.empty();
}

bool add_ports(std::vector<std::string> parts, scenario::PortList& into) {
    for (auto& part : parts) {
        std::ranges::replace(part, ':', '-');
        const auto range = scenario::PortRange::from(part);
        if (!range) return false;
        into.push_back(*range);
    }
    return !parts.empty();
}

// Puts the values of two rules together that are equal in all else.
template <class List>
void join(List& list, const List& other) {
    list.insert(list.end(), other.begin(), other.end());
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
}

// A set takes no network beside one of its addresses.
void join_nets(std::vector<scenario::Subnet>& list, const std::vector<scenario::Subnet>& other) {
    join(list, other);
    std::erase_if(list, [all = list](const scenario::Subnet& net) {
        return std::ranges::any_of(all, [&](const scenario::Subnet& wide) { return wide.prefix < net.prefix && wide.contains(net.network); });
    });
}

void join_ports(scenario::PortList& list, const scenario::PortList& other) {
    join(list, other);
    scenario::PortList out;
    for (const auto& range : list) {
        if (!out.empty() && range.first <= unsigned{out.back().last} + 1)
            out.back().last = std::max(out.back().last, range.last);
        else
            out.push_back(range);
    }
    list = std::move(out);
}

}  // namespace

std::vector<scenario::PortList> multiport_parts(const scenario::PortList& ports) {
    std::vector<scenario::PortList> parts;
    std::size_t used = multiport_max;
    for (const auto& range : ports) {
        const std::size_t cost = range.first == range.last ? 1 : 2;
        if (used + cost > multiport_max) parts.emplace_back(), used = 0;
        parts.back().push_back(range);
        used += cost;
    }
    if (parts.empty()) parts.emplace_back();
    return parts;
}

std::vector<std::string> AcceptRule::text(Dialect dialect, std::string_view chain, const Names& names) const {
    if (dialect == Dialect::nft) return {nft_text(*this, names)};
    std::vector<std::string> lines;
    for (const auto& part : multiport_parts(ports)) lines.push_back(iptables_text(*this, chain, part));
    return lines;
}

std::optional<AcceptRule> AcceptRule::from(const std::string& text, Dialect dialect) {
    const auto words = split_words(text);
    const bool nft = dialect == Dialect::nft;
    AcceptRule rule;
    bool accepts = false;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        const auto next = [&] { return i + 1 < words.size() ? words[++i] : std::string{}; };
        bool good = true;
        if (nft && (word == "iifname" || word == "oifname")) {
            auto name = next();
            std::erase(name, '"');
            (word == "iifname" ? rule.in : rule.out) = name;
        } else if (nft && word == "ip") {
            const bool source = next() == "saddr";
            good = source || words[i] == "daddr";
            good = good && add_addresses(list_at(words, ++i), source ? rule.sources : rule.destinations);
        } else if (nft && (word == "tcp" || word == "udp")) {
            rule.protocol = word;
            rule.answers = next() == "sport";
            good = (rule.answers || words[i] == "dport") && add_ports(list_at(words, ++i), rule.ports);
        } else if (nft && word == "meta") {
            good = next() == "l4proto";
            rule.protocol = next();
        } else if (nft && word == "accept") {
            accepts = true;
        } else if (!nft && word == "-A") {
            next();
        } else if (!nft && (word == "-i" || word == "-o")) {
            (word == "-i" ? rule.in : rule.out) = next();
        } else if (!nft && (word == "-s" || word == "-d")) {
            good = add_addresses(list_at(words, ++i), word == "-s" ? rule.sources : rule.destinations);
        } else if (!nft && word == "-p") {
            rule.protocol = next();
        } else if (!nft && word == "-m") {
            const auto match = next();
            good = match == "multiport" || match == rule.protocol;
        } else if (!nft && (word == "--dport" || word == "--dports" || word == "--sport" || word == "--sports")) {
            rule.answers = word.starts_with("--s");
            good = add_ports(list_at(words, ++i), rule.ports);
        } else if (!nft && word == "-j") {
            accepts = next() == "ACCEPT";
        } else {
            good = false;
        }
        if (!good) return std::nullopt;
    }
    if (!accepts || rule.protocol.empty() || rule.protocol == "igmp") return std::nullopt;
    // In whatever order a file has them.
    join(rule.sources, {}), join(rule.destinations, {});
    join_ports(rule.ports, {});
    return rule;
}

bool AcceptRule::covers(const AcceptRule& other) const {
    // An empty list is everything.
    const auto holds = [](const auto& all, const auto& parts, const auto& within) {
        return all.empty() || (!parts.empty() && std::ranges::all_of(parts, [&](const auto& part) {
                   return std::ranges::any_of(all, [&](const auto& one) { return within(part, one); });
               }));
    };
    const auto in_net = [](const scenario::Subnet& part, const scenario::Subnet& net) { return net.prefix <= part.prefix && net.contains(part.network); };
    const auto in_range = [](const scenario::PortRange& part, const scenario::PortRange& range) {
        return range.first <= part.first && part.last <= range.last;
    };
    return (in.empty() || in == other.in) && (out.empty() || out == other.out) && protocol == other.protocol && (answers == other.answers || ports.empty()) &&
           holds(sources, other.sources, in_net) && holds(destinations, other.destinations, in_net) && holds(ports, other.ports, in_range);
}

std::vector<AcceptRule> merged(std::vector<AcceptRule> rules) {
    const auto pass = [&](auto same, auto put) {
        for (std::size_t i = 0; i < rules.size(); ++i)
            for (auto j = i + 1; j < rules.size();) {
                if (!same(rules[i], rules[j])) {
                    ++j;
                    continue;
                }
                put(rules[i], rules[j]);
                rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(j));
            }
    };
    const auto alike = [](const AcceptRule& a, const AcceptRule& b) {
        return a.in == b.in && a.out == b.out && a.protocol == b.protocol && a.answers == b.answers;
    };
    for (auto count = rules.size() + 1; rules.size() < count;) {
        count = rules.size();
        pass(
            [&](const AcceptRule& a, const AcceptRule& b) {
                return alike(a, b) && a.sources == b.sources && a.destinations == b.destinations &&
                       a.ports.empty() == b.ports.empty();
            },
            [](AcceptRule& a, const AcceptRule& b) { join_ports(a.ports, b.ports); });
        pass(
            [&](const AcceptRule& a, const AcceptRule& b) {
                return alike(a, b) && a.destinations == b.destinations && a.ports == b.ports &&
                       a.sources.empty() == b.sources.empty();
            },
            [](AcceptRule& a, const AcceptRule& b) { join_nets(a.sources, b.sources); });
        pass(
            [&](const AcceptRule& a, const AcceptRule& b) {
                return alike(a, b) && a.sources == b.sources && a.ports == b.ports &&
                       a.destinations.empty() == b.destinations.empty();
            },
            [](AcceptRule& a, const AcceptRule& b) { join_nets(a.destinations, b.destinations); });
    }
    return rules;
}

AcceptRule::Names names_in(const std::string& text, unsigned line) {
    AcceptRule::Names names;
    std::istringstream lines{text};
    std::string each;
    for (unsigned number = 1; number < line && std::getline(lines, each); ++number) {
        if (!each.starts_with("define ")) continue;
        const auto words = split_words(each.substr(0, each.find('#')));
        if (words.size() != 4 || words[2] != "=") continue;
        auto value = words[3];
        std::erase(value, '"');
        if (value.find_first_of("{}$/,@;") == std::string::npos) names.try_emplace(value, "$" + words[1]);
    }
    return names;
}

std::string accept_rule(const scenario::Leg& leg, Dialect dialect, std::string_view chain, bool answers,
                        const std::string& in, const std::string& out, const std::optional<AnyoneAs>& anyone) {
    auto source = leg.source_address, destination = leg.destination_address;
    if (answers) std::swap(source, destination);
    // IGMP goes to the group or, from version 3 on, to all routers.
    if (leg.protocol == scenario::Protocol::igmp) {
        return dialect == Dialect::nft ? "ip saddr " + source.text() + " ip protocol igmp accept"
                                       : "-A " + std::string{chain} + " -s " + source.text() + "/32 -p igmp -j ACCEPT";
    }
    AcceptRule rule{in, out, {{source, 32}}, {{destination, 32}}, std::string{scenario::text(leg.protocol)}, answers, leg.destination_ports};
    const auto widen = [&](scenario::Ipv4 address, std::vector<scenario::Subnet>& nets, std::string& interface, const std::string& of_zone) {
        if (!anyone || address != anyone->address) return;
        nets = {anyone->net};
        if (anyone->net.prefix > 0) return;
        nets.clear();
        if (interface.empty()) interface = of_zone;
    };
    if (anyone) {
        widen(source, rule.sources, rule.in, anyone->in);
        widen(destination, rule.destinations, rule.out, anyone->out);
    }
    return dialect == Dialect::nft ? nft_text(rule, {}) : iptables_text(rule, chain, rule.ports);
}

std::string dnat_rule(scenario::Ipv4 published, scenario::Ipv4 address, std::string_view protocol, const scenario::PortList& ports, Dialect dialect,
                      const std::string& chain, const std::string& in, std::optional<scenario::Subnet> source) {
    AcceptRule rule{in, {}, {}, {{published, 32}}, std::string{protocol}, false, ports};
    if (source) rule.sources = {*source};
    if (dialect == Dialect::nft) {
        auto text = nft_text(rule, {});
        text.resize(text.size() - std::string_view{"accept"}.size());
        return text + (chain.starts_with("inet ") ? "dnat ip to " : "dnat to ") + address.text();
    }
    auto text = iptables_text(rule, chain.substr(chain.rfind(' ') + 1), ports);
    text.resize(text.size() - std::string_view{"ACCEPT"}.size());
    return text + "DNAT --to-destination " + address.text();
}

std::string section_of(const std::vector<std::string>& rules, Dialect dialect, const std::string& chain) {
    std::string text;
    if (dialect == Dialect::iptables) {
        text = "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n";
        for (const auto& rule : rules) text += rule + "\n";
        return text + "COMMIT";
    }
    const auto name = chain.rfind(' ');
    text = "table " + chain.substr(0, name) + " {\n    chain " + chain.substr(name + 1) +
           " {\n        type nat hook prerouting priority dstnat; policy accept;\n";
    for (const auto& rule : rules) text += "        " + rule + "\n";
    return text + "    }\n}";
}

std::string as_command(const std::string& rule, Dialect dialect, const std::string& chain, std::string_view command) {
    if (command.empty()) return rule;
    if (command == "section") return section_of({rule}, dialect, chain);
    const auto blank = command.find(' ');
    const auto number = blank == std::string_view::npos ? std::string{} : std::string{command.substr(blank + 1)};
    if (dialect == Dialect::nft)
        return std::string{command.substr(0, blank)} + " rule " + chain +
               (number.empty() ? " " : " index " + number + " ") + rule;
    if (!command.starts_with("insert") || !rule.starts_with("-A ")) return rule;
    const auto name_end = rule.find(' ', 3);
    return "-I " + rule.substr(3, name_end - 3) + (number.empty() ? "" : " " + number) + rule.substr(name_end);
}

std::string accept_answers(Dialect dialect, std::string_view chain) {
    return dialect == Dialect::nft
               ? "ct state established,related accept"
               : "-A " + std::string{chain} + " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
}

}  // namespace wmlab::lab::rules
