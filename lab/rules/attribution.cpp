#include "lab/rules/attribution.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "common/evidence/trace.hpp"
#include "common/scenario/boxes.hpp"
#include "lab/rules/advice.hpp"
#include "lab/rules/decisions.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/load_drops.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;
using evidence::Fate;
using evidence::Rewritten;
using evidence::What;

std::optional<RuleRef> ref_from(const json::object* rule, const Event& event) {
    if (!rule) return std::nullopt;
    return RuleRef{text_at(*rule, field::file), static_cast<unsigned>(number_at(*rule, field::line)),
                   text_at(*rule, field::text), text_at(*rule, field::chain),
                   text_at(*rule, field::via),  text_at(event.fields, field::box)};
}

std::map<std::string, std::int64_t, std::less<>> waves_of(std::span<const Event> events) {
    std::map<std::string, std::int64_t, std::less<>> waves;
    for (const auto& event : events) {
        const auto* flows = event.event == What::lab_up ? event.fields.if_contains(field::flows) : nullptr;
        if (flows == nullptr || !flows->is_array()) continue;
        for (const auto& id : flows->get_array())
            if (id.is_string()) waves[std::string{id.get_string()}] = number_at(event.fields, field::wave);
    }
    return waves;
}

namespace {

// Whether a rule asks for the connection's state: `ct state`, `--ctstate`, `--state`; not in a comment or a name.
bool asks_for_state(std::string_view rule) {
    std::string_view before;
    for (std::size_t at = 0; at < rule.size();) {
        if (rule[at] == ' ' || rule[at] == '\t') {
            ++at;
            continue;
        }
        if (rule[at] == '#') return false;
        const auto end = std::min(rule[at] == '"' ? rule.find('"', at + 1) : rule.find_first_of(" \t", at), rule.size());
        const auto word = rule.substr(at, end - at);
        if (word == "--ctstate" || word == "--state") return true;
        if (word == "state" && one_of(before, {"ct", "original", "reply"})) return true;
        before = word;
        at = end + 1;
    }
    return false;
}

class Attributor {
public:
    Attributor(const scenario::Scenario& scenario, std::span<const Event> events) : scenario_{scenario}, adviser_{scenario} {
        waves_ = waves_of(events);
        by_wave_[0];
        for (const auto& [_, wave] : waves_) by_wave_[wave];
        for (const auto& event : events) {
            if (event.event != What::trace) continue;
            // What does not tell waves apart may be of each.
            const auto wave = number_at(event.fields, field::wave);
            for (auto& [number, decisions] : by_wave_)
                if (wave == 0 || number == wave || number == 0) decisions.take(event);
        }
    }

