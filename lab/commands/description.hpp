// What a report says of itself besides its verdicts: identity, times of the flows, and the picture for the html report.
#pragma once
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "common/evidence/event.hpp"
#include "lab/run/lab.hpp"
#include "lab/verdict/picture.hpp"

namespace wmlab::lab::commands {

// `ruleset`: the file that was loaded; empty: none of ours. Keeps the identity that the report may have already.
void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              const std::vector<std::filesystem::path>& rulesets, std::string_view lab);

// The same where the ruleset's text is known and the identity was taken when the run was: a replay.
void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              std::vector<RulesetText> rulesets, Identity identity);

// A ruleset's text and that of what it includes.
std::vector<RulesetText> texts_of(const std::filesystem::path& ruleset);
RulesetText text_of(std::string name, std::string_view text);

}  // namespace wmlab::lab::commands
