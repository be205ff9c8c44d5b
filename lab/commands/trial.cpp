#include "lab/commands/trial.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "common/scenario/loader.hpp"
#include "lab/capture/pcapng.hpp"
#include "lab/commands/options.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/coverage.hpp"

namespace wmlab::lab::commands {
namespace po = boost::program_options;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>{std::chrono::steady_clock::now() - start}.count();
}

}  // namespace

Trial try_scenario(const ScenarioText& text, const Inside& inside, const TrialOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    const std::set<std::string> chosen(options.flows.begin(), options.flows.end());
    RunOptions wish;
    wish.setting = options.setting;
    wish.captures = options.captures;
    wish.ruleset = options.ruleset;
    wish.flows = options.flows;
    wish.jobs = options.jobs;
    wish.trace = options.trace;
    wish.trace_buffer = options.trace_buffer;
    wish.coverage = options.coverage;
    wish.journals = options.journals;
    wish.seen = options.seen;
    wish.crew.say = options.say;

    Trial trial;
    const auto conclude = [&](const Run& run) {
        JudgeOptions how;
        how.ruleset = options.ruleset.string();
        // The device under test has its own rules: what it does without them cannot be tried.
        if (!options.setting.built_in() && how.ruleset.empty())
            how.ruleset = fmt::format("the rules of {}", options.setting.device());
        how.only = [&](const scenario::FlowInstance& flow) { return chosen.empty() || chosen.contains(flow.id); };
        how.problems = run.problems;
        how.seconds = seconds_since(start);
        trial.report = judge(text.scenario, run.events, {}, how);
        trial.interrupted = run.interrupted;
        const auto doubtful = needs_control(trial.report);
        if (!run.interrupted && !doubtful.empty() && options.setting.built_in()) {
            // the same flows, hosts and programs with the firewall open
            auto open = wish;
            open.ruleset.clear();
            open.control = true;
            open.coverage = false;
            open.flows = doubtful;
            open.before_end = nullptr;
            if (!open.journals.empty()) open.journals /= "control";
            if (!open.captures.empty()) open.captures /= "control";
            const auto control = lab::run(text, inside, open);
            trial.interrupted = control.interrupted;
            how.control_run = !control.interrupted;
            how.problems.insert(how.problems.end(), control.problems.begin(), control.problems.end());
            how.seconds = seconds_since(start);
            trial.report = judge(text.scenario, run.events, control.events, how);
        }
        rules::attribute(trial.report, text.scenario, run.events);
        if (options.coverage) trial.report.coverage = rules::coverage(trial.report, run.events);
        trial.report.notes.insert(trial.report.notes.end(), run.notes.begin(), run.notes.end());
        if (options.after) options.after(trial.report);
    };
    // When the labs are gone and their captures complete.
    const auto comment = [&] {
        if (options.captures.empty()) return;
        for (auto& problem : comment_captures(options.captures, trial.report))
            trial.report.notes.push_back(std::move(problem));
    };
    if (!options.keep) {
        conclude(lab::run(text, inside, wish));
        comment();
        return trial;
    }
    bool concluded = false;
    wish.before_end = [&](Lab& lab, const Run& run) {
        conclude(run);
        concluded = true;
        options.keep(lab, trial.report);
    };
    const auto run = lab::run(text, inside, wish);
    if (!concluded) conclude(run);
    comment();
    return trial;
}

std::optional<ScenarioText> read_scenario_text(const std::string& file) {
    ScenarioText text;
    scenario::Loaded loaded;
    if (file == "-") {
        text.directory = std::filesystem::current_path();
        text.yaml = scenario::read_document(std::cin);
        loaded = scenario::load(text.yaml, "-", text.directory);
    } else if (std::ifstream in{file, std::ios::binary}) {
        text.directory = std::filesystem::absolute(file).parent_path();
        text.yaml = scenario::read_document(in);
        loaded = scenario::load(text.yaml, file, text.directory);
    } else {
        loaded = scenario::load_file(file);  // which says what is wrong with it
    }
    if (loaded.ok()) {
        text.scenario = std::move(loaded.scenario);
        return text;
    }
    std::cerr << scenario::explain(loaded.problems);
    return std::nullopt;
}

std::filesystem::path ruleset_for(const std::optional<std::string>& option, const scenario::Scenario& scenario) {
    std::filesystem::path file = option ? std::filesystem::path{*option} : scenario.firewall.ruleset;
    if (file.empty()) return file;
    file = examine_ruleset(file);
    const auto near = file.lexically_proximate(std::filesystem::current_path());
    return file.is_absolute() && !near.string().starts_with("..") ? near : file;
}

void add_setting_options(po::options_description& options) {
    auto add = options.add_options();
    add("attach", po::value<std::vector<std::string>>()->composing()->value_name("ZONE=NIC"),
        "the zone's hosts sit on this network card and the firewall is a real device between the cards; for each zone; "
        "needs root");
    add("attach-force", "use a card although it has an address, and go on although packets can get around the device");
    add("launch", po::value<std::vector<std::string>>()->composing()->value_name("HOST=PREFIX"),
        "the host is another machine: its simulators are started by this command, for example 'ssh lab@media'; "
        "for each host");
    add("pcap", po::value<std::string>()->value_name("DIR"),
        "capture there, one pcapng file per host and interface of the firewall, verdicts as packet comments");
}

Setting setting_option(const po::variables_map& values, const scenario::Scenario& scenario) {
    try {
        auto setting = setting_from(scenario, list_of(values, "attach"), list_of(values, "launch"),
                                    values.contains("attach-force"));
        setting.machine = std::make_shared<const Namespace>(Namespace::current());
        if (!setting.attached.empty() && ::geteuid() != 0)
            throw UsageError{"--attach puts hosts on the machine's own network cards and needs root: run it with sudo"};
        return setting;
    } catch (const std::invalid_argument& problem) {
        throw UsageError{problem.what()};
    }
}

std::filesystem::path ruleset_in(const Setting& setting, const std::optional<std::string>& option,
                                 const scenario::Scenario& scenario) {
    return setting.built_in() || option ? ruleset_for(option, scenario) : std::filesystem::path{};
}

int inside_sandbox(const std::function<int(const Inside&)>& body, const Setting& setting) {
    const auto guarded = [&](const Inside& inside) {
        try {
            return body(inside);
        } catch (const RulesetRefused& refused) {
            std::cerr << refused.what() << (std::string_view{refused.what()}.ends_with('\n') ? "" : "\n");
            return 2;
        } catch (const SetupFailed& failure) {
            std::cerr << "wmlab: " << failure.what() << '\n';
            return 3;
        }
    };
    if (!setting.built_in() && setting.attached.empty()) {
        Inside outside;
        outside.outer_pid = ::getpid();
        return guarded(outside);
    }
    try {
        return in_sandbox(guarded);
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: " << failure.what() << "\n  `wmlab doctor` says what this machine allows\n";
        return 3;
    }
}

}  // namespace wmlab::lab::commands