    void flow(FlowResult& flow) {
        const auto* from = scenario_.host(flow.from);
        if (!from) return;
        const auto wave = waves_.find(flow.id);
        const auto here = by_wave_.find(wave == waves_.end() ? 0 : wave->second);
        decisions_ = here != by_wave_.end() ? &here->second : &by_wave_[0];
        for (auto& leg : flow.legs) this->leg(leg, flow);
        for (auto& attempt : flow.attempts)
            for (auto& leg : attempt.legs) this->leg(leg, flow);
        for (const auto& leg : flow.legs) {
            if (leg.name != flow.leg || !leg.rule) continue;
            flow.rule = leg.rule;
            flow.near_miss = leg.near_miss;
            if (flow.box.empty()) flow.box = leg.rule->box;
        }
        // A rule for packets without a connection would help, too; but a rule is not what is wrong.
        if (flow.idle && flow.idle->time_out.find("tcp") != std::string::npos && to_be_opened(flow)) {
            flow.suggestions.clear();
            flow.change = "net.netfilter." + flow.idle->time_out + " of the firewall must be longer than such a pause";
        }
        const bool stopped = flow.cause == Cause::dropped || flow.cause == Cause::rejected ||
                             flow.cause == Cause::reset || flow.cause == Cause::starved;
        if (to_be_opened(flow) && flow.verdict == Verdict::blocked && stopped && flow.rule &&
            flow.suggestions.empty() && flow.change.empty())
            flow.change = (flow.rule->line != 0
                               ? flow.rule->file + ":" + std::to_string(flow.rule->line) + " (" + flow.rule->text + ")"
                               : flow.rule->text) +
                          " must leave out what goes between " + from_words(flow) + " and " + flow.to +
                          ": no rule beside it is known that would let it through";
    }

private:
    void leg(LegResult& leg, FlowResult& flow) const {
        const bool stopped = leg.verdict == Verdict::blocked || (leg.verdict == Verdict::degraded && leg.cause);
        if (leg.verdict == Verdict::pass) {
            auto tuple = to_group(leg, flow).value_or(Tuple{leg.protocol, leg.source, leg.destination});
            const auto first = first_box(leg, flow);
            const Event* event = nullptr;
            if (!first.empty()) event = decision_for(*decisions_, {tuple.protocol, tuple.source, tuple.destination, {}, first}, Fate::forwarded);
            if (event == nullptr) event = decision_for(*decisions_, tuple, Fate::forwarded);
            // The first packet of a connection is a new one. If it is not here, it was not traced.
            const bool late = event && leg.protocol == "tcp" && text_at(event->fields, field::state) == "established";
            if (event && !late) leg.rule = ref_from(object_at(event->fields, field::rule), *event);
            return;
        }
        if (!stopped) return;
        if (leg.cause == Cause::translated) {
            // Where the way back is broken, it was the source that was translated.
            const bool source = leg.direction == "to->from";
            const auto which = source ? field::nat_source : field::nat_destination;
            leg.rule = translator(leg, which);
            // A DCOM call that follows an untranslated reference dies for what happened to the leg before it.
            for (const auto& other : flow.legs)
                if (!leg.rule) leg.rule = translator(other, which);
            if (to_be_opened(flow) && (leg.name == flow.leg || flow.leg.empty())) flow.change = change_of(leg, flow);
            return;
        }
        const bool untranslated = adviser_.suggest_translation(leg, flow, *decisions_);
        if (leg.cause == Cause::refused || leg.cause == Cause::proxy_denied || leg.cause == Cause::exhausted) return;
        auto tuples = both_ways(leg);
        if (!leg.direction.empty()) {  // only packets that go that way
            const bool forth = leg.direction.starts_with(end_at(address_of(leg.source), flow) + "->");
            tuples = {forth ? tuples[0] : tuples[1]};
            // Before it is translated back, an answer goes to where the far end saw the packets come from.
            if (!forth && !leg.source_seen.empty())
                tuples.push_back({leg.protocol, leg.destination_seen, leg.source_seen, {}, leg.box});
        }
        if (const auto tuple = to_group(leg, flow)) tuples = {*tuple};
        if (const auto* event = decision_about_lost(leg)) {
            decided_by(*event, leg, flow, untranslated);
            return;
        }
        if (scenario::several_boxes(scenario_)) as_later_ones_see(tuples);
        for (const auto& tuple : tuples) {
            const auto* event = decision_for(*decisions_, tuple, Fate::dropped);
            if (!event) continue;
            decided_by(*event, leg, flow, untranslated);
            return;
        }
        for (const auto& tuple : tuples) {
            const auto* event = decision_for(*decisions_, tuple, Fate::unknown);
            if (!event || text_at(event->fields, field::by) != "counters") continue;
            leg.rule = ref_from(object_at(event->fields, field::rule), *event);
            return;
        }
        // Nothing dropped it: then what was written into it did.
        using enum Rewritten;
        leg.rule = leg.cause == Cause::modified ? changer(leg, {payload, header}) : changer(leg, {address, port, ttl, header, payload});
    }

    void decided_by(const Event& event, LegResult& leg, FlowResult& flow, bool untranslated) const {
        const auto& f = event.fields;
        leg.rule = ref_from(object_at(f, field::rule), event);
        if (const auto* near = object_at(f, field::near_miss)) leg.near_miss = lab::NearMiss{*ref_from(near, event), text_at(*near, field::differs)};
        if (leg.box.empty()) leg.box = text_at(f, field::box);
        const auto state = text_at(f, field::state);
        const auto* general = f.if_contains(field::general);
        const bool by_state = leg.rule && asks_for_state(leg.rule->text);
        const bool by_default = f.contains(field::asks) && general != nullptr && general->is_bool() && general->get_bool();
        leg.no_state = !leg.other_way.empty() && (by_state || by_default) && (state == "new" || state == "invalid" || state == "untracked");
        if (leg.no_state) {
            if (leg.name != flow.leg) return;
            flow.explanation += " No state there: to " + leg.box + " these packets are " + state +
                                ", and the rules that let established connections through do not fit them.";
            if (to_be_opened(flow))
                flow.change = "both directions must pass firewall " + leg.box + " or both " + leg.other_way +
                              " (`routes`, or the gateway of a zone), or these firewalls share their connections (conntrackd), or " + leg.box +
                              " lets the answers through without asking for the state";
            return;
        }
        if (!untranslated) adviser_.suggest(leg, flow, event);
    }

