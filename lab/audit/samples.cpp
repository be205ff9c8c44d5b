#include "lab/audit/samples.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>

#include "common/scenario/boxes.hpp"
#include "common/scenario/options.hpp"
#include "lab/audit/exploration.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/missing.hpp"
#include "lab/network/network.hpp"
#include "lab/rules/literals.hpp"

namespace wmlab::lab {
namespace {

constexpr std::size_t of_a_zone_max = 16;  // each is a host, and each flow from anyone is played from all of them
constexpr std::size_t spans_told_max = 4, cuts_max = 2000;

std::set<std::string> zones_of_anyone(const scenario::Scenario& scenario) {
    std::set<std::string> zones;
    for (const auto& flow : scenario.flows)
        for (const auto& anyone : flow.anyone) zones.insert(anyone.zone);
    return zones;
}

scenario::Ipv4 address_at(Wide value) { return {static_cast<std::uint32_t>(value)}; }

std::string range_words(const Span& span) {
    const auto size = static_cast<std::uint64_t>(span.last - span.first) + 1;
    if (size == 1) return address_at(span.first).text();
    if (std::has_single_bit(size) && static_cast<std::uint64_t>(span.first) % size == 0)
        return fmt::format("{}/{}", address_at(span.first).text(), 32 - std::countr_zero(size));
    return address_at(span.first).text() + "-" + address_at(span.last).text();
}

std::string ranges_words(const Spans& spans) {
    std::string all;
    for (std::size_t i = 0; i < spans.size(); ++i) {
        if (i == spans_told_max) return fmt::format("{} and {} more", all, spans.size() - i);
        all += (all.empty() ? "" : ", ") + range_words(spans[i]);
    }
    return all;
}

Wide size_of(const Spans& spans) {
    Wide sum = 0;
    for (const auto& span : spans) sum += span.last - span.first + 1;
    return sum;
}

Span span_of(const scenario::Subnet& subnet) { return {subnet.network.value, subnet.broadcast().value}; }

// Public addresses that no zone has: those that may be behind a zone without an end.
Spans beyond_zones(const scenario::Scenario& scenario) {
    Spans taken;
    for (const auto& net : scenario::networks_not_public()) taken.push_back(span_of(net));
    for (const auto& zone : scenario.zones) taken.push_back(span_of(zone.subnet));
    return without({{0, 0xFFFFFFFF}}, taken);
}

class Picker {
public:
    Picker(const scenario::Scenario& scenario, const scenario::Zone& zone) : scenario_{scenario}, zone_{zone} {
        for (const auto& host : scenario.hosts)
            for (const auto& [_, address] : host.published) taken_.insert(address.value);
        for (const auto& box : scenario::boxes(scenario)) {
            for (const auto& side : box.sides) taken_.insert(side.address.value);
            for (const auto& interface : box.interfaces)
                if (interface.address) taken_.insert(interface.address->value);
        }
        for (const auto& one : scenario.zones)
            taken_.insert({one.gateway.value, one.subnet.network.value, one.subnet.broadcast().value});
    }

    // Nobody else's; a host of this zone plays for itself, if need be.
    bool usable(Wide value, bool as_host) const {
        if (taken_.contains(static_cast<std::uint32_t>(value))) return false;
        const auto* const host = scenario_.host_at(address_at(value));
        return host == nullptr || host->sample || (as_host && host->zone == zone_.name);
    }

    // The nearest from there inwards.
    std::optional<Wide> near(const Span& span, Wide from, bool upwards, bool as_host) const {
        constexpr Wide steps_max = 512;
        for (Wide step = 0; step < steps_max; ++step) {
            if (upwards ? from + step > span.last : from < span.first + step) break;
            const Wide value = upwards ? from + step : from - step;
            if (usable(value, as_host)) return value;
        }
        return std::nullopt;
    }

