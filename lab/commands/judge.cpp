// wmlab judge: verdicts from journals that were collected by hand.
#include "lab/judge/judge.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>

#include "common/bytes/read_file.hpp"
#include "common/evidence/clocks.hpp"
#include "common/evidence/journal.hpp"
#include "common/scenario/boxes.hpp"
#include "lab/audit/samples.hpp"
#include "lab/commands/description.hpp"
#include "lab/commands/device_advice.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/rules/attribution.hpp"
#include "lab/rules/source.hpp"
#include "lab/run/addresses.hpp"
#include "lab/run/device_log.hpp"
#include "lab/verdict/expectation.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

struct Collected {
    std::vector<evidence::Event> events;
    std::vector<std::string> problems, notes;
};

// A directory stands for the journals in it.
std::vector<std::filesystem::path> files_of(const std::string& name) {
    if (name == "-" || !std::filesystem::is_directory(name)) return {name};
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{name}) {
        if (entry.path().extension() == ".jsonl") files.push_back(entry.path());
    }
    if (files.empty()) throw UsageError{fmt::format("judge: there is no .jsonl file in {}", name)};
    std::ranges::sort(files);
    return files;
}

Collected collect(const std::vector<std::string>& names) {
    Collected all;
    for (const auto& name : names) {
        for (const auto& file : files_of(name)) {
            std::ifstream opened;
            if (file != "-") {
                if (const auto problem = bytes::problem_with(file); !problem.empty())
                    throw UsageError{fmt::format("judge: {}: {}", file.string(), problem)};
                errno = 0;
                opened.open(file, std::ios::binary);
                if (!opened) throw UsageError{fmt::format("judge: {}: {}", file.string(), std::strerror(errno))};
            }
            auto journal = evidence::read_journal(file == "-" ? std::cin : opened, file.string());
            std::ranges::move(journal.events, std::back_inserter(all.events));
            std::ranges::move(journal.problems, std::back_inserter(all.problems));
            if (journal.truncated) all.notes.push_back(fmt::format("{}: the last line broke off", file.string()));
        }
    }
    evidence::align_clocks(all.events);
    return all;
}

}  // namespace

namespace {

// When the run was, by its journals: a log without years is of that year.
std::chrono::sys_time<std::chrono::nanoseconds> latest(const std::vector<evidence::Event>& events) {
    std::chrono::sys_time<std::chrono::nanoseconds> last{};
    for (const auto& event : events)
        last = std::max(last, std::chrono::sys_time<std::chrono::nanoseconds>{event.utc.time_since_epoch()});
    return last;
}

}  // namespace

int judge_command(Arguments arguments) {
    Usage usage{
        "judge",
        "SCENARIO JOURNAL...",
        "Judges journals collected by hand, one or more from each host. A directory stands for its .jsonl files, - for standard input.",
        {},
        ""};
    auto add = usage.options.add_options();
    add("control", po::value<std::vector<std::string>>()->value_name("JOURNAL")->composing(),
        "journals of the same flows with the firewall open (the positive control); repeatable");
    add("ruleset", po::value<std::string>()->value_name("FILE"), "the ruleset that the firewall had loaded; the report names it");
    add("only", po::value<std::string>()->value_name("GLOB"), "only flows whose name matches");
    add("without", po::value<std::vector<std::string>>()->composing()->value_name("TYPE"),
        "leave out flows of this type, such as multicast where nothing routes it; repeatable");
    add_report_options(usage.options);
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    auto names = words(*values);
    if (names.empty()) throw UsageError{"judge: which scenario, and which journals?"};
    const auto wish = report_wish(*values);
    const auto scenario_file = names.front();
    auto scenario = read_scenario(scenario_file, scenario::Files::not_checked);
    if (!scenario) return 2;
    names.erase(names.begin());
    if (names.empty()) throw UsageError{"judge: which journals?"};

    const auto controls = list_of(*values, "control");
    const auto collected = collect(names), open = collect(controls);
    const auto samples = samples_in(*scenario, collected.events);
    const auto addresses = asks_for_addresses(*scenario) ? addresses_in(collected.events) : scenario::Addresses{};
    if (!samples.empty() || !addresses.empty()) scenario = read_scenario(scenario_file, scenario::Files::not_checked, samples, addresses);
    if (!scenario) return 2;
    JudgeOptions options;
    options.control_run = !controls.empty();
    options.problems = collected.problems;
    if (values->contains("ruleset")) refuse_several(*scenario, "judge: --ruleset");
    if (values->contains("ruleset")) options.ruleset = (*values)["ruleset"].as<std::string>();
    options.only = only_option(*values);
    auto report = judge(*scenario, collected.events, open.events, options);
    rules::attribute(report, *scenario, collected.events);  // where the firewall's journal is among them
    std::map<std::string, DeviceLog> logs;
    for (const auto& box : scenario::boxes(*scenario))
        if (!box.log.file.empty()) logs[box.name] = {log_name(box.log), read_log_file(box.log.file)};
    attribute_devices(report, *scenario, collected.events, logs, latest(collected.events));
    hold_against_expectations(report);  // of rules, too
    ScenarioText text{*scenario, rules::read_from_disk(scenario_file).value_or(std::string{}), {}};
    std::vector<std::filesystem::path> rulesets;
    if (!options.ruleset.empty()) rulesets.emplace_back(options.ruleset);
    describe(report, text, collected.events, rulesets, "journals");
    report.notes.insert(report.notes.end(), collected.notes.begin(), collected.notes.end());
    const auto problem = write_reports(report, wish.targets, std::cout, wish.style);
    std::cerr << problem;
    return exit_code(report, problem.empty());
}

}  // namespace wmlab::lab::commands
