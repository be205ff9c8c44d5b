#include "lab/rules/decision_log.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <set>
#include <span>

#include "common/evidence/journal.hpp"
#include "lab/rules/deciders.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/near_miss.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/placing.hpp"
#include "lab/rules/reach.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;
using evidence::What;
namespace {

std::string endpoint(scenario::Ipv4 address, std::uint16_t port) {
    return port == 0 ? address.text() : address.text() + ":" + std::to_string(port);
}

std::string tuple(const Packet& packet) {
    return packet.protocol + " " + endpoint(packet.source, packet.source_port) + " " +
           endpoint(packet.destination, packet.destination_port);
}

bool reset(const Packet& packet) {
    constexpr std::uint8_t rst = 0x04;
    return packet.protocol == "tcp" && (packet.tcp_flags & rst) != 0;
}

// "4711:9af03c21 ...": IP id and TCP sequence, hexadecimal, as a `wire` event lists packets.
std::string packets_listed(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& packets) {
    std::string text;
    for (const auto& [id, sequence] : packets) {
        std::array<char, 16> digits;
        const auto put = [&](std::uint32_t number) {
            text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr);
        };
        if (!text.empty()) text += ' ';
        put(id);
        text += ':';
        put(sequence);
    }
    return text;
}

std::string_view fate_name(Decision::Fate fate) {
    switch (fate) {
        case Decision::Fate::dropped:
            return "dropped";
        case Decision::Fate::forwarded:
            return "forwarded";
        default:
            return "unfinished";
    }
}

json::object rule_json(const Place& place, const ChainName& chain) {
    return {{"file", place.file}, {"line", place.line}, {"text", place.text}, {"chain", chain.text()}};
}

json::object rule_json(const Rule& rule) {
    if (rule.place) return rule_json(*rule.place, rule.chain);
    return {{"file", ""}, {"line", 0}, {"text", rule.text}, {"chain", rule.chain.text()}};
}

json::object policy_json(const Ruleset& ruleset, const ChainName& name) {
    const auto* chain = ruleset.chain(name);
    if (chain && chain->policy) return rule_json(*chain->policy, name);
    return {{"file", ""},
            {"line", 0},
            {"text", chain && chain->policy_drop ? "policy drop" : "policy accept"},
            {"chain", name.text()}};
}

// By which rule the packet came to the chain of the one that decided, where others lead there too.
std::string way_to(const Ruleset& ruleset, const Decision& decision, const Rule& rule) {
    const auto* chain = ruleset.chain(rule.chain);
    if (!chain || !chain->hook.empty()) return {};
    for (auto it = decision.steps.rbegin(); it != decision.steps.rend(); ++it) {
        if (it->target != rule.chain.chain || it->chain.table != rule.chain.table) continue;
        const auto* jump = rule_of(ruleset, decision, *it);
        if (jump && jump->place) return jump->place->file + ":" + std::to_string(jump->place->line);
    }
    return {};
}

// Whether any rule makes the kernel track connections.
bool asks_state(const Ruleset& ruleset) {
    return std::ranges::any_of(ruleset.chains(), [](const auto& entry) { return entry.second.type == "nat"; }) ||
           std::ranges::any_of(ruleset.rules(), [](const Rule& rule) {
               bool asks = false;
               each_member(rule.expr, [&](std::string_view key, const json::value& value) {
                   const auto* body = value.if_object();
                   asks = asks || key == "ct" || key == "notrack" ||
                          (key == "xt" && body != nullptr && one_of(text_at(*body, "name"), {"conntrack", "state", "CT", "connlimit"}));
               });
               return asks;
           });
}