    // Packets that an earlier firewall has translated come to the later ones with other addresses.
    void as_later_ones_see(std::vector<Tuple>& tuples) const {
        for (std::size_t i = 0; i < tuples.size() && tuples.size() < scenario::boxes_max; ++i)
            for (const auto* event : decisions_->near(tuples[i])) {
                const auto* const as = object_at(event->fields, field::as);
                if (as == nullptr || fate_of(*event) != Fate::forwarded || !between(event->fields, tuples[i].source, tuples[i].destination)) continue;
                translated_.push_back({text_at(*as, field::source), text_at(*as, field::destination)});
                tuples.push_back({tuples[i].protocol, translated_.back().first, translated_.back().second, {}, tuples[i].box});
                break;
            }
    }

    // The decision that dropped most of the packets that the leg's ledger misses: they are told by identity.
    const Event* decision_about_lost(const LegResult& leg) const {
        if (!leg.ledger || !leg.ledger->complete) return nullptr;
        const Event* best = nullptr;
        std::size_t most = 0;
        for (const auto* lane : {&leg.ledger->there, &leg.ledger->back}) {
            if (lane->direction != leg.direction && !leg.direction.empty()) continue;
            const std::set<std::pair<std::uint16_t, std::uint32_t>> lost(lane->lost.begin(), lane->lost.end());
            // Only of TCP the identity is one by itself; of datagrams it says something beside their addresses.
            const bool told = leg.protocol == "tcp";
            for (const auto* event : decisions_->all()) {
                const auto& f = event->fields;
                if (f.contains(field::own) || fate_of(*event) != Fate::dropped || text_at(f, field::protocol) != leg.protocol) continue;
                if (!leg.box.empty() && text_at(f, field::box) != leg.box) continue;
                const bool forth = fits(address_of(leg.source), text_at(f, field::source));
                const bool ports = between(f, leg.source, leg.destination) || between(f, leg.destination, leg.source);
                if (!told && !ports && !(f.contains(field::fragment) && addresses(f, leg, forth))) continue;
                const auto number = lost_in(text_at(f, field::each), lost);
                if (number > most) best = event, most = number;
            }
        }
        return best;
    }

    // Fragments but the first have no ports.
    static bool addresses(const json::object& packet, const LegResult& leg, bool forth) {
        const auto source = address_of(forth ? leg.source : leg.destination), destination = address_of(forth ? leg.destination : leg.source);
        return between(packet, source, destination);
    }

    static std::size_t lost_in(std::string_view each, const std::set<std::pair<std::uint16_t, std::uint32_t>>& lost) {
        std::size_t found = 0;
        while (!each.empty()) {
            const auto word = each.substr(0, each.find(' '));
            each.remove_prefix(std::min(each.size(), word.size() + 1));
            std::uint16_t id = 0;
            std::uint32_t sequence = 0;
            const auto* const end = word.data() + word.size();
            const auto [at, error] = std::from_chars(word.data(), end, id, 16);
            if (error != std::errc{} || at == end) continue;
            if (std::from_chars(at + 1, end, sequence, 16).ec != std::errc{}) continue;
            found += lost.contains({id, sequence});
        }
        return found;
    }

    // "from", "to", "proxy": which of the flow's ends has this address.
    std::string end_at(std::string_view address, const FlowResult& flow) const {
        const auto is = [&](const std::string& name) {
            const auto* host = scenario_.host(name);
            const auto parsed = scenario::Ipv4::from(address);
            return host != nullptr && parsed && (host->address == *parsed || host->published_at(*parsed));
        };
        return is(flow.from) ? "from" : is(flow.to) ? "to" : "proxy";
    }

    // The rule that translated the leg's packets: `which` of the two sorts by preference.
    std::optional<RuleRef> translator(const LegResult& leg, evidence::Object which) const {
        const auto other = which.name == field::nat_source.name ? field::nat_destination : field::nat_source;
        for (const auto key : {which, other})
            for (const auto& tuple : both_ways(leg))
                for (const auto fate : {Fate::forwarded, Fate::unfinished})
                    if (const auto* event = decision_for(*decisions_, tuple, fate, key.name)) return ref_from(object_at(event->fields, key), *event);
        return changer(leg, {Rewritten::address, Rewritten::port});
    }

