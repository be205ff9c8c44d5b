#include "lab/commands/trial.hpp"

#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <sstream>

#include "common/scenario/boxes.hpp"
#include "common/scenario/loader.hpp"
#include "lab/audit/samples.hpp"
#include "lab/capture/pcapng.hpp"
#include "lab/commands/description.hpp"
#include "lab/commands/options.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/run/device_log.hpp"
#include "lab/verdict/comparison.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab::commands {
namespace po = boost::program_options;

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>{std::chrono::steady_clock::now() - start}.count();
}

RunOptions run_options(const TrialOptions& options) {
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
    return wish;
}

// The evidence of a run: what it left, and under which rules and wishes it came to be. What `run` has is moved.
TrialEvidence evidence_of(const scenario::Scenario& scenario, const TrialOptions& options, Run& run) {
    TrialEvidence evidence;
    const auto boxes = rules_of_boxes(scenario, options.ruleset, scenario::several_boxes(scenario) && !options.setting.built_in());
    evidence.rulesets = files_of(boxes);
    evidence.ruleset = all_open(boxes) ? std::string{} : rulesets_text(boxes);
    evidence.built_in = options.setting.built_in();
    // The device under test has its own rules.
    if (!evidence.built_in && evidence.ruleset.empty()) evidence.ruleset = fmt::format("the rules of {}", options.setting.device());
    evidence.flows = options.flows;
    evidence.interrupted = run.interrupted;
    evidence.coverage = options.coverage;
    evidence.events = std::move(run.events);
    evidence.problems = std::move(run.problems);
    evidence.conditionals = std::move(run.conditionals);
    evidence.notes = std::move(run.notes);
    evidence.notes.insert(evidence.notes.end(), options.notes.begin(), options.notes.end());
    for (const auto& box : scenario::boxes(scenario))
        if (const auto found = run.device_logs.find(box.name); found != run.device_logs.end())
            evidence.device_logs[box.name] = {log_name(box.log), std::move(found->second)};
    evidence.read_at = std::chrono::system_clock::now();
    return evidence;
}

// The runs that a judgement may ask for. What they refer to outlives them.
FurtherRuns further_runs(const ScenarioText& text, const Inside& inside, const RunOptions& wish, bool with_control) {
    const auto further = [&](const std::filesystem::path& folder, RunOptions once_more) {
        once_more.coverage = false;
        once_more.before_end = nullptr;
        if (!once_more.journals.empty()) once_more.journals /= folder;
        if (!once_more.captures.empty()) once_more.captures /= folder;
        auto done = lab::run(text, inside, once_more);
        return FurtherRun{std::move(done.events), std::move(done.problems), done.interrupted};
    };
    FurtherRuns more;
    if (with_control)
        more.control = [&wish, further](const std::vector<std::string>& flows) {
            auto open = wish;  // the same flows, hosts and programs with the firewall open
            open.ruleset.clear();
            open.control = true;
            open.flows = flows;
            return further(control_folder, std::move(open));
        };
    more.alone = [&wish, further](const std::string& flow) {
        auto alone = wish;
        alone.flows = {flow};
        alone.trace = false;
        alone.captures.clear();
        return further(std::filesystem::path{alone_folder} / flow, std::move(alone));
    };
    return more;
}

}  // namespace

