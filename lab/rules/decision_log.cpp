#include "lab/rules/decision_log.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <set>
#include <span>

#include "common/evidence/fields.hpp"
#include "common/evidence/journal.hpp"
#include "common/evidence/trace.hpp"
#include "lab/rules/deciders.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/near_miss.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/placing.hpp"
#include "lab/rules/reach.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;
using evidence::Fate;
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
        if (rule.chain.text() != text_field(before, field::chain)) continue;
        each_member(rule.expr, [&](std::string_view key, const json::value& value) {
            const auto* body = key == "meta" ? value.if_object() : nullptr;
            if (body == nullptr) return;
            in = in || one_of(text_at(*body, "key"), {"iifname", "iif"});
            out = out || one_of(text_at(*body, "key"), {"oifname", "oif"});
        });
    }
    const std::string_view hook = base != nullptr ? std::string_view{base->hook} : std::string_view{};
    if (!hook.empty()) before[field::hook] = hook;
    if (in && (hook == "forward" || hook == "input" || hook == "prerouting")) before[field::in] = packet.in;
    if (out && (hook == "forward" || hook == "postrouting")) before[field::out] = packet.out;
}

// Connection tracking comes at the priority -200 of the hooks prerouting and output.
bool before_tracking(const Chain& chain) {
    constexpr int tracking = -200;
    return chain.hook == "ingress" || chain.hook == "egress" ||
           ((chain.hook == "prerouting" || chain.hook == "output") && chain.priority <= tracking);
}

std::string in_wave(const Packet& packet, std::int64_t wave) { return std::to_string(wave) + " " + tuple(packet); }

// What was decided, as events of the journal.
class Telling {
public:
    Telling(const Ruleset& ruleset, const DecisionLog::Rows& rows, bool every_rule, const Counted* counted)
        : ruleset_{ruleset}, rows_{rows}, every_rule_{every_rule}, counted_{counted}, asks_{asks_state(ruleset)}, places_{general_places(ruleset)} {
        for (const auto& [key, row] : rows_) {
            const auto& decision = row.decision;
            traced_.insert(in_wave(decision.arrived, static_cast<std::int64_t>(row.wave)));
            if (decision.complete && !decision.packet.out.empty()) ways_out_[decision.arrived.destination.value] = decision.packet.out;
        }
        came_ = traced_;
        for (const auto& packet : arrivals()) came_.insert(in_wave(packet, packet.wave));
        name_interfaces_of_places();
    }

    std::vector<Event> events(const DecisionLog::Hits& hits) {
        std::vector<Event> all;
        if (every_rule_) all.push_back(rules_used(hits));
        for (const auto& [key, row] : rows_) all.push_back(event_of(row));
        for (const auto& packet : arrivals()) {
            if (!traced_.insert(in_wave(packet, packet.wave)).second) continue;
            auto event = event_of(packet);
            if (has_field(event, field::rule)) all.push_back(std::move(event));
        }
        return all;
    }

private:
    std::span<const Packet> arrivals() const { return counted_ ? std::span<const Packet>{counted_->arrivals} : std::span<const Packet>{}; }

    void name_interfaces_of_places() {
        Packet any;
        any.in = any.out = "yes";
        for (auto& [what, place] : places_) {
            const auto chain = text_field(place.get_object(), field::chain);
            const Chain* base = nullptr;
            for (const auto& [name, each] : ruleset_.chains())
                if (name.text() == chain) base = &each;
            name_interfaces(ruleset_, any, base, place.get_object());
        }
    }

    Event rules_used(const DecisionLog::Hits& hits) {
        json::array list;
        for (const auto& rule : ruleset_.rules()) {
            index_[{rule.chain, rule.handle}] = list.size();
            auto entry = rule_fields(rule);
            const auto hit = hits.find({rule.chain, rule.handle});
            entry[field::packets] = hit == hits.end() ? 0 : hit->second;
            list.push_back(std::move(entry));
        }
        return trace_event(field::rules, std::move(list));
    }

    static void tell_packet(const Packet& packet, const std::string& in, const std::string& out, json::object& f) {
        f[field::protocol] = packet.protocol;
        f[field::source] = endpoint(packet.source, packet.source_port);
        f[field::destination] = endpoint(packet.destination, packet.destination_port);
        f[field::in] = in;
        f[field::out] = out;
    }

