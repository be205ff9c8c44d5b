#include "lab/commands/description.hpp"

#include <sstream>

#include "lab/judge/picture.hpp"
#include "lab/rules/source.hpp"
#include "lab/run/identity.hpp"

namespace wmlab::lab::commands {

RulesetText text_of(std::string name, std::string_view text) {
    RulesetText result{std::move(name), {}};
    std::istringstream lines{std::string{text}};
    for (std::string line; std::getline(lines, line);) result.lines.push_back(line);
    return result;
}

std::vector<RulesetText> texts_of(const std::filesystem::path& ruleset) {
    std::vector<RulesetText> texts;
    if (ruleset.empty()) return texts;
    for (const auto& file : rules::read_source(ruleset).files) {
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(file, ignored)) continue;
        texts.push_back(text_of(file.string(), rules::read_from_disk(file).value_or(std::string{})));
    }
    return texts;
}

void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              std::vector<RulesetText> rulesets, Identity identity) {
    report.identity = std::move(identity);
    time_flows(report, events);
    auto picture = picture_of(report, text.scenario, events);
    picture->rulesets = std::move(rulesets);
    report.picture = std::move(picture);
}

void describe(Report& report, const ScenarioText& text, std::span<const evidence::Event> events,
              const std::vector<std::filesystem::path>& rulesets, std::string_view lab) {
    auto identity = report.identity.when.empty() ? identity_of(text.scenario, text.yaml, lab) : report.identity;
    std::vector<RulesetText> texts;
    for (const auto& ruleset : rulesets) {
        add_ruleset(identity, ruleset);
        for (auto& one : texts_of(ruleset)) texts.push_back(std::move(one));
    }
    describe(report, text, events, std::move(texts), std::move(identity));
}

}  // namespace wmlab::lab::commands
