// A scenario file from anybody: either good or with problems that can be shown, soon and with bounded memory. Of a good
// one, everything that is made from it must hold together.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/loader.hpp"
#include "common/scenario/options.hpp"
#include "common/scenario/waves.hpp"

using namespace wmlab::scenario;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check_problem(const Problem& problem) {
    const auto text = explain(problem);
    require(text.ends_with('\n') && text.size() < 4000 && !problem.what.empty());
    for (const char c : text) require(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= 0x20);
}

void check_scenario(const Scenario& scenario) {
    require(scenario.zones.size() >= 2 && !scenario.hosts.empty() && !scenario.flows.empty());
    for (const auto& host : scenario.hosts) {
        const auto* zone = scenario.zone(host.zone);
        require(zone != nullptr && zone->subnet.contains(host.address) && host.address != zone->gateway);
        require(scenario.host_at(host.address) == &host);
    }
    const auto all = instances(scenario);
    require(!all.empty() && all.size() <= instances_max);
    std::set<std::string> ids;
    for (const auto& instance : all) {
        require(ids.insert(instance.id).second);
        require(scenario.host(instance.from) != nullptr && scenario.host(instance.to) != nullptr);
        if (ids.size() > 100) continue;
        for (const auto& leg : legs(scenario, instance)) {
            require(leg.source_address.value != 0 && leg.destination_address.value != 0);
            for (const auto& range : leg.destination_ports) require(range.first > 0 && range.first <= range.last);
        }
        require(transports(*instance.flow).size() >= 1);
    }
    if (all.size() > 500) return;
    std::size_t in_waves = 0;
    for (const auto& wave : waves(scenario, all)) {
        require(!wave.empty());
        in_waves += wave.size();
    }
    require(in_waves == all.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto loaded = load({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", "/", wmlab::scenario::Files::not_checked);
    require(loaded.problems.size() <= 201);
    for (const auto& problem : loaded.problems) check_problem(problem);
    require(std::ranges::is_sorted(loaded.problems.begin(),
                                   loaded.problems.empty() ? loaded.problems.end() : loaded.problems.end() - 1, {},
                                   [](const Problem& problem) {
                                       return std::pair{problem.line, problem.column};
                                   }));
    if (loaded.ok()) check_scenario(loaded.scenario);
    return 0;
}
