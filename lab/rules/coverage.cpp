#include "lab/rules/coverage.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "common/evidence/trace.hpp"
#include "lab/rules/endpoints.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
using evidence::Event;
using evidence::Fate;
using evidence::What;
namespace {

bool of_leg(const Event& event, const LegResult& leg) {
    if (text_field(event, field::protocol) != leg.protocol) return false;
    const auto source = text_field(event, field::source), destination = text_field(event, field::destination);
    if (leg.protocol == "igmp") return fits(leg.source, source);  // to the group, or to all routers
    const auto either_way = [&](std::string_view one, std::string_view other) {
        return (fits(one, source) && fits(other, destination)) || (fits(other, source) && fits(one, destination));
    };
    if (either_way(leg.source, leg.destination)) return true;
    // answers arrive with the addresses that the far end saw
    return either_way(leg.source_seen.empty() ? leg.source : leg.source_seen,
                      leg.destination_seen.empty() ? leg.destination : leg.destination_seen);
}

std::vector<const LegResult*> legs_of(const FlowResult& flow) {
    std::vector<const LegResult*> legs;
    for (const auto& leg : flow.legs) legs.push_back(&leg);
    for (const auto& attempt : flow.attempts)
        for (const auto& leg : attempt.legs) legs.push_back(&leg);
    return legs;
}

// What has to become of this leg's packets for the flow to be as the scenario wants it.
std::optional<Fate> wanted_fate(const FlowResult& flow, const LegResult& leg) {
    if (leg.verdict == Verdict::pass || leg.verdict == Verdict::degraded) return Fate::forwarded;
    return leg.verdict == Verdict::blocked && flow.as_expected ? std::optional{Fate::dropped} : std::nullopt;
}

// A report of IGMP is for the firewall itself: no rule but routing ends its way.
bool is(const Event& event, Fate fate, const LegResult& leg) {
    const auto seen = fate_of(event);
    return seen == fate || (leg.protocol == "igmp" && fate == Fate::forwarded && seen == Fate::unfinished);
}

}  // namespace

std::vector<RuleUse> coverage(const Report& report, std::span<const Event> events) {
    std::vector<RuleUse> uses;
    struct Stretch {
        std::size_t first = 0, size = 0;
    };
    std::map<std::string_view, Stretch> rules_of;  // of each firewall, in `uses`
    for (const auto& event : events) {
        const auto* rules = event.event == What::trace ? list_field(event, field::rules) : nullptr;
        if (!rules) continue;
        const auto box = text_field(event, field::box);
        const auto first = uses.size();
        for (const auto& entry : *rules) {
            const auto* rule = entry.if_object();
            if (!rule) continue;
            RuleUse use;
            use.rule = rule_ref(*rule);
            use.rule.box = box;
            use.packets = whole_field(*rule, field::packets).value_or(0);
            uses.push_back(std::move(use));
        }
        rules_of[box] = {first, uses.size() - first};
    }
    for (const auto& flow : report.flows) {
        std::set<std::size_t> needed;
        for (const auto* leg : legs_of(flow)) {
            const auto fate = wanted_fate(flow, *leg);
            if (!fate) continue;
            for (const auto& event : events) {
                const auto* steps = event.event == What::trace ? list_field(event, field::steps) : nullptr;
                if (!steps || !is(event, *fate, *leg) || !of_leg(event, *leg)) continue;
                const auto own = rules_of[text_field(event, field::box)];
                for (const auto& step : *steps)
                    if (const auto index = evidence::whole_number(step); index && *index < own.size) needed.insert(own.first + *index);
            }
        }
        for (const auto index : needed) uses[index].flows.push_back(flow.id);
    }
    return uses;
}

}  // namespace wmlab::lab::rules