    // One from within the class, which is none of a host if possible.
    std::optional<Wide> within(const Spans& spans) const {
        auto by_size = spans;
        std::ranges::stable_sort(by_size, std::ranges::greater{}, [](const Span& span) { return span.last - span.first; });
        for (const bool as_host : {false, true})
            for (const auto& span : by_size) {
                const auto middle = span.first + (span.last - span.first) / 2;
                for (const bool upwards : {true, false})
                    if (const auto found = near(span, middle, upwards, as_host)) return found;
            }
        return std::nullopt;
    }

private:
    const scenario::Scenario& scenario_;
    const scenario::Zone& zone_;
    std::set<std::uint32_t> taken_;
};

// Of what the rules name, that in no zone and public: whose it is nobody knows.
std::string named_beyond(const scenario::Scenario& scenario, const std::set<Spans>& asked) {
    const auto beyond = beyond_zones(scenario);
    std::set<Span> named;
    for (const auto& spans : asked)
        for (const auto& span : spans)
            if (span.last - span.first < 0x1000000)
                for (const auto& part : beyond)
                    if (part.first <= span.first && span.last <= part.last) named.insert(span);
    return ranges_words({named.begin(), named.end()});
}

struct Class {
    Spans spans;      // to be told
    Spans candidates; // in the zone's subnet if any is
    std::string words;
};

// What a zone's addresses fall into, by what the rules ask: first the class of the addresses that no rule names, or the largest.
std::vector<Class> classes_of_zone(const scenario::Scenario& scenario, const scenario::Zone& zone, const std::set<Spans>& asked, const Picker& picker,
                                   bool opaque) {
    const bool endless = scenario.boundless() == &zone;
    const auto subnet = span_of(zone.subnet);
    const Span own{subnet.first + 1, subnet.last - 1};
    Spans domain = endless ? beyond_zones(scenario) : Spans{};
    domain.push_back(endless ? subnet : own);
    std::ranges::sort(domain);

    std::vector<Class> all;
    for (auto& found : classes(asked, domain)) {
        Class one{std::move(found.spans), {}, {}};
        for (const auto& span : one.spans)
            if (span.first <= own.last && own.first <= span.last) one.candidates.push_back({std::max(span.first, own.first), std::min(span.last, own.last)});
        if (one.candidates.empty()) one.candidates = one.spans;
        if (picker.within(one.candidates)) all.push_back(std::move(one));
    }
    const auto rest = std::ranges::max_element(all, {}, [](const Class& one) { return size_of(one.spans); });
    for (auto& one : all) {
        const bool others = &one == &*rest;
        one.words = opaque ? std::string{} : all.size() == 1 ? "any address" : endless && others ? "every other address" : ranges_words(one.spans);
    }
    // Those that rules name first: of a list that is too long the remaining address is the least of it, but it is never missing.
    if (rest != all.end()) std::rotate(all.begin(), rest, rest + 1);
    return all;
}

// One address of each class, then first and last of each range, then those just outside of them, as many as there is room for.
class Choice {
public:
    Choice(const Picker& picker, const std::vector<Class>& all, bool opaque) {
        for (const auto& one : all) {
            const auto value = picker.within(one.candidates);
            if (chosen_.size() < of_a_zone_max) {
                chosen_.emplace(*value, one.words);
                continue;
            }
            if (++classes_left_out_ <= spans_told_max) left_out_ += (left_out_.empty() ? "" : "; ") + ranges_words(one.spans);
        }
        std::vector<std::pair<Wide, const Class*>> edges;
        std::set<Wide> known;
        for (const bool of_rest : {false, true})
            for (const auto& one : all) {
                if ((&one == all.data()) != of_rest) continue;
                for (const auto& span : one.candidates)
                    for (const bool upwards : {true, false})
                        if (const auto edge = picker.near(span, upwards ? span.first : span.last, upwards, true))
                            if (!chosen_.contains(*edge) && known.insert(*edge).second) edges.emplace_back(*edge, &one);
            }
        if (all.size() == 1 && !opaque && edges.size() > 2) edges.resize(2);
        for (const auto& [value, of] : edges) {
            if (chosen_.size() < of_a_zone_max)
                chosen_.emplace(value, of->words);
            else
                ++edges_left_out_;
        }
    }

