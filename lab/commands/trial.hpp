// One scenario from start to verdict: the run, the positive control for the flows that need one, the judge.
#pragma once
#include <boost/program_options.hpp>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/scenario/loader.hpp"
#include "lab/commands/trial_evidence.hpp"
#include "lab/judge/judge.hpp"
#include "lab/run/runner.hpp"

namespace wmlab::lab::commands {

struct TrialOptions {
    Setting setting;                 // where the hosts are
    std::filesystem::path ruleset;   // empty: the firewall forwards everything; elsewhere than built in: for the report
    std::filesystem::path captures;  // pcapng files; the control's go into its folder `control`
    std::vector<std::string> flows;  // the instances to run
    unsigned jobs = 0;
    bool trace = true;               // ask the kernel which rule decided
    unsigned trace_buffer = 0;       // RunOptions
    std::vector<std::string> notes{};  // for the report
    bool coverage = false;           // and what every rule did
    bool control = true;             // play what is stopped with the firewall open, too; without that it is inconclusive
    std::filesystem::path journals;  // the control's go into its folder `control`
    std::function<void(const evidence::Event&)> seen;
    std::function<void(const std::string&)> say;
    std::function<void(Report&)> after;             // adds to the report when it is complete
    std::function<void(Lab&, const Report&)> keep;  // with the lab still up
};

struct Trial {
    Report report;
    TrialEvidence evidence;  // the events of which are in the journals only
    bool interrupted = false;
};

// Inside the sandbox. SetupFailed, RulesetRefused.
Trial try_scenario(const ScenarioText& text, const Inside& inside, const TrialOptions& options);

// Reads a scenario with its text; says every problem on standard error and returns nothing (exit 2).
std::optional<ScenarioText> read_scenario_text(const std::string& file, scenario::Files files = scenario::Files::checked);

// With hosts for `anyone`, chosen by all rulesets of a run (an empty path: none is loaded). In the sandbox. SetupFailed,
// RulesetRefused.
ScenarioText with_samples(ScenarioText text, std::vector<std::vector<BoxRules>> rulesets, std::vector<std::string>& notes);

// What an option that names rulesets was given. Of a scenario with a single firewall that is one file, which is returned;
// where it has several, it is NAME=FILE for some of them, which is put in the place of their own. UsageError.
std::optional<std::string> take_rulesets(std::string_view option, const std::vector<std::string>& given, scenario::Scenario& scenario);

// The ruleset of the option, or the scenario's, as a person would name it. RulesetRefused where it cannot be one.
std::filesystem::path ruleset_for(const std::optional<std::string>& option, const scenario::Scenario& scenario);

// Throws for a scenario with several firewalls what `what` is about one of. UsageError.
void refuse_several(const scenario::Scenario& scenario, std::string_view what);

// The scenario as the firewall sees it that --box names; where it has one, itself. UsageError: which of several is not
// said.
scenario::Scenario seen_by_option(std::string_view command, const boost::program_options::variables_map& values,
                                  const scenario::Scenario& scenario);

// --attach, --attach-force, --launch and --pcap: where the hosts are, and what is captured.
void add_setting_options(boost::program_options::options_description& options);
Setting setting_option(const boost::program_options::variables_map& values, const scenario::Scenario& scenario);

// What there is no ruleset of ours for is the device's own; only an explicit --ruleset is then named in the report.
std::filesystem::path ruleset_in(const Setting& setting, const std::optional<std::string>& option,
                                 const scenario::Scenario& scenario);

// What goes wrong, a ruleset that is refused or a lab that cannot be set up, is said on standard error and becomes the contract's exit code.
int saying_refusals(const std::function<int()>& body);

// Runs the body inside the sandbox, or without one where every host is another machine; what goes wrong there is said
// on standard error and becomes the contract's exit code.
int inside_sandbox(const std::function<int(const Inside&)>& body, const Setting& setting = {});

}  // namespace wmlab::lab::commands