    // Of a packet that came, and of which the trace does not tell.
    Event event_of(const Packet& packet) const {
        Event event;
        event.event = What::trace;
        event.fields[field::fate] = text(Fate::unknown);
        tell_packet(packet, packet.in, packet.out, event.fields);
        if (packet.wave != 0) event.fields[field::wave] = packet.wave;
        explain(packet, event.fields);
        return event;
    }

    // By the counters of rules.
    void explain(Packet packet, json::object& f) const {
        const bool answered = came_.contains(in_wave(packet.reversed(), packet.wave));
        if (packet.protocol == "udp" && !answered) packet.ct_state = "new";
        if (const auto* rule = by_counters(ruleset_, counted_->ruleset, packet)) f[field::rule] = rule_fields(*rule), f[field::by] = "counters";
    }

    Event event_of(const DecisionLog::Row& row) const {
        const auto& decision = row.decision;
        Event event;
        event.event = What::trace;
        event.monotonic = row.first;
        auto& f = event.fields;
        f[field::fate] = text(decision.complete ? decision.fate : Fate::unknown);
        tell_packet(decision.arrived, decision.packet.in, decision.packet.out, f);
        if (!decision.packet.ct_state.empty()) f[field::state] = decision.packet.ct_state;
        f[field::packets] = row.packets;
        if (row.wave != 0) f[field::wave] = row.wave;
        if (decision.later_fragment) f[field::fragment] = true;
        if (row.each.size() == row.packets) f[field::each] = packets_listed(row.each);
        f[field::first] = row.first.count();
        f[field::last] = row.last.count();
        if (decision.own) f[field::own] = true;
        if (reset(decision.arrived)) f[field::reset] = true;
        if (!decision.complete) {
            tell_by_counters(row, f);
            return event;
        }
        const auto* rule = tell_rule(decision, f);
        if (every_rule_) tell_steps(decision, f);
        // What came to the firewall itself, or left for nowhere, may have wanted to be translated.
        const auto& out = decision.packet.out;
        if (!places_.empty() && (out.empty() || out == "default-route" || out == decision.packet.in)) f[field::places] = places_;
        f[field::dialect] = ruleset_.source().dialect == Dialect::iptables ? "iptables" : "nft";
        tell_changes(row, f);
        if (decision.fate == Fate::dropped) tell_drop(decision, rule, f);
        return event;
    }

    void tell_by_counters(const DecisionLog::Row& row, json::object& f) const {
        const auto way = ways_out_.find(row.decision.arrived.destination.value);
        if (way == ways_out_.end() || !counted_) return;
        auto packet = row.decision.arrived;
        packet.out = way->second;
        packet.wave = static_cast<std::int64_t>(row.wave);
        explain(std::move(packet), f);
    }

    // The rule that decided, or the policy; returns the rule.
    const Rule* tell_rule(const Decision& decision, json::object& f) const {
        Decision::Step decider{decision.chain, decision.handle, false, {}, {}};
        if (decision.fate == Fate::forwarded) {
            const auto* step = forwarding_step(ruleset_, decision);
            decider = step ? *step : Decision::Step{};
        }
        const auto* rule = decider.handle != 0 ? rule_of(ruleset_, decision, decider) : nullptr;
        const bool decided = decision.fate != Fate::unfinished;
        if (rule && decided && rule->chain == decider.chain && contradicts(ruleset_, *rule, decision, decision.fate == Fate::forwarded)) {
            rule = nullptr;
            f[field::contradicted] = true;
        }
        if (rule) {
            auto told = rule_fields(*rule);
            if (const auto via = way_to(ruleset_, decision, *rule); !via.empty()) told[field::via] = via;
            f[field::rule] = std::move(told);
        }
        if (!rule && !decider.chain.chain.empty() && decider.handle == 0) f[field::rule] = policy_fields(ruleset_, decider.chain), f[field::policy] = true;
        return rule;
    }

    void tell_steps(const Decision& decision, json::object& f) const {
        json::array steps;
        const auto effective = effective_steps(ruleset_, decision);
        for (std::size_t i = 0; i < effective.size(); ++i) {
            const auto& step = decision.steps[i];
            if (effective[i] && step.handle != 0 && ruleset_.rule(step.chain, step.handle)) steps.push_back(index_.at({step.chain, step.handle}));
        }
        f[field::steps] = std::move(steps);
    }