Trial try_scenario(const ScenarioText& text, const Inside& inside, const TrialOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    auto wish = run_options(options);
    Trial trial;
    const auto conclude = [&](Run run) {
        auto& evidence = trial.evidence = evidence_of(text.scenario, options, run);
        trial.report = judge_trial(text.scenario, evidence, further_runs(text, inside, wish, options.control));
        trial.interrupted = evidence.interrupted;
        trial.report.summary.seconds = evidence.seconds = seconds_since(start);
        describe(trial.report, text, evidence.events, evidence.rulesets, options.setting.kind());
        evidence.events.clear();  // the journals have them
        if (evidence.control) evidence.control->events.clear();
        for (auto& [_, alone] : evidence.alone) alone.events.clear();
        if (options.after) options.after(trial.report);
    };
    // When the labs are gone and their captures complete.
    const auto comment = [&] {
        if (options.captures.empty()) return;
        trial.evidence.capture_problems = comment_captures(options.captures, trial.report);
        const auto& problems = trial.evidence.capture_problems;
        trial.report.notes.insert(trial.report.notes.end(), problems.begin(), problems.end());
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
    auto run = lab::run(text, inside, wish);
    if (!concluded) conclude(std::move(run));
    comment();
    return trial;
}

std::optional<ScenarioText> read_scenario_text(const std::string& file, scenario::Files files) {
    ScenarioText text;
    scenario::Loaded loaded;
    if (file == "-") {
        text.directory = std::filesystem::current_path();
        text.yaml = scenario::read_document(std::cin);
        loaded = scenario::load(text.yaml, "-", text.directory, files);
    } else if (const auto read = scenario::read_document(std::filesystem::path{file})) {
        text.directory = std::filesystem::absolute(file).parent_path();
        text.yaml = *read;
        loaded = scenario::load(text.yaml, file, text.directory, files);
    } else {
        loaded = scenario::load_file(file);  // which says what is wrong with it
    }
    if (loaded.ok()) {
        // Simulators get one text and no other files.
        text.original = text.yaml;
        if (!loaded.expanded.empty()) text.yaml = std::move(loaded.expanded);
        text.scenario = std::move(loaded.scenario);
        return text;
    }
    std::cerr << scenario::explain(loaded.problems);
    return std::nullopt;
}

ScenarioText with_samples(ScenarioText text, std::vector<std::vector<BoxRules>> all, std::vector<std::string>& notes) {
    if (!needs_samples(text.scenario)) return text;
    for (const auto& event : text.scenario.events)
        if (event.kind == scenario::Incident::Kind::reload && !event.ruleset.empty())
            all.push_back(rules_of_boxes(text.scenario, event.ruleset));
    auto picked = pick_samples(text.scenario, all);
    auto loaded = scenario::load(text.original.empty() ? text.yaml : text.original, text.scenario.file.string(), text.directory, scenario::Files::not_checked,
                                 picked.samples);
    if (!loaded.ok()) throw SetupFailed{"make sample hosts for `anyone`", scenario::explain(loaded.problems)};
    text.yaml = std::move(loaded.expanded);
    loaded.scenario.firewalls = std::move(text.scenario.firewalls);  // the command line may have given them other rulesets
    text.scenario = std::move(loaded.scenario);
    notes.insert(notes.end(), picked.notes.begin(), picked.notes.end());
    return text;
}

std::optional<std::string> take_rulesets(std::string_view option, const std::vector<std::string>& given, scenario::Scenario& scenario) {
    if (given.empty()) return std::nullopt;
    if (!scenario::several_boxes(scenario)) {
        if (given.size() > 1)
            throw UsageError{fmt::format("{} has a single firewall, and --{} is given {} times", scenario.file.string(), option, given.size())};
        return given.front();
    }
    std::vector<std::string> names, done;
    for (const auto& box : scenario.firewalls) names.push_back(box.name);
    for (const auto& word : given) {
        const auto equals = word.find('=');
        const auto name = word.substr(0, equals);
        const auto box = std::ranges::find(scenario.firewalls, name, &scenario::Firewall::name);
        if (equals == std::string::npos)
            throw UsageError{fmt::format("{} has several firewalls ({}): say whose rules {} is, --{} {}={}", scenario.file.string(), fmt::join(names, ", "),
                                         word, option, names.front(), word)};
        if (box == scenario.firewalls.end()) {
            const auto near = nearest(name, names);
            throw UsageError{fmt::format("--{} {}: no firewall `{}`{}", option, word, name,
                                         near.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : fmt::format("; did you mean `{}`?", near))};
        }
        if (equals + 1 == word.size()) throw UsageError{fmt::format("--{} {}: the file is missing", option, word)};
        if (std::ranges::find(done, name) != done.end()) throw UsageError{fmt::format("--{} gives firewall {} two rulesets", option, name)};
        done.push_back(name);
        box->ruleset = named_ruleset(word.substr(equals + 1));
    }
    return std::nullopt;
}

std::filesystem::path ruleset_for(const std::optional<std::string>& option, const scenario::Scenario& scenario) {
    if (option && scenario::several_boxes(scenario)) {
        std::string names;
        for (const auto& box : scenario.firewalls) names += (names.empty() ? "" : ", ") + box.name;
        throw UsageError{
            fmt::format("{} has several firewalls ({}), and a ruleset on the command line does not say of which: name each one's `ruleset` under `firewalls:`",
                        scenario.file.string(), names)};
    }
    return named_ruleset(option ? std::filesystem::path{*option} : scenario.firewall.ruleset);
}

void refuse_several(const scenario::Scenario& scenario, std::string_view what) {
    if (scenario::several_boxes(scenario))
        throw UsageError{fmt::format("{} is about one firewall, and {} has several on the way: make it a scenario with a single `firewall:` for each of them",
                                     what, scenario.file.string())};
}

scenario::Scenario seen_by_option(std::string_view command, const po::variables_map& values, const scenario::Scenario& scenario) {
    if (!scenario::several_boxes(scenario)) {
        if (values.contains("box")) throw UsageError{fmt::format("{}: the scenario has a single `firewall:`, leave --box out", command)};
        return scenario;
    }
    std::vector<std::string> names;
    for (const auto& box : scenario.firewalls) names.push_back(box.name);
    if (!values.contains("box"))
        throw UsageError{fmt::format("{}: the scenario has several firewalls, say which one: --box {}", command, fmt::join(names, " or --box "))};
    const auto wanted = values["box"].as<std::string>();
    const auto box = std::ranges::find(scenario.firewalls, wanted, &scenario::Firewall::name);
    if (box != scenario.firewalls.end()) return scenario::as_seen_by(scenario, *box);
    const auto near = nearest(wanted, names);
    throw UsageError{fmt::format("{}: no firewall `{}`{}", command, wanted,
                                 near.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : fmt::format("; did you mean `{}`?", near))};
}

void add_setting_options(po::options_description& options) {
    auto add = options.add_options();
    add("attach", po::value<std::vector<std::string>>()->composing()->value_name("ZONE=NIC"),
        "the zone's hosts sit on this network card and the firewall is a real device between the cards; for each zone; needs root");
    add("attach-force", "use a card although it has an address, and go on although packets can get around the device");
    add("launch", po::value<std::vector<std::string>>()->composing()->value_name("HOST=PREFIX"),
        "the host is another machine: its simulators are started by this command, for example 'ssh lab@media'; for each host");
    add("trust",
        "the scenario's own programs (`run:` and `command` flows) run as you, with your permissions; without it they have no capabilities, a /tmp of their own, and run as nobody where root runs wmlab");
    add("no-programs", "refuse a scenario that names programs to run: `run:`, `command` flows, `launch:`");
    add("firewall", po::value<std::string>()->value_name("PREFIX"),
        "the firewall between the hosts is a Linux machine that this command reaches, for example 'ssh root@gateway': its rules are read, nothing is changed, and the report names the rule that decided");
    add("pcap", po::value<std::string>()->value_name("DIR"),
        "write packet captures to this folder: one pcapng file per host and firewall interface, with the verdicts as packet comments");
}

namespace {

void refuse_programs(const scenario::Scenario& scenario) {
    const auto refuse = [&](const std::string& what) {
        throw UsageError{fmt::format("{}: {}, and --no-programs allows none", scenario.file.string(), what)};
    };
    for (const auto& host : scenario.hosts) {
        if (!host.run.empty()) refuse(fmt::format("host `{}` runs the program `{}`", host.name, host.run.front()));
        if (!host.launch.empty())
            refuse(fmt::format("host `{}` is reached by the program `{}`", host.name, host.launch.front()));
    }
    auto loads = scenario.events;
    for (const auto& box : scenario::boxes(scenario)) scenario::set_manner(loads.emplace_back(), box.apply);
    for (const auto& event : loads)
        if (!event.program.empty()) refuse(fmt::format("a ruleset is loaded by the program `{}`", event.program.front()));
    for (const auto& flow : scenario.flows)
        if (!flow.run.empty()) refuse(fmt::format("flow `{}` runs the program `{}`", flow.id, flow.run.front()));
}

// What loads rules needs all that may be done to the firewall: it cannot be confined as other programs are.
void refuse_unknown_loaders(const scenario::Scenario& scenario) {
    constexpr std::string_view known[] = {"nft", "iptables-restore", "iptables-nft-restore", "iptables-legacy-restore"};
    auto loads = scenario.events;
    for (const auto& box : scenario::boxes(scenario)) scenario::set_manner(loads.emplace_back(), box.apply);  // --live
    for (const auto& event : loads)
        if (!event.program.empty() && std::ranges::find(known, event.program.front()) == std::end(known))
            throw UsageError{fmt::format("{}: a ruleset is loaded by the program `{}`, which runs as you, with all that you may do: allow it with --trust",
                                         scenario.file.string(), event.program.front())};
}

}  // namespace

namespace {

// Where machines are the user's own, nobody can be made: `anyone` needs hosts that are there, or addresses that are said to be free.
void refuse_made_hosts(const scenario::Scenario& scenario) {
    for (const auto& flow : scenario.flows)
        for (const auto& anyone : flow.anyone) {
            const auto* const host = scenario.host(anyone.host);
            if (host == nullptr || !host->sample || !scenario.zone(anyone.zone)->samples.empty()) continue;
            throw UsageError{fmt::format(
                "{}:{}: flow `{}` comes from anyone of zone `{}`, which has no host: where the hosts are not in the built-in lab none can be made: add one to `hosts`, or say in the zone which addresses may be taken (`samples`)",
                scenario.file.string(), flow.line, flow.id, anyone.zone)};
        }
}

}  // namespace

Setting setting_option(const po::variables_map& values, const scenario::Scenario& scenario) {
    const bool elsewhere = values.contains("attach") || values.contains("launch") || !scenario.launch.empty() ||
                           std::ranges::any_of(scenario.hosts, [](const scenario::Host& host) { return !host.launch.empty(); });
    if (elsewhere) refuse_made_hosts(scenario);
    if (values.contains("no-programs")) {
        if (values.contains("trust")) throw UsageError{"--trust and --no-programs say the opposite of each other"};
        refuse_programs(scenario);
    }
    try {
        if (values.contains("firewall")) refuse_several(scenario, "--firewall PREFIX (`launch:` in each entry of `firewalls:` says it for several)");
        auto setting = setting_from(scenario, list_of(values, "attach"), list_of(values, "launch"),
                                    values.contains("attach-force"),
                                    values.contains("firewall") ? values["firewall"].as<std::string>() : std::string{});
        setting.trust = values.contains("trust");
        if (!setting.trust) refuse_unknown_loaders(scenario);
        if (!setting.built_in() && !scenario.events.empty())
            throw UsageError{fmt::format("{}:{}: `events` are done to the built-in firewall and its hosts, and these are elsewhere",
                                         scenario.file.string(), scenario.events.front().line)};
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
    // A firewall that is joined is compared with the file: its lines are named where it runs these rules.
    return setting.built_in() || option || !setting.firewall.empty() ? ruleset_for(option, scenario)
                                                                     : std::filesystem::path{};
}

int saying_refusals(const std::function<int()>& body) {
    try {
        return body();
    } catch (const RulesetRefused& refused) {
        std::cerr << refused.what() << (std::string_view{refused.what()}.ends_with('\n') ? "" : "\n");
        return ends::misused;
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: " << failure.what() << '\n';
        return ends::not_set_up;
    }
}

int inside_sandbox(const std::function<int(const Inside&)>& body, const Setting& setting) {
    const auto guarded = [&](const Inside& inside) {
        try {
            return saying_refusals([&] { return body(inside); });
        } catch (const Interrupted&) {
            return ends::interrupted;
        }
    };
    if (!setting.built_in() && setting.attached.empty()) {
        Inside outside;
        outside.outer_pid = ::getpid();
        Interruptions::note();
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
