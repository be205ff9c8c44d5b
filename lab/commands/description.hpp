// What a report says of itself besides its verdicts: identity, times of the flows, and the picture for the html report.
#pragma once
#include <filesystem>
#include <span>
#include <string_view>

#include "common/evidence/event.hpp"
#include "lab/run/lab.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

// `ruleset`: the file that was loaded; empty: none of ours. Keeps the identity that the report may have already.
void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              const std::filesystem::path& ruleset, std::string_view lab);

}  // namespace wmlab::lab::commands
