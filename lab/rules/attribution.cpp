#include "lab/rules/attribution.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "common/scenario/boxes.hpp"
#include "common/scenario/catalogue.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/generate.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/load_drops.hpp"
#include "lab/rules/one_of.hpp"
#include "lab/rules/rule_fields.hpp"
#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;
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

struct Tuple {
    std::string_view protocol, source, destination;
    std::string out = {};       // interface; empty: any
    std::string_view box = {};  // of several firewalls; empty: any
};

bool between(const json::object& packet, std::string_view source, std::string_view destination) {
    return fits(source, text_at(packet, field::source)) && (destination.empty() || fits(destination, text_at(packet, field::destination)));
}

bool whole(const Tuple& tuple) {  // with both ports
    return tuple.source.find(':') != std::string_view::npos && tuple.destination.find(':') != std::string_view::npos;
}

// The kernel's decisions, found by addresses: a run may have thousands, and each leg asks several times.
class Decisions {
public:
    void take(const Event& event) {  // of the trace
        if (event.fields.if_contains(field::own)) return;
        add(event, event.fields);
        if (const auto* as = object_at(event.fields, field::as)) add(event, *as);
    }
    const std::vector<const Event*>& all() const { return all_; }
    // In the order of events; at least all that can fit.
    std::vector<const Event*> near(const Tuple& tuple) const {
        std::vector<const Event*> found;
        const auto take = [&](const Index& index, std::string_view source, std::string_view destination) {
            const auto entry = index.find(key(tuple.protocol, source, destination));
            if (entry != index.end()) found.insert(found.end(), entry->second.begin(), entry->second.end());
        };
        if (whole(tuple)) {
            take(exact_, tuple.source, tuple.destination);
            take(portless_, address_of(tuple.source), address_of(tuple.destination));
        } else if (tuple.source.empty() || tuple.destination.empty()) {
            found = all_;
        } else {
            take(hosts_, address_of(tuple.source), address_of(tuple.destination));
        }
        std::ranges::sort(found);
        found.erase(std::unique(found.begin(), found.end()), found.end());
        return found;
    }

private:
    using Index = std::map<std::string, std::vector<const Event*>>;
    static std::string key(std::string_view protocol, std::string_view source, std::string_view destination) {
        std::string all{protocol};
        all.append(" ").append(source).append(" ").append(destination);
        return all;
    }
    void add(const Event& event, const json::object& packet) {
        const auto protocol = text_at(event.fields, field::protocol);
        const auto source = text_at(packet, field::source), destination = text_at(packet, field::destination);
        const bool ports = source.find(':') != std::string::npos && destination.find(':') != std::string::npos;
        (ports ? exact_[key(protocol, source, destination)]
               : portless_[key(protocol, address_of(source), address_of(destination))])
            .push_back(&event);
        hosts_[key(protocol, address_of(source), address_of(destination))].push_back(&event);
        all_.push_back(&event);
    }

    std::vector<const Event*> all_;
    Index exact_, portless_, hosts_;
};

// The first packet decides for a leg that passed; for one that was stopped, what stopped most packets.
// `with`: only decisions that tell this.
const Event* decision_for(const Decisions& decisions, const Tuple& tuple, std::string_view fate,
                          std::string_view with = {}) {
    const Event* best = nullptr;
    for (const auto* event : decisions.near(tuple)) {
        const auto& f = event->fields;
        if (text_at(f, field::fate) != fate || text_at(f, field::protocol) != tuple.protocol) continue;
        if (!with.empty() && !f.contains(with)) continue;
        // An answer to a translated address has its own one back only where the ruleset sees it.
        const auto* as = fate == "dropped" && whole(tuple) ? object_at(f, field::as) : nullptr;
        if (!between(f, tuple.source, tuple.destination) && !(as && between(*as, tuple.source, tuple.destination)))
            continue;
        if (!tuple.box.empty() && text_at(f, field::box) != tuple.box) continue;
        if (!tuple.out.empty() && !text_at(f, field::out).empty() && text_at(f, field::out) != tuple.out) continue;
        const auto better = [&] {
            // What an end sent when it gave up stopped nothing.
            const bool late = f.contains(field::reset), best_late = best->fields.contains(field::reset);
            if (late != best_late) return best_late;
            if (fate == "dropped") return number_at(f, field::packets) > number_at(best->fields, field::packets);
            return number_at(f, field::first) < number_at(best->fields, field::first);
        };
        if (!best || better()) best = event;
    }
    return best;
}