// Where the rules of a chain name interfaces, so does one that is put among them.
void name_interfaces(const Ruleset& ruleset, const Packet& packet, const Chain* base, json::object& before) {
    bool in = false, out = false;
    for (const auto& rule : ruleset.rules()) {
        if (rule.chain.text() != text_at(before, "chain")) continue;
        each_member(rule.expr, [&](std::string_view key, const json::value& value) {
            const auto* body = key == "meta" ? value.if_object() : nullptr;
            if (body == nullptr) return;
            in = in || one_of(text_at(*body, "key"), {"iifname", "iif"});
            out = out || one_of(text_at(*body, "key"), {"oifname", "oif"});
        });
    }
    const std::string_view hook = base != nullptr ? std::string_view{base->hook} : std::string_view{};
    if (!hook.empty()) before["hook"] = hook;
    if (in && (hook == "forward" || hook == "input" || hook == "prerouting")) before["in"] = packet.in;
    if (out && (hook == "forward" || hook == "postrouting")) before["out"] = packet.out;
}

// Connection tracking comes at the priority -200 of the hooks prerouting and output.
bool before_tracking(const Chain& chain) {
    constexpr int tracking = -200;
    return chain.hook == "ingress" || chain.hook == "egress" ||
           ((chain.hook == "prerouting" || chain.hook == "output") && chain.priority <= tracking);
}

}  // namespace

void DecisionLog::add(const Decision& decision) {
    auto key = tuple(decision.arrived);
    if (decision.complete)
        key += " " + std::string{fate_name(decision.fate)} + " " + decision.chain.text() + " " +
               std::to_string(decision.handle) + " " + decision.packet.out + (decision.own ? " own" : "") +
               (reset(decision.arrived) ? " reset" : "") + (decision.later_fragment ? " fragment" : "");
    else
        key += " doubtful";
    const auto now = evidence::Clock::system().monotonic();
    const std::scoped_lock lock{mutex_};
    if (wave_ != 0) key += " " + std::to_string(wave_);
    auto& row = rows_[key];
    if (row.packets++ == 0) row.decision = decision, row.first = now, row.wave = wave_;
    row.last = now;
    constexpr std::size_t listed_max = 200'000;  // of all rows together
    if (decision.fate == Decision::Fate::dropped && listed_ < listed_max) {
        row.each.emplace_back(decision.ip_id, decision.sequence);
        ++listed_;
    }
    if (!decision.complete) return;
    for (const auto& step : decision.steps) {
        if (step.handle == 0) continue;
        ++hits_[{step.chain, step.handle}];
        row.matched.emplace(step.chain, step.handle);
    }
}

void DecisionLog::begin_wave(std::size_t wave) {
    const std::scoped_lock lock{mutex_};
    wave_ = wave;
}