    // The rule that writes one of these into the leg's packets.
    std::optional<RuleRef> changer(const LegResult& leg, std::initializer_list<Rewritten> what) const {
        for (const auto& tuple : both_ways(leg))
            for (const auto fate : {Fate::forwarded, Fate::unfinished, Fate::dropped}) {
                const auto* event = decision_for(*decisions_, tuple, fate, field::changes.name);
                const auto* list = event == nullptr ? nullptr : list_field(*event, field::changes);
                if (list == nullptr) continue;
                for (const auto& entry : *list) {
                    const auto* rule = entry.if_object();
                    const auto wrote = rule == nullptr ? std::nullopt : evidence::rewritten_by(*rule);
                    if (wrote && std::ranges::find(what, *wrote) != what.end()) return ref_from(rule, *event);
                }
            }
        return std::nullopt;
    }

    // Multicast goes one way, and is decided for each zone it is to go to; IGMP is the firewall's own business, sent to
    // the group or to all routers.
    std::optional<Tuple> to_group(const LegResult& leg, const FlowResult& flow) const {
        if (leg.protocol == "igmp") return Tuple{leg.protocol, leg.source, {}, {}, leg.box};
        const auto group = scenario::Ipv4::from(address_of(leg.destination));
        if (!group || group->value >> 28 != 0xE) return std::nullopt;
        const auto* player = scenario_.host(flow.to);
        const auto* zone = player ? scenario_.zone(player->zone) : nullptr;
        return Tuple{leg.protocol, leg.source, leg.destination, out_of(leg, flow, zone), leg.box};
    }

    // The interface towards the player's zone, of the firewall that stopped the stream; of several, where none is known
    // to have done so, it may be any.
    std::string out_of(const LegResult& leg, const FlowResult& flow, const scenario::Zone* zone) const {
        if (!scenario::several_boxes(scenario_)) return zone ? zone->interface : std::string{};
        const auto* const sender = scenario_.host(flow.from);
        if (zone == nullptr || sender == nullptr) return {};
        for (const auto& hop : scenario::way(scenario_, sender->zone, zone->name))
            if (hop.box == leg.box)
                for (const auto& box : scenario_.firewalls)
                    if (box.name == hop.box) return scenario::side_of(box, hop.out)->interface;
        return {};
    }

    // Of several firewalls, all of which let a leg through, the one that its packets come to first.
    std::string first_box(const LegResult& leg, const FlowResult& flow) const {
        if (!scenario::several_boxes(scenario_) || leg.protocol == "igmp") return {};
        const auto zone_of = [&](const std::string& end, const std::string& host) {
            const auto address = scenario::Ipv4::from(address_of(end));
            const auto* zone = address ? scenario_.zone_of(*address) : nullptr;
            const auto* const known = scenario_.host(host);
            return zone == nullptr && known != nullptr ? scenario_.zone(known->zone) : zone;
        };
        const auto *from = zone_of(leg.source, flow.from), *to = zone_of(leg.destination, flow.to);
        if (from == nullptr || to == nullptr) return {};
        const auto hops = scenario::way(scenario_, from->name, to->name);
        return hops.empty() ? std::string{} : hops.front().box;
    }

    static std::vector<Tuple> both_ways(const LegResult& leg) {
        return {{leg.protocol, leg.source, leg.destination, {}, leg.box}, {leg.protocol, leg.destination, leg.source, {}, leg.box}};
    }

    const scenario::Scenario& scenario_;
    const Adviser adviser_;
    std::map<std::string, std::int64_t, std::less<>> waves_;  // of flows
    std::map<std::int64_t, Decisions> by_wave_;
    const Decisions* decisions_ = nullptr;  // of the flow's wave
    mutable std::deque<std::pair<std::string, std::string>> translated_;  // addresses that tuples are about
};

}  // namespace

void attribute(Report& report, const scenario::Scenario& scenario, std::span<const Event> events) {
    Attributor attributor{scenario, events};
    for (auto& flow : report.flows) attributor.flow(flow);
    attribute_loads(report, events);
    for (const auto& event : events) {
        if (event.event != What::trace) continue;
        if (event.fields.if_contains(field::messages_lost))
            report.notes.push_back(
                "the kernel's trace lost messages: a rule that is not named may still have decided; where the rules' own counters "
                "leave no doubt, they name it");
        if (const auto packets = number_at(event.fields, field::untraced); packets > 0)
            report.notes.push_back(
                std::to_string(packets) +
                " packets came faster than the kernel's trace can be read, and went untraced: a rule "
                "that is not named, or without packets, may still have decided about some");
    }
    if (std::ranges::any_of(events, [](const Event& event) { return event.event == What::trace && event.fields.if_contains(field::contradicted); }))
        report.notes.push_back(
            "the kernel's trace names rules that cannot have decided so, as if the rules had been changed during the run: they are left unnamed");
}

}  // namespace wmlab::lab::rules