class Attributor {
public:
    Attributor(const scenario::Scenario& scenario, std::span<const Event> events) : scenario_{scenario} {
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
            const Tuple tuple = to_group(leg, flow).value_or(Tuple{leg.protocol, leg.source, leg.destination});
            const auto* event = decision_for(*decisions_, tuple, "forwarded");
            // The first packet of a connection is a new one. If it is not here, it was not traced.
            const bool late = event && leg.protocol == "tcp" && text_at(event->fields, field::state) == "established";
            if (event && !late) leg.rule = ref_from(object_at(event->fields, field::rule), *event);
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
            if (to_be_opened(flow) && (leg.name == flow.leg || flow.leg.empty())) flow.change = change_of(leg, flow);
            return;
        }
        const bool untranslated = suggest_translation(leg, flow);
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
            const auto* event = decision_for(*decisions_, tuple, "dropped");
            if (!event) continue;
            decided_by(*event, leg, flow, untranslated);
            return;
        }
        for (const auto& tuple : tuples) {
            const auto* event = decision_for(*decisions_, tuple, "unknown");
            if (!event || text_at(event->fields, field::by) != "counters") continue;
            leg.rule = ref_from(object_at(event->fields, field::rule), *event);
            return;
        }
        // Nothing dropped it: then what was written into it did.
        leg.rule = leg.cause == Cause::modified ? changer(leg, {"payload", "header"}) : changer(leg, {"address", "port", "ttl", "header", "payload"});
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
        if (!untranslated) suggest(leg, flow, event);
    }

    // Packets that an earlier firewall has translated come to the later ones with other addresses.
    void as_later_ones_see(std::vector<Tuple>& tuples) const {
        for (std::size_t i = 0; i < tuples.size() && tuples.size() < scenario::boxes_max; ++i)
            for (const auto* event : decisions_->near(tuples[i])) {
                const auto* const as = object_at(event->fields, field::as);
                if (as == nullptr || text_at(event->fields, field::fate) != "forwarded" || !between(event->fields, tuples[i].source, tuples[i].destination))
                    continue;
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
                if (f.contains(field::own) || text_at(f, field::fate) != "dropped" || text_at(f, field::protocol) != leg.protocol) continue;
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

    // The rule that translated the leg's packets: `which` of "nat_destination" and "nat_source" by preference.
    std::optional<RuleRef> translator(const LegResult& leg, std::string_view which) const {
        const auto other = which == "nat_source" ? "nat_destination" : "nat_source";
        for (const auto key : {which, std::string_view{other}})
            for (const auto& tuple : both_ways(leg))
                for (const auto* fate : {"forwarded", "unfinished"})
                    if (const auto* event = decision_for(*decisions_, tuple, fate, key))
                        return ref_from(object_at(event->fields, key), *event);
        return changer(leg, {"address", "port"});
    }

    // The rule that writes one of these into the leg's packets.
    std::optional<RuleRef> changer(const LegResult& leg, std::initializer_list<std::string_view> what) const {
        for (const auto& tuple : both_ways(leg))
            for (const auto* fate : {"forwarded", "unfinished", "dropped"}) {
                const auto* event = decision_for(*decisions_, tuple, fate, "changes");
                const auto* list = event == nullptr ? nullptr : event->fields.at("changes").if_array();
                if (list == nullptr) continue;
                for (const auto& entry : *list) {
                    const auto* rule = entry.if_object();
                    if (rule != nullptr && std::ranges::find(what, text_at(*rule, field::what)) != what.end()) return ref_from(rule, *event);
                }
            }
        return std::nullopt;
    }

    static std::string from_words(const FlowResult& flow) { return flow.anyone ? "any address of zone " + flow.anyone->zone : flow.from; }

    // A sample stands for all addresses of its zone, and no rule is to be about it alone. `hook`: of the chain.
    std::optional<AnyoneAs> anyone_as(const FlowResult& flow, const std::string& box, const std::string& hook) const {
        const auto address = flow.anyone ? scenario::Ipv4::from(flow.anyone->address) : std::nullopt;
        if (!address) return std::nullopt;
        AnyoneAs as{*address, anyone_net(scenario_, flow.anyone->zone), {}, {}};
        auto view = scenario_;
        for (const auto& one : scenario_.firewalls)
            if (one.name == box) view = scenario::as_seen_by(scenario_, one);
        const auto& interface = view.zone(flow.anyone->zone)->interface;
        if (hook == "forward" || hook == "input" || hook == "prerouting") as.in = interface;
        if (hook == "forward" || hook == "postrouting") as.out = interface;
        return as;
    }

    // What has to be done about a translation: no further rule mends it.
    static std::string change_of(const LegResult& leg, const FlowResult& flow) {
        const auto rule = leg.rule && leg.rule->line != 0
                              ? leg.rule->file + ":" + std::to_string(leg.rule->line) + " (" + leg.rule->text + ")"
                              : std::string{"the rule that translates"};
        if (flow.type == "dcom" || flow.type == "encoder-alias")
            return rule + " must leave out what goes from " + from_words(flow) + " to " + flow.to +
                   ", which has to be reached by its own address: DCOM carries addresses in its messages";
        return rule + " must leave out what goes from " + from_words(flow) + " to " + flow.to +
               (flow.type == "mms-udp" ? ", or the player has to use TCP: media over UDP does not survive translation"
                                       : ", or lead to where " + flow.to + " listens");
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

    static std::vector<Tuple> both_ways(const LegResult& leg) {
        return {{leg.protocol, leg.source, leg.destination, {}, leg.box}, {leg.protocol, leg.destination, leg.source, {}, leg.box}};
    }

    // The leg goes to the address by which a host is published, and no rule leads it to the host: then the rule that
    // does so is missing, and what happens to the packets instead is no matter.
    bool suggest_translation(const LegResult& leg, FlowResult& flow) const {
        const auto published = scenario::Ipv4::from(address_of(leg.destination));
        const auto* source = scenario_.host_at(scenario::Ipv4::from(address_of(leg.source)).value_or(scenario::Ipv4{}));
        const auto host = std::ranges::find_if(
            scenario_.hosts, [&](const scenario::Host& h) { return published && h.published_at(*published); });
        if (!to_be_opened(flow) || host == scenario_.hosts.end() || source == nullptr || leg.direction == "to->from")
            return false;
        // Of several firewalls the one that the source sends to.
        const auto hops = scenario::way(scenario_, source->zone, host->zone);
        const auto first = hops.empty() ? std::string{} : hops.front().box;
        bool seen = false;
        const json::object* places = nullptr;
        Dialect dialect = Dialect::nft;
        for (const auto* one : decisions_->all()) {
            const auto& event = *one;
            if (const auto box = text_at(event.fields, field::box); !box.empty() && box != first) continue;
            if (const auto* general = object_at(event.fields, field::places)) {
                places = general;
                dialect = text_at(event.fields, field::dialect) == "iptables" ? Dialect::iptables : Dialect::nft;
            }
            if (text_at(event.fields, field::protocol) != leg.protocol || !between(event.fields, leg.source, leg.destination)) continue;
            seen = true;
            if (const auto* near = object_at(event.fields, field::nat_near_miss))
                flow.near_miss = lab::NearMiss{*ref_from(near, event), text_at(*near, field::differs)};
            const auto* as = object_at(event.fields, field::as);
            if (as != nullptr && address_of(text_at(*as, field::destination)) != address_of(leg.destination)) return false;  // it is translated
        }
        const auto needed = spec_leg(leg, flow);
        if (!seen || !needed) return false;
        const bool own = std::ranges::any_of(scenario_.zones, [&](const scenario::Zone& zone) {
            return zone.gateway == *published || std::ranges::count(scenario_.published_in(zone), *published) > 0;
        });
        auto ports = ports_words(needed->destination_ports);
        flow.change = published->text() + (own ? " is the firewall itself" : " is no host's own address") + "; no dnat rule takes " +
                      (leg.protocol == "tcp" ? "TCP" : "UDP") + (ports.empty() ? "" : " " + ports) + " to " + host->name + " (" + host->address.text() + ")";
        if (places == nullptr) return true;
        const auto boxes = scenario::boxes(scenario_);
        const auto box = std::ranges::find(boxes, first, &scenario::Firewall::name);
        const auto view = box == boxes.end() ? scenario_ : scenario::as_seen_by(scenario_, *box);
        const auto* in = view.zone(source->zone);
        const auto* out = view.zone(host->zone);
        const auto add = [&](const json::object& place, std::string bare, std::string narrower = {}) {
            Suggestion suggestion;
            suggestion.narrower = std::move(narrower);
            suggestion.dialect = dialect == Dialect::iptables ? "iptables" : "nft";
            suggestion.file = text_at(place, field::file);
            suggestion.line = static_cast<unsigned>(number_at(place, field::line));
            suggestion.chain = text_at(place, field::chain);
            suggestion.command = text_at(place, field::command);
            suggestion.bare = std::move(bare);
            suggestion.rule = as_command(suggestion.bare, dialect, suggestion.chain, suggestion.command);
            add_suggestion(flow, std::move(suggestion));
        };
        if (const auto* place = object_at(*places, "dnat")) {
            const auto rule = [&](std::optional<scenario::Subnet> of) {
                return dnat_rule(*published, host->address, leg.protocol, needed->destination_ports, dialect, text_at(*place, field::chain),
                                 in != nullptr ? in->interface : std::string{}, of);
            };
            const auto everybody = anyone_as(flow, first, "prerouting");
            const auto from = everybody ? everybody->net : scenario::Subnet{source->address, 32};
            add(*place, rule({}), from.prefix == 0 ? std::string{} : rule(from));
        }
        if (const auto* place = object_at(*places, "forward")) {
            auto inner = *needed;
            inner.destination_address = host->address;
            const auto chain = text_at(*place, field::chain);
            add(*place, accept_rule(inner, dialect, chain.substr(chain.rfind(' ') + 1), false,
                                    in != nullptr && place->contains(field::in) ? in->interface : std::string{},
                                    out != nullptr && place->contains(field::out) ? out->interface : std::string{}, anyone_as(flow, first, "forward")));
        }
        return true;
    }

    static std::string ports_words(const scenario::PortList& ports) {
        std::string words;
        for (const auto& range : ports) words += (words.empty() ? "" : ", ") + range.text();
        return words;
    }

    static void add_suggestion(FlowResult& flow, Suggestion suggestion) {
        const auto same = [&](const Suggestion& s) { return s.rule == suggestion.rule && s.line == suggestion.line; };
        if (std::ranges::none_of(flow.suggestions, same)) flow.suggestions.push_back(std::move(suggestion));
    }

    // What is shut and shall be shut needs no advice.
    static bool to_be_opened(const FlowResult& flow) {
        const auto wish = flow.expected.verdict.value_or(Verdict::pass);
        return !flow.as_expected && (wish == Verdict::pass || wish == Verdict::degraded);
    }

    void suggest(const LegResult& leg, FlowResult& flow, const Event& event) const {
        const auto* before = object_at(event.fields, field::before);
        if (!before || !to_be_opened(flow)) return;
        const auto dialect = text_at(event.fields, field::dialect) == "iptables" ? Dialect::iptables : Dialect::nft;
        const auto chain = text_at(*before, field::chain);
        const auto name = chain.substr(chain.rfind(' ') + 1);
        Suggestion suggestion;
        suggestion.dialect = dialect == Dialect::iptables ? "iptables" : "nft";
        suggestion.file = text_at(*before, field::file);
        suggestion.line = static_cast<unsigned>(number_at(*before, field::line));
        const auto* as = object_at(event.fields, field::as);
        const bool untranslated =
            !leg.source_seen.empty() && between(event.fields, leg.destination_seen, leg.source_seen);
        const bool answer = untranslated || between(event.fields, leg.destination, leg.source) ||
                            (as && between(*as, leg.destination, leg.source));
        const auto state = text_at(event.fields, field::state);
        const auto* tracks = event.fields.if_contains(field::tracks);
        const bool can_ask = tracks != nullptr && tracks->is_bool() && tracks->get_bool();
        std::string rule_text;
        // Without a rule that asks for the state, the kernel does not track connections: then the addresses tell.
        // Nor where a rule picks these packets out by what they are (length, content, rate): it guards everybody else.
        const auto* general = event.fields.if_contains(field::general);
        const bool whatever = general == nullptr || !general->is_bool() || general->get_bool();
        if (can_ask && whatever && (answer || state == "established" || state == "related")) {
            rule_text = accept_answers(dialect, name);
        } else {
            auto needed = spec_leg(leg, flow);
            if (!needed) return;
            if (untranslated) needed = as_seen_there(*needed, leg);
            rule_text = accept_rule(as_seen(*needed, event.fields, answer), dialect, name, answer, text_at(*before, field::in), text_at(*before, field::out),
                                    anyone_as(flow, text_at(event.fields, field::box), text_at(*before, field::hook)));
        }
        suggestion.chain = chain;
        suggestion.command = text_at(*before, field::command);
        suggestion.bare = rule_text;
        suggestion.rule = as_command(rule_text, dialect, chain, suggestion.command);
        add_suggestion(flow, std::move(suggestion));
    }

    // The leg with its addresses as translated where the packet was stopped. `answer`: the packet came back.
    static scenario::Leg as_seen(scenario::Leg leg, const boost::json::object& trace, bool answer) {
        const auto* as = object_at(trace, field::as);
        if (!as) return leg;
        const auto put = [](const std::string& was, const std::string& is, scenario::Ipv4& address,
                            scenario::PortList* ports) {
            if (const auto seen = scenario::Ipv4::from(address_of(is)); seen && address_of(was) != address_of(is))
                address = *seen;
            const auto colon = is.find(':');
            if (ports == nullptr || colon == std::string::npos || was.substr(was.find(':')) == is.substr(colon)) return;
            if (const auto range = scenario::PortRange::from(is.substr(colon + 1))) *ports = {*range};
        };
        const auto was_source = text_at(trace, field::source), was_destination = text_at(trace, field::destination);
        const auto source = text_at(*as, field::source), destination = text_at(*as, field::destination);
        put(was_source, source, answer ? leg.destination_address : leg.source_address,
            answer ? &leg.destination_ports : nullptr);
        put(was_destination, destination, answer ? leg.source_address : leg.destination_address,
            answer ? nullptr : &leg.destination_ports);
        return leg;
    }

    // The leg with the addresses that its far end sees.
    static scenario::Leg as_seen_there(scenario::Leg needed, const LegResult& leg) {
        const auto source = scenario::Ipv4::from(address_of(leg.source_seen));
        const auto destination = scenario::Ipv4::from(address_of(leg.destination_seen));
        if (source) needed.source_address = *source;
        if (destination) needed.destination_address = *destination;
        const auto colon = leg.destination_seen.find(':');
        if (colon == std::string::npos || leg.destination.ends_with(leg.destination_seen.substr(colon))) return needed;
        if (const auto port = scenario::PortRange::from(leg.destination_seen.substr(colon + 1)))
            needed.destination_ports = {*port};
        return needed;
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