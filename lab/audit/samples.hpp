// From which addresses `from: anyone@ZONE` is played: inside and at the edges of what the rules name, beside it, and
// where no rule names anything.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "common/evidence/event.hpp"
#include "common/scenario/loader.hpp"
#include "lab/audit/fields.hpp"
#include "lab/firewall/ruleset_file.hpp"

namespace wmlab::lab {

struct Picked {
    scenario::Samples samples;       // by zone, sorted
    std::vector<std::string> notes;  // what no sample stands for
};

bool needs_samples(const scenario::Scenario& scenario);

// Pure. `cuts`: where, by the words of the rules, addresses may differ that `asked` does not know of.
Picked pick_samples(const scenario::Scenario& scenario, const Asked& asked, const std::vector<std::uint32_t>& cuts = {});

// Loads all rulesets of a run, one after the other, into firewalls without hosts. Inside the sandbox. SetupFailed,
// RulesetRefused.
Picked pick_samples(const scenario::Scenario& scenario, const std::vector<std::vector<BoxRules>>& rulesets);

// From where `anyone` of each zone was played, by the journals of a run. Empty: nothing is told.
scenario::Samples samples_in(const scenario::Scenario& scenario, std::span<const evidence::Event> events);

}  // namespace wmlab::lab
