#include <boost/json.hpp>
#include <iterator>
#include <sstream>

#include "common/evidence/clocks.hpp"
#include "common/evidence/journal.hpp"
#include "common/scenario/loader.hpp"
#include "lab/commands/bundle.hpp"
#include "lab/commands/description.hpp"
#include "lab/commands/evidence_json.hpp"
#include "lab/judge/picture.hpp"
#include "lab/report/json_string.hpp"
#include "lab/rules/json_fields.hpp"
#include "lab/run/identity.hpp"
#include "lab/verdict/comparison.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

json::object parsed(const Bundle& bundle, std::string_view name) {
    const std::string member{name};
    boost::system::error_code failure;
    auto value = json::parse(view(bundle.member(member)), failure);
    if (failure || !value.is_object()) throw BundleRefused{member + " is not a JSON object"};
    return std::move(value.get_object());
}

// Of the journals that are in this folder itself.
std::vector<evidence::Event> events_in(const Bundle& bundle, const fs::path& folder) {
    const auto prefix = (fs::path{"journals"} / folder / "").generic_string();
    std::vector<evidence::Event> events;
    for (const auto& [name, bytes] : bundle.members) {
        if (!name.starts_with(prefix) || name.find('/', prefix.size()) != std::string::npos || !name.ends_with(".jsonl")) continue;
        std::istringstream in{bytes};
        auto journal = evidence::read_journal(in, name);
        std::ranges::move(journal.events, std::back_inserter(events));
    }
    evidence::align_clocks(events);
    return events;
}

TrialEvidence trial_in(const Bundle& bundle, std::string_view member, const fs::path& folder) {
    auto trial = trial_from(parsed(bundle, member));
    trial.events = events_in(bundle, folder);
    if (trial.control) trial.control->events = events_in(bundle, folder / control_folder);
    for (auto& [flow, run] : trial.alone) run.events = events_in(bundle, folder / alone_folder / flow);
    for (auto& [box, log] : trial.device_logs) log.text = bundle.member(log_member(box));
    return trial;
}

Report judged(const Bundle& bundle, const scenario::Scenario& scenario, std::string_view member, std::string_view folder) {
    auto evidence = trial_in(bundle, member, folder);
    auto report = judge_trial(scenario, evidence);
    report.picture = picture_of(report, scenario, evidence.events);
    return report;
}

ScenarioText scenario_in(const Bundle& bundle, const json::object& manifest) {
    ScenarioText text;
    text.yaml = bundle.member("scenario.yaml");
    text.directory = "/nonexistent";  // nothing of this machine counts
    auto loaded = scenario::load(text.yaml, rules::text_at(manifest, "scenario"), text.directory, scenario::Files::not_checked);
    if (!loaded.ok()) throw BundleRefused{"its scenario is not good for this version:\n" + scenario::explain(loaded.problems)};
    text.scenario = std::move(loaded.scenario);
    put_places(text.scenario, parsed(bundle, places_member));
    return text;
}

// The run's own rulesets; what the identity says of these and of the scenario is what is in the bundle.
std::vector<RulesetText> rulesets_in(const Bundle& bundle, const json::object& manifest, Identity& identity) {
    std::vector<RulesetText> rulesets;
    const auto* const list = manifest.if_contains("rulesets");
    if (list == nullptr || !list->is_array()) return rulesets;
    for (const auto& value : list->get_array()) {
        if (!value.is_object()) continue;
        const auto& entry = value.get_object();
        const auto name = rules::text_at(entry, "name");
        const auto& bytes = bundle.member(rules::text_at(entry, "member"));
        if (!true_at(entry, "baseline")) rulesets.push_back(text_of(name, bytes));
        for (auto& file : identity.rulesets)
            if (file.name == name) file.sha256 = sha256(bytes);
    }
    return rulesets;
}

}  // namespace

Report judge_again(const Bundle& bundle) {
    const auto manifest = parsed(bundle, "manifest.json");
    const auto text = scenario_in(bundle, manifest);
    const auto& scenario = text.scenario;
    auto run = trial_in(bundle, run_member, {});
    auto report = judge_trial(scenario, run);

    auto identity = identity_from(parsed(bundle, identity_member));
    if (identity.scenario) identity.scenario->sha256 = sha256(text.yaml);
    auto rulesets = rulesets_in(bundle, manifest, identity);
    describe(report, text, run.events, std::move(rulesets), std::move(identity));
    const auto has = [&](std::string_view member) { return bundle.has(std::string{member}); };
    if (has(baseline_member)) {
        auto& comparison = report.baseline.emplace(compare(judged(bundle, scenario, baseline_member, baseline_folder), report));
        if (has(swept_member)) add_swept(comparison, swept_from(parsed(bundle, swept_member)), scenario);
        if (has(again_before_member))
            confirm(comparison, compare(judged(bundle, scenario, again_before_member, again_before_folder),
                                        judged(bundle, scenario, again_after_member, again_after_folder)));
        if (has(live_member)) {
            auto live = live_from(parsed(bundle, live_member));
            live.run.events = events_in(bundle, live_folder);
            comparison.live = tell_live(scenario, live, comparison);
        }
    }
    if (has(proof_member)) add_proof(report, proof_from(parsed(bundle, proof_member)));
    return report;
}

}  // namespace wmlab::lab::commands
