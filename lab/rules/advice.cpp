#include "lab/rules/advice.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "common/evidence/fields.hpp"
#include "common/scenario/boxes.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/generate.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
namespace json = boost::json;
using evidence::Event;

namespace {

std::string ports_words(const scenario::PortList& ports) {
    std::string words;
    for (const auto& range : ports) words += (words.empty() ? "" : ", ") + range.text();
    return words;
}

void add_suggestion(FlowResult& flow, Suggestion suggestion) {
    const auto same = [&](const Suggestion& s) { return s.rule == suggestion.rule && s.line == suggestion.line; };
    if (std::ranges::none_of(flow.suggestions, same)) flow.suggestions.push_back(std::move(suggestion));
}

// The leg with its addresses as translated where the packet was stopped. `answer`: the packet came back.
scenario::Leg as_seen(scenario::Leg leg, const boost::json::object& trace, bool answer) {
    const auto* as = object_at(trace, field::as);
    if (!as) return leg;
    const auto put = [](const std::string& was, const std::string& is, scenario::Ipv4& address, scenario::PortList* ports) {
        if (const auto seen = scenario::Ipv4::from(address_of(is)); seen && address_of(was) != address_of(is)) address = *seen;
        const auto colon = is.find(':');
        if (ports == nullptr || colon == std::string::npos || was.substr(was.find(':')) == is.substr(colon)) return;
        if (const auto range = scenario::PortRange::from(is.substr(colon + 1))) *ports = {*range};
    };
    const auto was_source = text_at(trace, field::source), was_destination = text_at(trace, field::destination);
    const auto source = text_at(*as, field::source), destination = text_at(*as, field::destination);
    put(was_source, source, answer ? leg.destination_address : leg.source_address, answer ? &leg.destination_ports : nullptr);
    put(was_destination, destination, answer ? leg.source_address : leg.destination_address, answer ? nullptr : &leg.destination_ports);
    return leg;
}

// The leg with the addresses that its far end sees.
scenario::Leg as_seen_there(scenario::Leg needed, const LegResult& leg) {
    const auto source = scenario::Ipv4::from(address_of(leg.source_seen));
    const auto destination = scenario::Ipv4::from(address_of(leg.destination_seen));
    if (source) needed.source_address = *source;
    if (destination) needed.destination_address = *destination;
    const auto colon = leg.destination_seen.find(':');
    if (colon == std::string::npos || leg.destination.ends_with(leg.destination_seen.substr(colon))) return needed;
    if (const auto port = scenario::PortRange::from(leg.destination_seen.substr(colon + 1))) needed.destination_ports = {*port};
    return needed;
}

}  // namespace

bool to_be_opened(const FlowResult& flow) {
    const auto wish = flow.expected.verdict.value_or(Verdict::pass);
    return !flow.as_expected && (wish == Verdict::pass || wish == Verdict::degraded);
}

std::string from_words(const FlowResult& flow) { return flow.anyone ? "any address of zone " + flow.anyone->zone : flow.from; }

std::string change_of(const LegResult& leg, const FlowResult& flow) {
    const auto rule = leg.rule && leg.rule->line != 0 ? leg.rule->file + ":" + std::to_string(leg.rule->line) + " (" + leg.rule->text + ")"
                                                      : std::string{"the rule that translates"};
    if (flow.type == "dcom" || flow.type == "encoder-alias")
        return rule + " must leave out what goes from " + from_words(flow) + " to " + flow.to +
               ", which has to be reached by its own address: DCOM carries addresses in its messages";
    return rule + " must leave out what goes from " + from_words(flow) + " to " + flow.to +
           (flow.type == "mms-udp" ? ", or the player has to use TCP: media over UDP does not survive translation"
                                   : ", or lead to where " + flow.to + " listens");
}

