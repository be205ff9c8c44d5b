#include "lab/rules/attribution.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "common/evidence/journal.hpp"
#include "common/scenario/catalogue.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;
using evidence::What;
namespace {

std::string endpoint(scenario::Ipv4 address, std::uint16_t port) {
    return port == 0 ? address.text() : address.text() + ":" + std::to_string(port);
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

// A rule that names neither address nor port nor interface stops whatever comes to it.
bool catch_all(const Ruleset& ruleset, const Rule& rule, const Packet& packet) {
    const auto comparison = compare(ruleset, rule, packet);
    return comparison.drops &&
           std::ranges::none_of(comparison.conditions, [](const Condition& c) { return c.selective; });
}

// The rule of a step. A chain without a name, written inside the rule that leads there, is part of that rule.
const Rule* rule_of(const Ruleset& ruleset, const Decision& decision, const Decision::Step& step) {
    if (step.handle != 0)
        if (const auto* rule = ruleset.rule(step.chain, step.handle)) return rule;
    if (!step.chain.chain.starts_with("__chain")) return nullptr;
    for (const auto& before : decision.steps)
        if (before.target == step.chain.chain && before.chain.table == step.chain.table)
            return rule_of(ruleset, decision, before);
    return nullptr;
}

// How a packet's addresses stand where a rule would have to let it through, and what can be asked of it there.
bool asks_state(const Ruleset& ruleset) {
    return std::ranges::any_of(ruleset.chains(), [](const auto& entry) { return entry.second.type == "nat"; }) ||
           std::ranges::any_of(ruleset.rules(), [](const Rule& rule) {
               const auto text = json::serialize(rule.expr);
               for (const auto* word :
                    {"{\"ct\":", "\"notrack\"", "\"conntrack\"", "\"state\"", "\"CT\"", "\"connlimit\""})
                   if (text.find(word) != std::string::npos) return true;
               return false;
           });
}

// Connection tracking comes at the priority -200 of the hooks prerouting and output.
bool before_tracking(const Chain& chain) {
    constexpr int tracking = -200;
    return chain.hook == "ingress" || chain.hook == "egress" ||
           ((chain.hook == "prerouting" || chain.hook == "output") && chain.priority <= tracking);
}

// Where a rule would have to be written to decide before this one: on a line of its own before it, or as a command
// behind everything else that puts it first in its chain.
json::object place_json(const Ruleset& ruleset, const ChainName& chain, const std::optional<Place>& place) {
    json::object before{{"chain", chain.text()}};
    const auto& source = ruleset.source();
    using enum Place::Written;
    if (source.dialect == Dialect::iptables) {
        const auto* of = ruleset.chain(chain);
        const auto at = place && place->written != inserted ? place : of ? of->end : std::nullopt;
        if (!at) return {};
        if (!place || place->written == inserted) before["command"] = "insert";
        before["file"] = at->file, before["line"] = at->line;
        return before;
    }
    if (place && place->alone && place->written != inserted) {
        if (place->written == appended) before["command"] = "add";
        before["file"] = place->file, before["line"] = place->line;
        return before;
    }
    if (source.files.empty()) return {};
    before["command"] = "insert";
    before["file"] = source.files.front().string(), before["line"] = source.lines + 1;
    return before;
}

json::object place_before(const Ruleset& ruleset, const Rule& rule) {
    return place_json(ruleset, rule.chain, rule.place);
}

// Whether the rule cannot have decided so about this packet: then the trace was wrong, or the rules are others by now.
bool contradicts(const Ruleset& ruleset, const Rule& rule, const Decision& decision, bool accepted) {
    auto before = decision.arrived;  // translation may lie between the rule and either
    before.out = decision.packet.out;
    const auto a = compare(ruleset, rule, before), b = compare(ruleset, rule, decision.packet);
    if (accepted ? a.drops && !a.accepts : a.accepts && !a.drops) return true;
    const auto no = [](const Condition& c) {
        return c.result == Condition::Result::no && c.key != "connection state" && !c.by_set;
    };
    for (std::size_t i = 0; i < a.conditions.size() && i < b.conditions.size(); ++i)
        if (no(a.conditions[i]) && no(b.conditions[i])) return true;
    return false;
}

// The base chain through which the packet came to the chain that dropped it: where near misses are looked for.
ChainName base_of(const Ruleset& ruleset, const Decision& decision) {
    for (auto it = decision.steps.rbegin(); it != decision.steps.rend(); ++it) {
        const auto* chain = ruleset.chain(it->chain);
        if (chain && !chain->hook.empty()) return it->chain;
    }
    return decision.chain;
}

// Who let a forwarded packet through: the last accepting rule, or else policy, of the forward hook's filter chains.
// Chains of other hooks accept too, but that decides nothing about the way through.
const Decision::Step* forwarding_step(const Ruleset& ruleset, const Decision& decision) {
    const Decision::Step* found = nullptr;
    bool forwarding = false;  // rules of a chain jumped to follow those of its base chain
    for (const auto& step : decision.steps) {
        const auto* chain = ruleset.chain(step.chain);
        if (chain && !chain->hook.empty()) forwarding = chain->hook == "forward" && chain->type == "filter";
        if (forwarding && step.accepts && (step.handle != 0 || !found || found->handle == 0)) found = &step;
    }
    return found;
}

// Where a rule decides before what stopped the packet.
json::object stopping_place(const Ruleset& ruleset, const Decision& decision, const Rule* rule) {
    const auto base = base_of(ruleset, decision);
    if (decision.by_policy) {
        // The end of the chain, unless the packet left it before that.
        for (const auto& step : decision.steps) {
            const bool leaves = step.verdict == TraceMessage::Verdict::go_to ||
                                (step.verdict == TraceMessage::Verdict::returned && step.handle != 0);
            const auto* leaving = leaves && step.chain == base ? rule_of(ruleset, decision, step) : nullptr;
            if (leaving) return place_before(ruleset, *leaving);
        }
        const auto* chain = ruleset.chain(decision.chain);
        return place_json(ruleset, decision.chain, chain ? chain->end : std::nullopt);
    }
    if (!rule) return {};
    const auto* chain = ruleset.chain(rule->chain);
    if (chain && chain->hook.empty() &&
        catch_all(ruleset, *rule, decision.packet)) {  // a chain that drops what it gets
        for (auto it = decision.steps.rbegin(); it != decision.steps.rend(); ++it)
            if (it->target == rule->chain.chain)
                if (const auto* jump = rule_of(ruleset, decision, *it)) return place_before(ruleset, *jump);
    }
    return place_before(ruleset, *rule);
}

// Whether the packet's way would be another without this rule: not, if it only counts or logs.
bool has_effect(const Ruleset& ruleset, const Rule& rule) {
    const auto* chain = ruleset.chain(rule.chain);
    if (chain && chain->type == "nat") return true;
    return std::ranges::any_of(rule.expr, [](const json::value& part) {
        const auto* object = part.if_object();
        if (!object || object->empty()) return false;
        const std::string_view word = object->begin()->key();
        constexpr std::array<std::string_view, 4> without{"match", "counter", "log", "limit"};
        return std::ranges::find(without, word) == without.end();
    });
}

std::int64_t counter_of(const Rule& rule) {
    for (const auto& part : rule.expr)
        if (const auto* object = part.if_object())
            if (const auto* counter = object_at(*object, "counter")) return number_at(*counter, "packets");
    return 0;
}

// The rule that stopped the packet, by comparing it with every rule of the one forwarding chain up to the first that
// matches, which must be one that stops packets and has counted some meanwhile. Nothing, where anything is not known.
const Rule* by_counters(const Ruleset& before, const Ruleset& after, Packet packet) {
    constexpr std::uint8_t syn = 0x02, ack = 0x10;
    if (packet.protocol == "tcp" && (packet.tcp_flags & (syn | ack)) != syn) return nullptr;
    if (packet.ct_state.empty() && packet.protocol == "tcp") packet.ct_state = "new";
    const Chain* forwarding = nullptr;
    for (const auto& [name, chain] : before.chains()) {
        if (chain.hook != "forward" && chain.hook != "prerouting") continue;
        if (forwarding || chain.hook == "prerouting") return nullptr;
        forwarding = &chain;
    }
    if (!forwarding) return nullptr;
    for (const auto index : forwarding->rules) {
        const auto& rule = before.rules()[index];
        const auto comparison = compare(before, rule, packet);
        if (comparison.count(Condition::Result::no) > 0) continue;
        const bool limited =
            std::ranges::any_of(comparison.conditions, [](const Condition& c) { return c.key == "limit"; });
        if (!comparison.matches() || limited) return nullptr;
        if (!comparison.accepts && !comparison.drops) {
            if (has_effect(before, rule)) return nullptr;
            continue;
        }
        const auto* later = after.rule(rule.chain, rule.handle);
        return comparison.drops && later && counter_of(*later) > counter_of(rule) ? &rule : nullptr;
    }
    return nullptr;
}

}  // namespace

void DecisionLog::add(const Decision& decision) {
    std::string key = decision.arrived.protocol + " " +
                      endpoint(decision.arrived.source, decision.arrived.source_port) + " " +
                      endpoint(decision.arrived.destination, decision.arrived.destination_port) + " " +
                      std::string{fate_name(decision.fate)} + " " + decision.chain.text() + " " +
                      std::to_string(decision.handle) + " " + decision.packet.out + (decision.own ? " own" : "");
    if (!decision.complete)
        key = decision.arrived.protocol + " " + endpoint(decision.arrived.source, decision.arrived.source_port) + " " +
              endpoint(decision.arrived.destination, decision.arrived.destination_port) + " doubtful";
    const auto now = evidence::Clock::system().monotonic();
    const std::scoped_lock lock{mutex_};
    auto& row = rows_[key];
    if (row.packets++ == 0) row.decision = decision, row.first = now;
    row.last = now;
    if (!decision.complete) return;
    for (const auto& step : decision.steps)
        if (step.handle != 0) ++hits_[{step.chain, step.handle}];
}

std::vector<Event> DecisionLog::take(const Ruleset& ruleset, bool every_rule, const Ruleset* counted) {
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
    const bool asks = asks_state(ruleset);
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
        f["first"] = row.first.count();
        f["last"] = row.last.count();
        if (decision.own) f["own"] = true;
        if (!decision.complete) {
            if (const auto way = ways_out.find(decision.arrived.destination.value); way != ways_out.end() && counted) {
                auto packet = decision.arrived;
                packet.out = way->second;
                const bool answered = std::ranges::any_of(rows, [&](const auto& other) {
                    const auto& there = other.second.decision.arrived;
                    return there.source == packet.destination && there.source_port == packet.destination_port &&
                           there.destination == packet.source && there.destination_port == packet.source_port;
                });
                if (packet.protocol == "udp" && !answered) packet.ct_state = "new";
                if (const auto* rule = by_counters(ruleset, *counted, packet))
                    f["rule"] = rule_json(*rule), f["by"] = "counters";
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
        if (rule)
            f["rule"] = rule_json(*rule);
        else if (!decider.chain.chain.empty() && decider.handle == 0)
            f["rule"] = policy_json(ruleset, decider.chain), f["policy"] = true;
        if (every_rule) {
            json::array steps;
            for (const auto& step : decision.steps) {
                const auto* of = step.handle != 0 ? ruleset.rule(step.chain, step.handle) : nullptr;
                if (of && has_effect(ruleset, *of)) steps.push_back(index.at({step.chain, step.handle}));
            }
            f["steps"] = std::move(steps);
        }
        f["dialect"] = ruleset.source().dialect == Dialect::iptables ? "iptables" : "nft";
        for (const auto& step : decision.steps) {
            const auto* of = ruleset.chain(step.chain);
            const auto* translating =
                of && of->type == "nat" && step.handle != 0 ? ruleset.rule(step.chain, step.handle) : nullptr;
            if (!translating) continue;
            const bool forth = of->hook == "prerouting" || of->hook == "output";
            f[forth ? "nat_destination" : "nat_source"] = rule_json(*translating);
        }
        const auto seen_source = endpoint(decision.packet.source, decision.packet.source_port);
        const auto seen_destination = endpoint(decision.packet.destination, decision.packet.destination_port);
        if (seen_source != endpoint(decision.arrived.source, decision.arrived.source_port) ||
            seen_destination != endpoint(decision.arrived.destination, decision.arrived.destination_port))
            f["as"] = json::object{{"source", seen_source}, {"destination", seen_destination}};
        if (decision.fate == Decision::Fate::dropped) {
            auto before = stopping_place(ruleset, decision, rule);
            const auto* base = ruleset.chain(base_of(ruleset, decision));
            if (!before.empty()) f["before"] = std::move(before);
            const auto& state = decision.packet.ct_state;
            f["tracks"] = base && !before_tracking(*base) && (state == "established" || state == "related" || !asks);
            if (decision.by_policy || (rule && catch_all(ruleset, *rule, decision.packet))) {
                if (const auto miss = near_miss(ruleset, base_of(ruleset, decision), decision.packet)) {
                    auto near = rule_json(*miss->rule);
                    near["differs"] = miss->differs;
                    f["near_miss"] = std::move(near);
                }
            }
        }
        events.push_back(std::move(event));
    }
    return events;
}

namespace {

std::optional<RuleRef> ref_from(const json::object* rule) {
    if (!rule) return std::nullopt;
    return RuleRef{text_at(*rule, "file"), static_cast<unsigned>(number_at(*rule, "line")), text_at(*rule, "text"),
                   text_at(*rule, "chain")};
}

struct Tuple {
    std::string_view protocol, source, destination;
    std::string_view out = {};  // interface; empty: any
};

// The first packet decides for a leg that passed; for one that was stopped, what stopped most packets.
// `with`: only decisions that tell this.
const Event* decision_for(std::span<const Event> events, const Tuple& tuple, std::string_view fate,
                          std::string_view with = {}) {
    const Event* best = nullptr;
    for (const auto& event : events) {
        if (event.event != What::trace || event.fields.if_contains("own")) continue;
        const auto& f = event.fields;
        if (text_at(f, "fate") != fate || text_at(f, "protocol") != tuple.protocol) continue;
        if (!with.empty() && !f.contains(with)) continue;
        if (!fits(tuple.source, text_at(f, "source")) ||
            !(tuple.destination.empty() || fits(tuple.destination, text_at(f, "destination"))))
            continue;
        if (!tuple.out.empty() && !text_at(f, "out").empty() && text_at(f, "out") != tuple.out) continue;
        const auto better = [&] {
            if (fate == "dropped") return number_at(f, "packets") > number_at(best->fields, "packets");
            return number_at(f, "first") < number_at(best->fields, "first");
        };
        if (!best || better()) best = &event;
    }
    return best;
}

class Attributor {
public:
    Attributor(const scenario::Scenario& scenario, std::span<const Event> events)
        : scenario_{scenario}, events_{events} {}

    void flow(FlowResult& flow) const {
        const auto* from = scenario_.host(flow.from);
        if (!from) return;
        for (auto& leg : flow.legs) this->leg(leg, flow);
        for (auto& attempt : flow.attempts)
            for (auto& leg : attempt.legs) this->leg(leg, flow);
        for (const auto& leg : flow.legs) {
            if (leg.name != flow.leg || !leg.rule) continue;
            flow.rule = leg.rule;
            flow.near_miss = leg.near_miss;
        }
    }

private:
    void leg(LegResult& leg, FlowResult& flow) const {
        const bool stopped = leg.verdict == Verdict::blocked || (leg.verdict == Verdict::degraded && leg.cause);
        if (leg.verdict == Verdict::pass) {
            const Tuple tuple = to_group(leg, flow).value_or(Tuple{leg.protocol, leg.source, leg.destination});
            const auto* event = decision_for(events_, tuple, "forwarded");
            // The first packet of a connection is a new one. If it is not here, it was not traced.
            const bool late = event && leg.protocol == "tcp" && text_at(event->fields, "state") == "established";
            if (event && !late) leg.rule = ref_from(object_at(event->fields, "rule"));
            return;
        }
        if (!stopped) return;
        if (leg.cause == Cause::translated) {
            // Where the way back is broken, it was the source that was translated.
            const bool source = leg.direction == "to->from";
            const auto* which = source ? "nat_source" : "nat_destination";
            leg.rule = translator(leg, which);
            // A DCOM call that follows an untranslated reference dies for what happened to the leg before it.
            for (const auto& other : flow.legs)
                if (!leg.rule) leg.rule = translator(other, which);
            if (leg.name == flow.leg || flow.leg.empty()) flow.change = change_of(leg, flow);
            return;
        }
        if (leg.cause == Cause::refused || leg.cause == Cause::proxy_denied || leg.cause == Cause::exhausted) return;
        auto tuples = both_ways(leg);
        if (!leg.direction.empty()) {  // only packets that go that way
            const bool forth = leg.direction.starts_with(end_at(address_of(leg.source), flow) + "->");
            tuples = {forth ? tuples[0] : tuples[1]};
        }
        if (const auto tuple = to_group(leg, flow)) tuples = {*tuple};
        for (const auto& tuple : tuples) {
            const auto* event = decision_for(events_, tuple, "dropped");
            if (!event) continue;
            leg.rule = ref_from(object_at(event->fields, "rule"));
            if (const auto* near = object_at(event->fields, "near_miss"))
                leg.near_miss = lab::NearMiss{*ref_from(near), text_at(*near, "differs")};
            suggest(leg, flow, *event);
            return;
        }
        for (const auto& tuple : tuples) {
            const auto* event = decision_for(events_, tuple, "unknown");
            if (!event || text_at(event->fields, "by") != "counters") continue;
            leg.rule = ref_from(object_at(event->fields, "rule"));
            return;
        }
    }

    // "from", "to", "proxy": which of the flow's ends has this address.
    std::string end_at(std::string_view address, const FlowResult& flow) const {
        const auto is = [&](const std::string& name) {
            const auto* host = scenario_.host(name);
            return host != nullptr &&
                   (host->address.text() == address || (host->published && host->published->text() == address));
        };
        return is(flow.from) ? "from" : is(flow.to) ? "to" : "proxy";
    }

    // The rule that translated the leg's packets: `which` of "nat_destination" and "nat_source" by preference.
    std::optional<RuleRef> translator(const LegResult& leg, std::string_view which) const {
        const auto other = which == "nat_source" ? "nat_destination" : "nat_source";
        for (const auto key : {which, std::string_view{other}})
            for (const auto& tuple : both_ways(leg))
                for (const auto* fate : {"forwarded", "unfinished"})
                    if (const auto* event = decision_for(events_, tuple, fate, key))
                        return ref_from(object_at(event->fields, key));
        return std::nullopt;
    }

    // What has to be done about a translation: no further rule mends it.
    static std::string change_of(const LegResult& leg, const FlowResult& flow) {
        const auto rule = leg.rule && leg.rule->line != 0
                              ? leg.rule->file + ":" + std::to_string(leg.rule->line) + " (" + leg.rule->text + ")"
                              : std::string{"the rule that translates"};
        if (flow.type == "dcom" || flow.type == "encoder-alias")
            return rule + " must leave out what goes from " + flow.from + " to " + flow.to +
                   ", which has to be reached by its own address: DCOM carries addresses in its messages";
        return rule + " must leave out what goes from " + flow.from + " to " + flow.to +
               (flow.type == "mms-udp" ? ", or the player has to use TCP: media over UDP does not survive translation"
                                       : ", or lead to where " + flow.to + " listens");
    }

    // Multicast goes one way, and is decided for each zone it is to go to; IGMP is the firewall's own business, sent to
    // the group or to all routers.
    std::optional<Tuple> to_group(const LegResult& leg, const FlowResult& flow) const {
        if (leg.protocol == "igmp") return Tuple{leg.protocol, leg.source, {}};
        const auto group = scenario::Ipv4::from(address_of(leg.destination));
        if (!group || group->value >> 28 != 0xE) return std::nullopt;
        const auto* player = scenario_.host(flow.to);
        const auto* zone = player ? scenario_.zone(player->zone) : nullptr;
        return Tuple{leg.protocol, leg.source, leg.destination, zone ? std::string_view{zone->interface} : ""};
    }

    static std::vector<Tuple> both_ways(const LegResult& leg) {
        return {{leg.protocol, leg.source, leg.destination}, {leg.protocol, leg.destination, leg.source}};
    }

    void suggest(const LegResult& leg, FlowResult& flow, const Event& event) const {
        const auto* before = object_at(event.fields, "before");
        if (!before) return;
        const auto dialect = text_at(event.fields, "dialect") == "iptables" ? Dialect::iptables : Dialect::nft;
        const auto chain = text_at(*before, "chain");
        const auto name = chain.substr(chain.rfind(' ') + 1);
        Suggestion suggestion;
        suggestion.dialect = dialect == Dialect::iptables ? "iptables" : "nft";
        suggestion.file = text_at(*before, "file");
        suggestion.line = static_cast<unsigned>(number_at(*before, "line"));
        const bool answer = fits(leg.destination, text_at(event.fields, "source")) &&
                            fits(leg.source, text_at(event.fields, "destination"));
        const auto state = text_at(event.fields, "state");
        const auto* tracks = event.fields.if_contains("tracks");
        const bool can_ask = tracks != nullptr && tracks->is_bool() && tracks->get_bool();
        std::string rule_text;
        // Without a rule that asks for the state, the kernel does not track connections: then the addresses tell.
        if (can_ask && (answer || state == "established" || state == "related")) {
            rule_text = accept_answers(dialect, name);
        } else {
            const auto needed = spec_leg(leg, flow);
            if (!needed) return;
            rule_text = accept_rule(as_seen(*needed, event.fields, answer), dialect, name, answer);
        }
        suggestion.rule = as_command(rule_text, dialect, chain, text_at(*before, "command"));
        const auto same = [&](const Suggestion& s) { return s.rule == suggestion.rule && s.line == suggestion.line; };
        if (std::ranges::none_of(flow.suggestions, same)) flow.suggestions.push_back(std::move(suggestion));
    }

    // The leg with its addresses as translated where the packet was stopped. `answer`: the packet came back.
    static scenario::Leg as_seen(scenario::Leg leg, const boost::json::object& trace, bool answer) {
        const auto* as = object_at(trace, "as");
        if (!as) return leg;
        const auto put = [](const std::string& was, const std::string& is, scenario::Ipv4& address,
                            scenario::PortList* ports) {
            if (const auto seen = scenario::Ipv4::from(address_of(is)); seen && address_of(was) != address_of(is))
                address = *seen;
            const auto colon = is.find(':');
            if (ports == nullptr || colon == std::string::npos || was.substr(was.find(':')) == is.substr(colon)) return;
            if (const auto range = scenario::PortRange::from(is.substr(colon + 1))) *ports = {*range};
        };
        const auto was_source = text_at(trace, "source"), was_destination = text_at(trace, "destination");
        const auto source = text_at(*as, "source"), destination = text_at(*as, "destination");
        put(was_source, source, answer ? leg.destination_address : leg.source_address,
            answer ? &leg.destination_ports : nullptr);
        put(was_destination, destination, answer ? leg.source_address : leg.destination_address,
            answer ? nullptr : &leg.destination_ports);
        return leg;
    }

    // The leg as the catalogue has it, with its whole port ranges. A rollover that may use a proxy has a leg `http` to
    // the server of its own besides the proxy's.
    std::optional<scenario::Leg> spec_leg(const LegResult& leg, const FlowResult& flow) const {
        for (const auto& instance : scenario::instances(scenario_)) {
            if (instance.id != flow.id) continue;
            auto direct = *instance.flow;
            if (direct.type == scenario::FlowType::mms_auto) direct.proxy.reset();
            std::optional<scenario::Leg> found;
            for (const auto* variant : {instance.flow, static_cast<const scenario::Flow*>(&direct)})
                for (auto& needed : scenario::legs(scenario_, {instance.id, variant, instance.from, instance.to})) {
                    if (needed.name != leg.name) continue;
                    if (needed.source_address.text() == address_of(leg.source)) return needed;
                    if (!found) found = std::move(needed);
                }
            return found;
        }
        return std::nullopt;
    }

    const scenario::Scenario& scenario_;
    std::span<const Event> events_;
};

}  // namespace

void attribute(Report& report, const scenario::Scenario& scenario, std::span<const Event> events) {
    const Attributor attributor{scenario, events};
    for (auto& flow : report.flows) attributor.flow(flow);
    for (const auto& event : events) {
        if (event.event != What::trace) continue;
        if (event.fields.if_contains("lost"))
            report.notes.push_back(
                "the kernel's trace lost messages: a rule that is not named may still have decided; where the rules' "
                "own counters "
                "leave no doubt, they name it");
        if (const auto packets = number_at(event.fields, "untraced"); packets > 0)
            report.notes.push_back(
                std::to_string(packets) +
                " packets came faster than the kernel's trace can be read, and went untraced: a rule "
                "that is not named, or without packets, may still have decided about some");
    }
    if (std::ranges::any_of(events, [](const Event& event) {
            return event.event == What::trace && event.fields.if_contains("contradicted");
        }))
        report.notes.push_back(
            "the kernel's trace names rules that cannot have decided so, as if the rules had been changed during the "
            "run: "
            "they are left unnamed");
}

}  // namespace wmlab::lab::rules