    // The rules that wrote into the packets, and what their addresses became.
    void tell_changes(const DecisionLog::Row& row, json::object& f) const {
        const auto& decision = row.decision;
        for (const auto& step : decision.steps) {
            const auto* of = ruleset_.chain(step.chain);
            const auto* translating = of && of->type == "nat" && step.handle != 0 ? ruleset_.rule(step.chain, step.handle) : nullptr;
            if (!translating) continue;
            const bool forth = of->hook == "prerouting" || of->hook == "output";
            f[forth ? field::nat_destination : field::nat_source] = rule_fields(*translating);
        }
        json::array changing;
        for (const auto& [name, handle] : row.matched) {
            const auto* matched = ruleset_.rule(name, handle);
            const auto what = matched == nullptr ? std::nullopt : rules::changes(*matched);
            if (!what) continue;
            auto entry = rule_fields(*matched);
            entry[field::what] = text(*what);
            changing.push_back(std::move(entry));
        }
        if (!changing.empty()) f[field::changes] = std::move(changing);
        const auto seen_source = endpoint(decision.packet.source, decision.packet.source_port);
        const auto seen_destination = endpoint(decision.packet.destination, decision.packet.destination_port);
        if (seen_source != endpoint(decision.arrived.source, decision.arrived.source_port) ||
            seen_destination != endpoint(decision.arrived.destination, decision.arrived.destination_port))
            f[field::as] = json::object{{field::source, seen_source}, {field::destination, seen_destination}};
        else if (const auto miss = decision.own ? std::nullopt : near_miss_of_translation(ruleset_, decision.arrived))
            f[field::nat_near_miss] = near_fields(*miss);
    }
    static json::object near_fields(const NearMiss& miss) {
        auto fields = rule_fields(*miss.rule);
        fields[field::differs] = miss.differs;
        return fields;
    }

    void tell_drop(const Decision& decision, const Rule* rule, json::object& f) const {
        auto before = stopping_place(ruleset_, decision, rule);
        const auto* base = ruleset_.chain(base_of(ruleset_, decision));
        if (!before.empty()) name_interfaces(ruleset_, decision.packet, base, before);
        if (!before.empty()) f[field::before] = std::move(before);
        const auto& state = decision.packet.ct_state;
        if (asks_) f[field::asks] = true;
        f[field::general] = decision.by_policy || !rule || catch_all(ruleset_, *rule, decision.packet);
        f[field::tracks] = base && !before_tracking(*base) && (state == "established" || state == "related" || !asks_);
        if (!decision.by_policy && (!rule || !stops_plainly(ruleset_, *rule, decision.packet))) return;
        const auto* stop = decision.by_policy ? nullptr : rule;
        const bool passing = stop && !catch_all(ruleset_, *stop, decision.packet);
        if (const auto miss = near_miss(ruleset_, base_of(ruleset_, decision), decision.packet, stop, passing)) f[field::near_miss] = near_fields(*miss);
    }

    const Ruleset& ruleset_;
    const DecisionLog::Rows& rows_;
    bool every_rule_;
    const Counted* counted_;
    bool asks_;
    json::object places_;
    std::map<std::pair<ChainName, std::uint64_t>, std::size_t> index_;  // of the rules, where every one is told
    std::set<std::string> traced_, came_;                               // packets the trace tells of, and those that came to the firewall
    std::map<std::uint32_t, std::string> ways_out_;                     // by destination
};

}  // namespace

void DecisionLog::add(const Decision& decision) {
    auto key = tuple(decision.arrived);
    if (decision.complete)
        key += " " + std::string{text(decision.fate)} + " " + decision.chain.text() + " " + std::to_string(decision.handle) + " " + decision.packet.out +
               (decision.own ? " own" : "") + (reset(decision.arrived) ? " reset" : "") + (decision.later_fragment ? " fragment" : "");
    else
        key += " doubtful";
    const auto now = evidence::Clock::system().monotonic();
    const std::scoped_lock lock{mutex_};
    if (wave_ != 0) key += " " + std::to_string(wave_);
    auto& row = rows_[key];
    if (row.packets++ == 0) row.decision = decision, row.first = now, row.wave = wave_;
    row.last = now;
    constexpr std::size_t listed_max = 200'000;  // of all rows together
    if (decision.fate == Fate::dropped && listed_ < listed_max) {
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
    Rows rows;
    Hits hits;
    {
        const std::scoped_lock lock{mutex_};
        rows.swap(rows_);
        hits.swap(hits_);
    }
    return Telling{ruleset, rows, every_rule, counted}.events(hits);
}

}  // namespace wmlab::lab::rules