// A sample stands for all addresses of its zone, and no rule is to be about it alone. `hook`: of the chain.
std::optional<AnyoneAs> Adviser::anyone_as(const FlowResult& flow, const std::string& box, const std::string& hook) const {
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

bool Adviser::suggest_translation(const LegResult& leg, FlowResult& flow, const Decisions& decisions) const {
    const auto published = scenario::Ipv4::from(address_of(leg.destination));
    const auto* source = scenario_.host_at(scenario::Ipv4::from(address_of(leg.source)).value_or(scenario::Ipv4{}));
    const auto host = std::ranges::find_if(scenario_.hosts, [&](const scenario::Host& h) { return published && h.published_at(*published); });
    if (!to_be_opened(flow) || host == scenario_.hosts.end() || source == nullptr || leg.direction == "to->from") return false;
    // Of several firewalls the one that the source sends to.
    const auto hops = scenario::way(scenario_, source->zone, host->zone);
    const auto first = hops.empty() ? std::string{} : hops.front().box;
    bool seen = false;
    const json::object* places = nullptr;
    Dialect dialect = Dialect::nft;
    for (const auto* one : decisions.all()) {
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
    flow.change = not_translated(leg, *needed, *published, *host);
    if (places != nullptr) add_translation(leg, flow, *needed, *published, *host, *source, *places, dialect);
    return true;
}

// How it is told.
std::string Adviser::not_translated(const LegResult& leg, const scenario::Leg& needed, scenario::Ipv4 published, const scenario::Host& host) const {
    const bool own = std::ranges::any_of(scenario_.zones, [&](const scenario::Zone& zone) {
        return zone.gateway == published || std::ranges::count(scenario_.published_in(zone), published) > 0;
    });
    auto ports = ports_words(needed.destination_ports);
    return published.text() + (own ? " is the firewall itself" : " is no host's own address") + "; no dnat rule takes " +
           (leg.protocol == "tcp" ? "TCP" : "UDP") + (ports.empty() ? "" : " " + ports) + " to " + host.name + " (" + host.address.text() + ")";
}

// The port forward, and the rule for what it leads on.
void Adviser::add_translation(const LegResult& leg, FlowResult& flow, const scenario::Leg& needed, scenario::Ipv4 published, const scenario::Host& host,
                              const scenario::Host& source, const json::object& places, Dialect dialect) const {
    const auto hops = scenario::way(scenario_, source.zone, host.zone);
    const auto first = hops.empty() ? std::string{} : hops.front().box;
    const auto boxes = scenario::boxes(scenario_);
    const auto box = std::ranges::find(boxes, first, &scenario::Firewall::name);
    const auto view = box == boxes.end() ? scenario_ : scenario::as_seen_by(scenario_, *box);
    const auto* in = view.zone(source.zone);
    const auto* out = view.zone(host.zone);
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
    if (const auto* place = object_at(places, "dnat")) {
        const auto rule = [&](std::optional<scenario::Subnet> of) {
            return dnat_rule(published, host.address, leg.protocol, needed.destination_ports, dialect, text_at(*place, field::chain),
                             in != nullptr ? in->interface : std::string{}, of);
        };
        const auto everybody = anyone_as(flow, first, "prerouting");
        const auto from = everybody ? everybody->net : scenario::Subnet{source.address, 32};
        add(*place, rule({}), from.prefix == 0 ? std::string{} : rule(from));
    }
    if (const auto* place = object_at(places, "forward")) {
        auto inner = needed;
        inner.destination_address = host.address;
        const auto chain = text_at(*place, field::chain);
        add(*place,
            accept_rule(inner, dialect, chain.substr(chain.rfind(' ') + 1), false, in != nullptr && place->contains(field::in) ? in->interface : std::string{},
                        out != nullptr && place->contains(field::out) ? out->interface : std::string{}, anyone_as(flow, first, "forward")));
    }
}

void Adviser::suggest(const LegResult& leg, FlowResult& flow, const Event& event) const {
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
    const bool untranslated = !leg.source_seen.empty() && between(event.fields, leg.destination_seen, leg.source_seen);
    const bool answer = untranslated || between(event.fields, leg.destination, leg.source) || (as && between(*as, leg.destination, leg.source));
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

// The leg as the catalogue has it, with its whole port ranges. A rollover that may use a proxy has a leg `http` to
// the server of its own besides the proxy's.
std::optional<scenario::Leg> Adviser::spec_leg(const LegResult& leg, const FlowResult& flow) const {
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

}  // namespace wmlab::lab::rules