std::vector<Event> DecisionLog::take(const Ruleset& ruleset, bool every_rule, const Counted* counted) {
    std::map<std::string, Row> rows;
    Hits hits;
    {
        const std::scoped_lock lock{mutex_};
        rows.swap(rows_);
        hits.swap(hits_);
    }
    std::vector<Event> events;
    std::map<std::pair<ChainName, std::uint64_t>, std::size_t> index;
    if (every_rule) {
        json::array list;
        for (const auto& rule : ruleset.rules()) {
            index[{rule.chain, rule.handle}] = list.size();
            auto entry = rule_json(rule);
            const auto hit = hits.find({rule.chain, rule.handle});
            entry["packets"] = hit == hits.end() ? 0 : hit->second;
            list.push_back(std::move(entry));
        }
        Event event;
        event.event = What::trace;
        event.fields["rules"] = std::move(list);
        events.push_back(std::move(event));
    }
    std::set<std::string> known;  // packets the trace tells of, and those that came to the firewall
    const auto in_wave = [](const Packet& packet, std::int64_t wave) { return std::to_string(wave) + " " + tuple(packet); };
    for (const auto& [key, row] : rows) known.insert(in_wave(row.decision.arrived, static_cast<std::int64_t>(row.wave)));
    auto came = known;
    const auto arrivals = counted ? std::span<const Packet>{counted->arrivals} : std::span<const Packet>{};
    for (const auto& packet : arrivals) came.insert(in_wave(packet, packet.wave));
    const auto explain = [&](Packet packet, json::object& fields) {
        const bool answered = came.contains(in_wave(packet.reversed(), packet.wave));
        if (packet.protocol == "udp" && !answered) packet.ct_state = "new";
        if (const auto* rule = by_counters(ruleset, counted->ruleset, packet))
            fields["rule"] = rule_json(*rule), fields["by"] = "counters";
    };
    const bool asks = asks_state(ruleset);
    auto places = general_places(ruleset);
    for (auto& [what, place] : places) {
        const auto chain = text_at(place.get_object(), "chain");
        const Chain* base = nullptr;
        for (const auto& [name, each] : ruleset.chains())
            if (name.text() == chain) base = &each;
        Packet any;
        any.in = any.out = "yes";
        name_interfaces(ruleset, any, base, place.get_object());
    }
    std::map<std::uint32_t, std::string> ways_out;  // by destination
    for (const auto& [key, row] : rows)
        if (row.decision.complete && !row.decision.packet.out.empty())
            ways_out[row.decision.arrived.destination.value] = row.decision.packet.out;
    for (const auto& [key, row] : rows) {
        const auto& decision = row.decision;
        Event event;
        event.event = What::trace;
        event.monotonic = row.first;
        auto& f = event.fields;
        f["fate"] = decision.complete ? fate_name(decision.fate) : "unknown";
        f["protocol"] = decision.arrived.protocol;
        f["source"] = endpoint(decision.arrived.source, decision.arrived.source_port);
        f["destination"] = endpoint(decision.arrived.destination, decision.arrived.destination_port);
        f["in"] = decision.packet.in;
        f["out"] = decision.packet.out;
        if (!decision.packet.ct_state.empty()) f["state"] = decision.packet.ct_state;
        f["packets"] = row.packets;
        if (row.wave != 0) f["wave"] = row.wave;
        if (decision.later_fragment) f["fragment"] = true;
        if (row.each.size() == row.packets) f["each"] = packets_listed(row.each);
        f["first"] = row.first.count();
        f["last"] = row.last.count();
        if (decision.own) f["own"] = true;
        if (reset(decision.arrived)) f["reset"] = true;
        if (!decision.complete) {
            if (const auto way = ways_out.find(decision.arrived.destination.value); way != ways_out.end() && counted) {
                auto packet = decision.arrived;
                packet.out = way->second;
                packet.wave = static_cast<std::int64_t>(row.wave);
                explain(std::move(packet), f);
            }
            events.push_back(std::move(event));
            continue;
        }
        Decision::Step decider{decision.chain, decision.handle, false, {}, {}};
        if (decision.fate == Decision::Fate::forwarded) {
            const auto* step = forwarding_step(ruleset, decision);
            decider = step ? *step : Decision::Step{};
        }
        const auto* rule = decider.handle != 0 ? rule_of(ruleset, decision, decider) : nullptr;
        const bool decided = decision.fate != Decision::Fate::unfinished;
        if (rule && decided && rule->chain == decider.chain &&
            contradicts(ruleset, *rule, decision, decision.fate == Decision::Fate::forwarded)) {
            rule = nullptr;
            f["contradicted"] = true;
        }
        if (rule) {
            f["rule"] = rule_json(*rule);
            if (const auto via = way_to(ruleset, decision, *rule); !via.empty()) f["rule"].as_object()["via"] = via;
        }
        if (!rule && !decider.chain.chain.empty() && decider.handle == 0)
            f["rule"] = policy_json(ruleset, decider.chain), f["policy"] = true;
        if (every_rule) {
            json::array steps;
            const auto effective = effective_steps(ruleset, decision);
            for (std::size_t i = 0; i < effective.size(); ++i) {
                const auto& step = decision.steps[i];
                if (effective[i] && step.handle != 0 && ruleset.rule(step.chain, step.handle))
                    steps.push_back(index.at({step.chain, step.handle}));
            }
            f["steps"] = std::move(steps);
        }
        // What came to the firewall itself, or left for nowhere, may have wanted to be translated.
        const auto& out = decision.packet.out;
        if (!places.empty() && (out.empty() || out == "default-route" || out == decision.packet.in))
            f["places"] = places;
        f["dialect"] = ruleset.source().dialect == Dialect::iptables ? "iptables" : "nft";
        for (const auto& step : decision.steps) {
            const auto* of = ruleset.chain(step.chain);
            const auto* translating =
                of && of->type == "nat" && step.handle != 0 ? ruleset.rule(step.chain, step.handle) : nullptr;
            if (!translating) continue;
            const bool forth = of->hook == "prerouting" || of->hook == "output";
            f[forth ? "nat_destination" : "nat_source"] = rule_json(*translating);
        }
        json::array changing;
        for (const auto& [name, handle] : row.matched) {
            const auto* matched = ruleset.rule(name, handle);
            const auto what = matched == nullptr ? std::string{} : rules::changes(*matched);
            if (what.empty()) continue;
            auto entry = rule_json(*matched);
            entry["what"] = what;
            changing.push_back(std::move(entry));
        }
        if (!changing.empty()) f["changes"] = std::move(changing);
        const auto seen_source = endpoint(decision.packet.source, decision.packet.source_port);
        const auto seen_destination = endpoint(decision.packet.destination, decision.packet.destination_port);
        if (seen_source != endpoint(decision.arrived.source, decision.arrived.source_port) ||
            seen_destination != endpoint(decision.arrived.destination, decision.arrived.destination_port))
            f["as"] = json::object{{"source", seen_source}, {"destination", seen_destination}};
        if (!decision.own && !f.contains("as"))
            if (const auto miss = near_miss_of_translation(ruleset, decision.arrived)) {
                auto near = rule_json(*miss->rule);
                near["differs"] = miss->differs;
                f["nat_near_miss"] = std::move(near);
            }
        if (decision.fate == Decision::Fate::dropped) {
            auto before = stopping_place(ruleset, decision, rule);
            const auto* base = ruleset.chain(base_of(ruleset, decision));
            if (!before.empty()) name_interfaces(ruleset, decision.packet, base, before);
            if (!before.empty()) f["before"] = std::move(before);
            const auto& state = decision.packet.ct_state;
            if (asks) f["asks"] = true;
            f["general"] = decision.by_policy || !rule || catch_all(ruleset, *rule, decision.packet);
            f["tracks"] = base && !before_tracking(*base) && (state == "established" || state == "related" || !asks);
            if (decision.by_policy || (rule && stops_plainly(ruleset, *rule, decision.packet))) {
                const auto* stop = decision.by_policy ? nullptr : rule;
                const bool passing = stop && !catch_all(ruleset, *stop, decision.packet);
                if (const auto miss = near_miss(ruleset, base_of(ruleset, decision), decision.packet, stop, passing)) {
                    auto near = rule_json(*miss->rule);
                    near["differs"] = miss->differs;
                    f["near_miss"] = std::move(near);
                }
            }
        }
        events.push_back(std::move(event));
    }
    for (const auto& packet : arrivals) {
        if (!known.insert(in_wave(packet, packet.wave)).second) continue;
        Event event;
        event.event = What::trace;
        event.fields = {{"fate", "unknown"},
                        {"protocol", packet.protocol},
                        {"source", endpoint(packet.source, packet.source_port)},
                        {"destination", endpoint(packet.destination, packet.destination_port)},
                        {"in", packet.in},
                        {"out", packet.out}};
        if (packet.wave != 0) event.fields["wave"] = packet.wave;
        explain(packet, event.fields);
        if (event.fields.contains("rule")) events.push_back(std::move(event));
    }
    return events;
}

}  // namespace wmlab::lab::rules
