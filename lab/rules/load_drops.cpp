#include "lab/rules/load_drops.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>
#include <string>

#include "common/evidence/trace.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/rule_fields.hpp"

namespace wmlab::lab::rules {
using evidence::Event;
using evidence::What;
namespace {

struct Whose {
    std::size_t load = 0;
    const FlowResult* player = nullptr;
};

std::string way_key(const std::string& protocol, const std::string& source, const std::string& destination) {
    return protocol + ' ' + source + ' ' + destination;
}

// The ways of all legs of all players, by wave: ports are used again.
std::map<std::string, Whose> ways_of(const Report& report) {
    std::map<std::string, Whose> ways;
    for (const auto& flow : report.flows) {
        const auto load = std::ranges::find(report.loads, flow.load, &LoadResult::load);
        if (flow.load.empty() || load == report.loads.end()) continue;
        const Whose whose{static_cast<std::size_t>(load - report.loads.begin()), &flow};
        const auto add = [&](const std::vector<LegResult>& legs) {
            for (const auto& leg : legs) {
                const auto& source = leg.source_seen.empty() ? leg.source : leg.source_seen;
                const auto& destination = leg.destination_seen.empty() ? leg.destination : leg.destination_seen;
                ways.emplace(way_key(leg.protocol, leg.source, leg.destination), whose);
                ways.emplace(way_key(leg.protocol, destination, source), whose);
            }
        };
        add(flow.legs);
        for (const auto& attempt : flow.attempts) add(attempt.legs);
    }
    return ways;
}

}  // namespace

void attribute_loads(Report& report, std::span<const Event> events) {
    if (report.loads.empty()) return;
    const auto ways = ways_of(report);
    const auto waves = waves_of(events);
    struct Sum {
        RuleRef rule;
        std::uint64_t packets = 0;
        std::set<const FlowResult*> players;
    };
    std::map<std::pair<std::size_t, std::string>, Sum> sums;  // by load and rule
    for (const auto& event : events) {
        if (event.event != What::trace || event.fields.contains(field::own) || fate_of(event) != evidence::Fate::dropped) continue;
        const auto found =
            ways.find(way_key(text_at(event.fields, field::protocol), text_at(event.fields, field::source), text_at(event.fields, field::destination)));
        const auto rule = ref_from(object_at(event.fields, field::rule), event);
        if (found == ways.end() || !rule) continue;
        const auto wave = waves.find(found->second.player->id);
        const auto told = number_at(event.fields, field::wave);
        if (wave != waves.end() && told != 0 && told != wave->second) continue;
        auto& sum = sums[{found->second.load, rule->file + ':' + std::to_string(rule->line) + ' ' + rule->chain + ' ' + rule->text}];
        sum.rule = *rule;
        sum.packets += static_cast<std::uint64_t>(std::max<std::int64_t>(number_at(event.fields, field::packets), 0));
        sum.players.insert(found->second.player);
    }
    for (auto& load : report.loads) load.dropped.clear();
    for (auto& [key, sum] : sums) report.loads[key.first].dropped.push_back({std::move(sum.rule), sum.packets, static_cast<unsigned>(sum.players.size())});
    for (auto& load : report.loads) std::ranges::stable_sort(load.dropped, std::ranges::greater{}, &LoadResult::Dropped::packets);
}

}  // namespace wmlab::lab::rules