    const std::map<Wide, std::string>& chosen() const { return chosen_; }
    // What there was no room for; empty: nothing.
    std::string note(const std::string& zone) const {
        if (classes_left_out_ > 0)
            return fmt::format(
                "anyone of zone {}: {} more groups of addresses that rules tell apart were not tried ({}{}); with "
                "`samples` in the zone they are played from",
                zone, classes_left_out_, left_out_, classes_left_out_ > spans_told_max ? "; ..." : "");
        if (edges_left_out_ > 0)
            return fmt::format(
                "anyone of zone {}: {} further edges of ranges that rules name were not tried; no rule can tell them "
                "from addresses that were",
                zone, edges_left_out_);
        return {};
    }

private:
    std::map<Wide, std::string> chosen_;
    std::size_t classes_left_out_ = 0, edges_left_out_ = 0;
    std::string left_out_;
};

void pick_of_zone(const scenario::Scenario& scenario, const scenario::Zone& zone, const std::set<Spans>& asked, bool opaque, Picked& picked) {
    const Picker picker{scenario, zone};
    const auto all = classes_of_zone(scenario, zone, asked, picker, opaque);
    const Choice choice{picker, all, opaque};
    auto& samples = picked.samples[zone.name];
    for (const auto& [value, words] : choice.chosen()) samples.push_back({address_at(value), words});
    // What the scenario names itself is played besides.
    for (const auto& given : zone.samples)
        if (std::ranges::find(samples, given.address, &scenario::Sample::address) == samples.end()) {
            auto sample = given;
            for (const auto& one : all)
                if (sample.stands_for.empty() && std::ranges::any_of(one.spans, [&](const Span& span) { return span.contains(given.address.value); }))
                    sample.stands_for = one.words;
            if (samples.size() < scenario::samples_max) samples.push_back(std::move(sample));
        }

    if (auto note = choice.note(zone.name); !note.empty()) picked.notes.push_back(std::move(note));
    if (opaque)
        picked.notes.push_back(fmt::format("anyone of zone {}: a rule looks at addresses by a mask, a hash or otherwise as can only be read word by "
                                           "word: the samples stand for themselves alone",
                                           zone.name));
    if (scenario.boundless() == nullptr) {
        if (const auto named = named_beyond(scenario, asked); !named.empty())
            picked.notes.push_back(fmt::format("anyone of zone {}: rules name {}, which are no zone's addresses and were not tried; where zone {} has no "
                                               "end, say so by `firewall: {{ default_route: {} }}`",
                                               zone.name, named, zone.name, zone.name));
    }
}

}  // namespace

bool needs_samples(const scenario::Scenario& scenario) { return !zones_of_anyone(scenario).empty(); }

Picked pick_samples(const scenario::Scenario& scenario, const Asked& asked, const std::vector<std::uint32_t>& cuts) {
    std::set<Spans> values;
    for (const auto field : {Field::source, Field::destination})
        if (const auto found = asked.values.find(field); found != asked.values.end()) values.insert(found->second.begin(), found->second.end());
    for (std::size_t i = 0; i < cuts.size() && i < cuts_max; ++i)
        values.insert({{cuts[i], i + 1 < cuts.size() ? Wide{cuts[i + 1]} - 1 : Wide{0xFFFFFFFF}}});
    Picked picked;
    for (const auto& name : zones_of_anyone(scenario)) pick_of_zone(scenario, *scenario.zone(name), values, asked.opaque, picked);
    return picked;
}

Picked pick_samples(const scenario::Scenario& scenario, const std::vector<std::vector<BoxRules>>& rulesets) {
    Asked asked;
    rules::Literals literals;
    auto bare = scenario;
    bare.hosts.clear(), bare.flows.clear();
    for (const auto& boxes : rulesets) {
        if (all_open(boxes)) continue;
        Network network{bare};
        std::vector<std::string> notes;  // the run says them itself
        for (const auto& box : boxes) {
            if (box.ruleset.empty()) continue;
            const auto& place = network.firewall(box.name());
            load_for(box.view, place, box.ruleset, [&](const std::string& name) { network.add_interface(box.name(), name); }, notes);
            const auto listing = list_rules(place);
            ask_for(read_ruleset(place, box.ruleset, box.view.firewall.include_path), listing, asked);
            rules::collect_literals(listing, literals);
        }
    }
    if (!asked.opaque) literals.addresses.clear();
    return pick_samples(scenario, asked, {literals.addresses.begin(), literals.addresses.end()});
}

scenario::Samples samples_in(const scenario::Scenario& scenario, std::span<const evidence::Event> events) {
    scenario::Samples samples;
    std::set<std::pair<std::string, std::uint32_t>> known;
    for (const auto& event : events)
        for (const auto& flow : scenario.flows) {
            if (flow.anyone.empty() || !event.flow.starts_with(flow.id)) continue;
            const auto rest = std::string_view{event.flow}.substr(flow.id.size());  // "@203.0.113.7#2", "[203.0.113.7->media]"
            if (!rest.starts_with('@') && !rest.starts_with('[')) continue;
            const auto address = scenario::Ipv4::from(rest.substr(1, rest.find_first_of("-#", 1) - 1));
            if (!address) continue;
            std::set<std::string> zones;
            for (const auto& anyone : flow.anyone) zones.insert(anyone.zone);
            // Beyond all zones it is of the one that has no end, or of the only one.
            const auto within = std::ranges::find_if(zones, [&](const auto& zone) { return scenario.zone(zone)->subnet.contains(*address); });
            const auto* const endless = scenario.boundless();
            const auto zone = within != zones.end() ? *within : endless != nullptr && zones.contains(endless->name) ? endless->name : *zones.begin();
            if (known.emplace(zone, address->value).second) samples[zone].push_back({*address, {}});
        }
    for (auto& [_, list] : samples) std::ranges::sort(list, {}, &scenario::Sample::address);
    return samples;
}

}  // namespace wmlab::lab
