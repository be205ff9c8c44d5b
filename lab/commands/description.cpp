#include "lab/commands/description.hpp"

#include <sstream>

#include "lab/judge/picture.hpp"
#include "lab/rules/source.hpp"
#include "lab/run/identity.hpp"

namespace wmlab::lab::commands {
namespace {

std::vector<RulesetText> texts_of(const std::filesystem::path& ruleset) {
    std::vector<RulesetText> texts;
    if (ruleset.empty()) return texts;
    for (const auto& file : rules::read_source(ruleset).files) {
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(file, ignored)) continue;
        RulesetText text{file.string(), {}};
        std::istringstream lines{rules::read_from_disk(file).value_or(std::string{})};
        for (std::string line; std::getline(lines, line);) text.lines.push_back(line);
        texts.push_back(std::move(text));
    }
    return texts;
}

}  // namespace

void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              const std::filesystem::path& ruleset, std::string_view lab) {
    if (report.identity.when.empty()) report.identity = identity_of(text.scenario, text.yaml, lab);
    add_ruleset(report.identity, ruleset);
    time_flows(report, events);
    auto picture = picture_of(report, text.scenario, events);
    picture->rulesets = texts_of(ruleset);
    report.picture = std::move(picture);
}

}  // namespace wmlab::lab::commands
