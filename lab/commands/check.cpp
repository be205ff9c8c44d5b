// wmlab check: validates scenarios without running anything.
#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/missing.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/error.hpp"
#include "lab/network/network.hpp"
#include "lab/rules/site.hpp"

namespace wmlab::lab::commands {
namespace {

// Loads the scenario's ruleset into a lab that is built for it: what nft or iptables-restore refuses is said now and
// not at the first run. A machine that allows no lab can still check the rest.
bool loads(scenario::Scenario scenario) {
    std::erase_if(scenario.hosts, &scenario::Host::asked);
    const auto boxes = rules_of_boxes(scenario, ruleset_for(std::nullopt, scenario));
    if (all_open(boxes)) return true;
    const auto load = [&](const Inside&) {
        try {
            Network network{scenario};
            std::vector<std::string> notes;
            for (const auto& box : boxes) {
                if (box.ruleset.empty()) continue;
                const auto& place = network.firewall(box.name());
                load_for(
                    box.view, place, box.ruleset, [&](const std::string& name) { network.add_interface(box.name(), name); }, notes);
                const auto rules = read_ruleset(place, box.ruleset, box.view.firewall.include_path);
                for (auto& sentence : rules::misfits(rules, box.view))
                    notes.push_back((boxes.size() > 1 ? box.name() + ": " : std::string{}) + sentence);
            }
            for (const auto& note : notes) std::cerr << "wmlab: note: " << note << '\n';
        } catch (const RulesetRefused& refused) {
            std::cerr << refused.what() << (std::string_view{refused.what()}.ends_with('\n') ? "" : "\n");
            return 2;
        } catch (const SetupFailed& failure) {
            std::cerr << "wmlab: note: the ruleset was not tried: " << failure.what() << '\n';
        }
        return 0;
    };
    try {
        return in_sandbox(load) == 0;
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: note: the ruleset was not tried: " << failure.what() << '\n';
        return true;
    }
}

}  // namespace

int check_command(Arguments arguments) {
    const Usage usage{
        "check",
        "SCENARIO...",
        "Validates scenario files without running them. Says everything that is wrong, with line and column, and what nft or iptables-restore says of their rulesets; exit 2 if anything is wrong.",
        {},
        ""};
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.empty()) throw UsageError{"check: which scenario?"};
    bool good = true;
    for (const auto& file : files) {
        const auto scenario = read_scenario(file, scenario::Files::checked);
        good = good && scenario;
        if (!scenario) continue;
        if (!loads(*scenario)) {
            good = false;
            continue;
        }
        const auto flows = scenario::instances(*scenario).size();
        std::cout << fmt::format("{}: good, {} flow{}\n", file, flows, flows == 1 ? "" : "s");
    }
    return good ? 0 : 2;
}

}  // namespace wmlab::lab::commands
