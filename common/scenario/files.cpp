#include "common/scenario/files.hpp"

#include "common/scenario/loader.hpp"
#include "common/scenario/problems.hpp"
#include "common/scenario/template.hpp"
#include "common/scenario/yaml_tree.hpp"

namespace wmlab::scenario {

std::vector<std::filesystem::path> files_read_for(const std::filesystem::path& file) {
    std::vector<std::filesystem::path> files{file};
    const auto text = read_document(file);
    if (!text) return files;
    auto document = yaml::parse(text->starts_with("\xEF\xBB\xBF") ? text->substr(3) : *text);
    if (document.error) return files;
    Problems ignored{file.string(), *text};
    expand(document.root, std::filesystem::absolute(file).parent_path(), ignored, &files);
    return files;
}

std::vector<std::filesystem::path> rulesets_of(const Scenario& scenario) {
    std::vector<std::filesystem::path> files;
    if (!scenario.firewall.ruleset.empty()) files.push_back(scenario.firewall.ruleset);
    for (const auto& box : scenario.firewalls)
        if (!box.ruleset.empty()) files.push_back(box.ruleset);
    for (const auto& incident : scenario.events)
        if (!incident.ruleset.empty()) files.push_back(incident.ruleset);
    return files;
}

std::vector<std::filesystem::path> registries_of(const Scenario& scenario) {
    std::vector<std::filesystem::path> files;
    for (const auto& flow : scenario.flows)
        if (!flow.registry.empty()) files.push_back(flow.registry);
    return files;
}

}  // namespace wmlab::scenario
