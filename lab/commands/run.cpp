// wmlab run: builds the lab, runs the flows, judges, reports.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <set>
#include <tuple>

#include "common/scenario/boxes.hpp"
#include "common/scenario/catalogue.hpp"
#include "lab/audit/accepted.hpp"
#include "lab/audit/change.hpp"
#include "lab/audit/samples.hpp"
#include "lab/commands/bundle.hpp"
#include "lab/commands/live.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/patch_rules.hpp"
#include "lab/commands/progress.hpp"
#include "lab/commands/run_evidence.hpp"
#include "lab/commands/sites.hpp"
#include "lab/commands/suggested.hpp"
#include "lab/commands/trial.hpp"
#include "lab/commands/watch.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/run/addresses.hpp"
#include "lab/run/identity.hpp"
#include "lab/verdict/comparison.hpp"
#include "lab/verdict/exit_code.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

struct Job {  // one scenario file
    ScenarioText text;
    std::string name;  // the file's, without directory and suffix
    Setting setting;
    std::filesystem::path ruleset, baseline, journals, captures, bundle;
    std::vector<scenario::Firewall> before;  // --baseline for several firewalls: all of them, with their rulesets before the change
    std::vector<std::string> flows;
    std::vector<std::string> notes;  // of the choice of samples
    std::vector<ReportTarget> targets;
    std::filesystem::path patch;  // --suggest
    const Turn* turn = nullptr;   // --watch

    bool compares() const { return !baseline.empty() || !before.empty(); }
    bool has_rules() const {
        return !ruleset.empty() || std::ranges::any_of(text.scenario.firewalls, [](const scenario::Firewall& box) { return !box.ruleset.empty(); });
    }
    ScenarioText text_before() const {
        auto old = text;
        if (!before.empty()) old.scenario.firewalls = before;
        return old;
    }
};

// Of several scenarios each has its own file and folder: out.json becomes out-NAME.json.
std::filesystem::path of_its_own(const std::filesystem::path& file, const std::string& name) {
    return file.parent_path() / (file.stem().string() + "-" + name + file.extension().string());
}

void wait_for_the_user(Lab& lab) {
    std::cerr << "\nThe lab is kept until Ctrl-C. A shell on a host, from another terminal:\n"
              << lab.how_to_enter() << std::flush;
    lab.wait([] { return false; }, std::chrono::steady_clock::time_point::max());
    Interruptions::answer();
}

void write_patch(const std::filesystem::path& file, const Patch& patch) {
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    out << patch.diff;
    if (!out.flush()) throw SetupFailed{"write " + file.string(), std::strerror(errno)};
}

// What the change opens and closes for packets that are no flow's.
SweptChange sweep_change(const Job& job, bool allow_open) {
    SweptChange swept;
    const Dimensions all{std::begin(all_dimensions), std::end(all_dimensions)};
    if (job.before.empty())
        explore_change(job.text.scenario, job.baseline, job.ruleset, all, swept.found);
    else
        explore_changes(job.text.scenario, job.before, all, swept.found);
    swept.day = today();
    swept.allow_open = allow_open;
    return swept;
}

// What a patch opens that no flow needs.
std::vector<Excess> opened_beside(const scenario::Scenario& scenario, const std::filesystem::path& before, const RulesetCopy& patched) {
    Comparison comparison;
    const Dimensions all_of_them{std::begin(all_dimensions), std::end(all_dimensions)};
    if (scenario::several_boxes(scenario))
        explore_changes(patched.with_copies(scenario), scenario.firewalls, all_of_them, comparison);
    else
        explore_change(scenario, before, patched.ruleset(), all_of_them, comparison);
    std::set<std::tuple<std::string, std::string, std::string>> ways_back;
    for (const auto& instance : scenario::instances(scenario))
        for (const auto& leg : scenario::legs(scenario, instance))
            if (leg.protocol == scenario::Protocol::tcp || instance.flow->type == scenario::FlowType::dcom)  // other datagrams are not answered
                for (const auto* end : {"", "anyone", "any address beyond the zones"}) {
                    const bool stranger = *end != '\0';
                    if (stranger && instance.flow->anyone_at(instance.from) == nullptr) continue;
                    const auto name = [&](const std::string& host) { return stranger && host == instance.from ? std::string{end} : host; };
                    ways_back.emplace(text(leg.protocol), name(leg.destination), name(leg.source));
                }
    std::vector<Excess> all;
    for (const auto& opened : comparison.opened) {
        if (!opened.counts()) continue;
        const bool answers = std::ranges::all_of(opened.from, [&](const auto& from) {
            return std::ranges::all_of(opened.to, [&](const auto& to) { return ways_back.contains({opened.protocol, from, to}); });
        });
        all.push_back({fmt::format("{}: {}, {}{}",
                                   answers ? "its rules know no connections, so with a flow's answers they let through"
                                           : "it opens more than the flows need",
                                   where_words(opened), what_words(opened), opened.rule ? "; by " + opened.rule->text : ""),
                       answers});
    }
    return all;
}

// Loss and time are never twice the same: what changed in nothing else is run again under both rulesets.
std::optional<SecondRuns> run_chance_again(const Job& job, const Inside& inside, const TrialOptions& options, Report& report) {
    const auto flows = by_chance(*report.baseline);
    if (flows.empty()) return std::nullopt;
    auto again = options;
    again.flows = flows;
    again.keep = nullptr, again.after = nullptr;
    again.coverage = false;
    again.captures.clear();
    const auto try_under = [&](const ScenarioText& text, const std::filesystem::path& ruleset, std::string_view folder) {
        auto how = again;
        how.ruleset = ruleset;
        if (!how.journals.empty()) how.journals /= folder;
        return try_scenario(text, inside, how);
    };
    auto after = try_under(job.text, job.ruleset, again_after_folder);
    auto before = try_under(job.text_before(), job.baseline, again_before_folder);
    if (after.interrupted || before.interrupted) throw Interrupted{};
    confirm(*report.baseline, compare(before.report, after.report));
    return SecondRuns{std::move(before.evidence), std::move(after.evidence)};
}

// False: the user wanted an end before `step` had one. What is known until then is still reported.
bool unless_interrupted(Report& report, std::string_view left_undone, const std::function<void()>& step) {
    try {
        step();
        return true;
    } catch (const Interrupted&) {
        report.notes.push_back(fmt::format("interrupted: {}", left_undone));
        return false;
    }
}

int run_job(const Job& job, const Inside& inside, const po::variables_map& values, const ReportWish& wish,
            std::optional<Report>& reported_as) {
    const bool quiet = values.contains("quiet");
    Progress progress{!quiet && ::isatty(STDERR_FILENO) != 0, job.flows.size()};
    const auto report_it = [&](const Report& report) {
        progress.clear();
        const auto problem = write_reports(report, job.targets, std::cout, wish.style);
        std::cout << std::flush;
        std::cerr << problem;
        return problem.empty();
    };
    TrialOptions options;
    options.ruleset = job.ruleset;
    options.flows = job.flows;
    options.notes = job.notes;
    options.jobs = values["jobs"].as<unsigned>();
    options.journals = job.journals;
    options.trace = !values.contains("no-trace");
    if (values.contains("trace-buffer")) options.trace_buffer = values["trace-buffer"].as<unsigned>();
    const bool coverage = values.contains("coverage");
    // A watch wants to know which flows an edit touches.
    options.coverage = coverage || (job.turn != nullptr && options.trace && job.setting.built_in() && job.has_rules());
    options.setting = job.setting;
    options.captures = job.captures;
    options.seen = [&](const evidence::Event& event) { progress.see(event); };
    options.say = [&](const std::string& sentence) { progress.say(sentence); };
    std::optional<BundleWriter> bundle;
    if (!job.bundle.empty()) {
        bundle.emplace(job.bundle);
        options.journals = bundle->journals();
        options.captures = bundle->captures();
    }
    bool reported = false, written = true;
    if (values.contains("keep"))
        options.keep = [&](Lab& lab, const Report& report) {
            written = report_it(report);
            reported = true;
            wait_for_the_user(lab);
        };
    RunEvidence kept;
    bool cut_short = false;
    auto trial = [&] {
        try {
            std::optional<Report> before;
            if (job.compares()) {
                auto old = options;
                old.ruleset = job.baseline;
                old.keep = nullptr;
                old.coverage = false;
                if (!old.journals.empty()) old.journals /= baseline_folder;
                if (!old.captures.empty()) old.captures /= baseline_folder;
                auto done = try_scenario(job.text_before(), inside, old);
                if (done.interrupted) return done;
                before = std::move(done.report);
                kept.baseline = std::move(done.evidence);
            }
            if (before)
                options.after = [&](Report& report) {
                    report.baseline = compare(*before, report);
                    for (const auto& file : files_of(rules_of_boxes(job.text_before().scenario, job.baseline)))
                        if (std::ranges::find(report.identity.rulesets, file.string(), &Hashed::name) == report.identity.rulesets.end())
                            add_ruleset(report.identity, file);
                    cut_short |= !unless_interrupted(report, "what else the change opens and closes was not looked for", [&] {
                        kept.swept = sweep_change(job, values.contains("allow-open"));
                        add_swept(*report.baseline, *kept.swept, job.text.scenario);
                    });
                };
            auto done = try_scenario(job.text, inside, options);
            done.interrupted |= cut_short;
            if (job.turn != nullptr && !done.interrupted)
                job.turn->tell(job.text.scenario.file.string(), done.report, done.report.coverage.value_or(std::vector<RuleUse>{}));
            if (!coverage) done.report.coverage.reset(), done.evidence.coverage = false;
            if (done.report.baseline && !done.interrupted)
                done.interrupted |= !unless_interrupted(done.report, "what differs where chance or counts decide was not tried again",
                                                        [&] { kept.again = run_chance_again(job, inside, options, done.report); });
            if (values.contains("live") && done.report.baseline && !done.interrupted) {
                kept.live = run_live(job.text, inside, options, job.baseline, job.ruleset);
                done.interrupted = kept.live->run.interrupted;
                if (!done.interrupted) done.report.baseline->live = tell_live(job.text.scenario, *kept.live, *done.report.baseline);
                kept.live->run.events.clear();  // the journals have them
            }
            if ((values.contains("apply-suggestions") || values.contains("suggest")) && !done.interrupted) {
                done.interrupted |= !unless_interrupted(done.report, "the suggestions were not tried to their end", [&] {
                    prove_suggestions(done.report, job.text, inside, options,
                                      [&](const RulesetCopy& patched) { return opened_beside(job.text.scenario, job.ruleset, patched); });
                    kept.proof = proof_of(done.report);
                });
            }
            if (!job.patch.empty() && done.report.patch) write_patch(job.patch, *done.report.patch);
            return done;
        } catch (...) {
            progress.clear();
            throw;
        }
    }();
    if (trial.interrupted && job.turn != nullptr) {  // there is something newer to be judged
        progress.clear();
        return ends::interrupted;
    }
    if (!reported) written = report_it(trial.report);
    if (bundle && !trial.interrupted) {
        kept.run = std::move(trial.evidence);
        bundle->write(job.text, kept, trial.report);
        bundle->copy_to(job.journals, job.captures);
    }
    reported_as = trial.report;
    return trial.interrupted ? ends::interrupted : exit_code(trial.report, written);
}

// With samples for `anyone` there are other flows than the scenario's text has.
bool choose_flows(Job& job, const po::variables_map& values) {
    job.flows.clear();
    const auto flows = chosen_flows(job.text.scenario, values);
    for (const auto& flow : flows)
        if (job.turn == nullptr || job.turn->wants(job.text.scenario.file.string(), flow.id)) job.flows.push_back(flow.id);
    return !flows.empty();
}

void add_samples(Job& job, const po::variables_map& values) {
    if (!job.setting.built_in() || !needs_samples(job.text.scenario)) return;
    std::vector<std::vector<BoxRules>> rulesets{rules_of_boxes(job.text.scenario, job.ruleset)};
    if (job.compares()) rulesets.push_back(rules_of_boxes(job.text_before().scenario, job.baseline));
    job.text = with_samples(job.text, std::move(rulesets), job.notes);
    if (!choose_flows(job, values))
        throw UsageError{fmt::format("run: {} has no flow {}", job.text.scenario.file.string(), narrowing(values))};
}

// A directory stands for the scenarios in it.
std::vector<std::string> scenario_files(const std::vector<std::string>& words) {
    std::vector<std::string> files;
    for (const auto& word : words) {
        std::error_code error;
        if (word == "-" || !std::filesystem::is_directory(word, error)) {
            files.push_back(word);
            continue;
        }
        std::vector<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator{word, error}) {
            const auto suffix = entry.path().extension();
            if ((suffix == ".yaml" || suffix == ".yml") && entry.is_regular_file(error))
                found.push_back(entry.path().string());
        }
        if (found.empty()) throw UsageError{fmt::format("run: the directory {} has no .yaml or .yml file", word)};
        std::ranges::sort(found);
        files.insert(files.end(), found.begin(), found.end());
    }
    return files;
}

// Files get one report of all scenarios besides each one's own; for people there is a table of sites and streams.
std::string write_merged(const SiteTable& sites, const ReportWish& wish, bool several) {
    std::vector<ReportTarget> files;
    bool text = false;
    for (const auto& target : wish.targets) {
        if (!target.file.empty() && target.file != "-")
            files.push_back(target);
        else
            text = text || target.renderer->name == "text";
    }
    std::string problem;
    if (several && !files.empty() && sites.any()) problem = write_reports(sites.merged(), files, std::cout, wish.style);
    if (text && sites.worth_a_table()) std::cout << '\n' << sites.table() << std::flush;
    return problem;
}

// Options that not every scenario and setting can have: of this job.
void take_ruleset_options(Job& job, const po::variables_map& values, bool several) {
    if (values.contains("live")) refuse_several(job.text.scenario, "run: --live");
    if (values.contains("baseline")) {
        if (!job.setting.built_in()) throw UsageError{"run: --baseline loads two rulesets and needs the built-in firewall"};
        auto before = job.text.scenario;
        if (const auto file = take_rulesets("baseline", list_of(values, "baseline"), before)) job.baseline = ruleset_for(file, job.text.scenario);
        job.before = before.firewalls;
        if (values.contains("live") && job.ruleset.empty()) throw UsageError{"run: --live applies a ruleset, and there is none: name it with --ruleset"};
    }
    if (values.contains("apply-suggestions") && !job.setting.built_in())
        throw UsageError{"run: --apply-suggestions changes the ruleset and needs the built-in firewall"};
    if (values.contains("suggest")) {
        if (!job.setting.built_in() || !job.has_rules()) throw UsageError{"run: --suggest changes a ruleset and needs one, and the built-in firewall"};
        job.patch = values["suggest"].as<std::string>();
        if (several) job.patch = of_its_own(job.patch, job.name);
    }
    if (values.contains("coverage") && (!job.setting.built_in() || !job.has_rules()))
        throw UsageError{"run: --coverage needs the built-in firewall and a ruleset"};
}

// Where it writes; one of several to files and folders of its own.
void take_files(Job& job, const po::variables_map& values, const ReportWish& wish, bool several) {
    job.targets = wish.targets;
    if (values.contains("journal")) job.journals = values["journal"].as<std::string>();
    if (values.contains("pcap")) job.captures = values["pcap"].as<std::string>();
    if (values.contains("bundle")) {
        job.bundle = values["bundle"].as<std::string>();
        if (several) job.bundle = of_its_own(job.bundle, job.name);
        if (!std::ofstream{job.bundle, std::ios::app}) throw UsageError{"run: cannot write " + job.bundle.string()};
    }
    if (!several) return;
    if (!job.captures.empty()) job.captures /= job.name;
    if (!job.journals.empty()) job.journals /= job.name;
    for (auto& target : job.targets)
        if (!target.file.empty() && target.file != "-") target.file = of_its_own(target.file, job.name);
}

// Nothing: a watch wants none of its flows this time.
std::optional<Job> job_of(const std::string& file, ScenarioText text, const po::variables_map& values, const ReportWish& wish, bool several, const Turn* turn) {
    Job job;
    job.text = std::move(text);
    job.name = file == "-" ? "stdin" : std::filesystem::path{file}.stem().string();
    job.setting = setting_option(values, job.text.scenario);
    const auto ruleset = take_rulesets("ruleset", list_of(values, "ruleset"), job.text.scenario);
    job.ruleset = ruleset_in(job.setting, ruleset, job.text.scenario);
    take_ruleset_options(job, values, several);
    take_files(job, values, wish, several);
    job.turn = turn;
    // Of flows from `anyone` it is known later which there are.
    if (!choose_flows(job, values) && !(job.setting.built_in() && needs_samples(job.text.scenario)))
        throw UsageError{fmt::format("run: {} has no flow {}", file, narrowing(values))};
    if (turn != nullptr && turn->narrowed()) {
        if (job.flows.empty() && !needs_samples(job.text.scenario)) return std::nullopt;
        job.journals.clear(), job.captures.clear(), job.bundle.clear(), job.patch.clear();
    }
    return job;
}

int run_jobs(std::vector<Job>& jobs, const Inside& inside, const po::variables_map& values, const ReportWish& wish) {
    int code = ends::as_expected;
    SiteTable sites;
    for (auto& job : jobs) {
        std::optional<Report> report;
        try {
            job.text = with_addresses(std::move(job.text), job.setting);
            add_samples(job, values);
            if (job.flows.empty()) continue;  // a watch's, of others
            code = worse(code, run_job(job, inside, values, wish, report));
        } catch (const Interrupted&) {
            code = ends::interrupted;
        } catch (const SetupFailed& failure) {
            if (jobs.size() == 1) throw;
            std::cerr << fmt::format("wmlab: {}: {}\n", job.text.scenario.file.string(), failure.what());
            code = worse(code, ends::not_set_up);
        }
        if (report) sites.add(job.name, job.text.scenario, *report, jobs.size() > 1);
        if (code == ends::interrupted) break;
    }
    const auto problem = write_merged(sites, wish, jobs.size() > 1);
    std::cerr << problem;
    return problem.empty() ? code : worse(code, ends::not_as_expected);
}

// All that was asked for, once; `turn`: as one run of a watch.
int run_once(const po::variables_map& values, const Turn* turn) {
    const auto files = scenario_files(words(values));
    auto wish = report_wish(values);
    if (turn != nullptr && turn->narrowed()) {  // files are for the report of all flows
        std::erase_if(wish.targets, [](const auto& target) { return !target.file.empty() && target.file != "-"; });
        std::string none;
        if (wish.targets.empty()) wish.targets.push_back(*report_target("text", none));
    }
    std::vector<Job> jobs;
    bool good = true;
    for (const auto& file : files) {
        auto text = read_scenario_text(file, files_wanted(values));
        good = good && text.has_value();
        auto job = text ? job_of(file, std::move(*text), values, wish, files.size() > 1, turn) : std::nullopt;
        if (!job) continue;
        if (!jobs.empty() && jobs.front().setting.kind() != job->setting.kind())
            throw UsageError{fmt::format("run: the hosts of {} are elsewhere than those of {}; run them one by one", file, files.front())};
        jobs.push_back(std::move(*job));
    }
    if (!good) return 2;
    if (jobs.empty()) return 0;  // a watch, and the flows it wanted first are gone
    const auto setting = jobs.front().setting;
    return inside_sandbox([&](const Inside& inside) { return run_jobs(jobs, inside, values, wish); }, setting);
}

// Options that do not go together, and numbers that are none. UsageError.
void refuse_what_does_not_go_together(const po::variables_map& values, const std::vector<std::string>& files) {
    if (files.empty()) throw UsageError{"run: which scenario?"};
    if (values.contains("keep") && files.size() > 1) throw UsageError{"run: --keep takes one scenario"};
    report_wish(values);  // says what is wrong with it
    for (const auto* option : {"apply-suggestions", "suggest", "coverage"})
        if (values.contains("no-trace") && values.contains(option))
            throw UsageError{fmt::format("run: --{} needs the trace, which --no-trace switches off", option)};
    constexpr unsigned jobs_max = 100'000;  // what was written with a minus sign is far above
    if (const auto& jobs = values["jobs"]; !jobs.defaulted() && (jobs.as<unsigned>() == 0 || jobs.as<unsigned>() > jobs_max))
        throw UsageError{"run: `--jobs` is how many flows run at the same time, 1 or more; leave it out for no limit"};
    if (values.contains("live") && !values.contains("baseline"))
        throw UsageError{"run: --live applies the ruleset while the streams play under an older one: name that with --baseline"};
    if (values.contains("live") && values.contains("keep"))
        throw UsageError{"run: --live makes a lab of its own after the others, and --keep wants the last one to stay"};
    if (!values.contains("watch")) return;
    if (values.contains("keep")) throw UsageError{"run: --keep waits for you with the lab standing, and --watch for a change"};
    if (std::ranges::find(files, "-") != files.end()) throw UsageError{"run: --watch waits for a file to change, and - is none"};
}

void add_run_options(po::options_description& options) {
    auto add = options.add_options();
    add("ruleset", po::value<std::vector<std::string>>()->composing()->value_name("FILE"),
        "nftables or iptables-save file to load into the firewall, instead of the scenario's; of several firewalls NAME=FILE for one of them, repeatable");
    add("baseline", po::value<std::vector<std::string>>()->composing()->value_name("FILE"),
        "the ruleset before the change (of several firewalls NAME=FILE, repeatable): runs both, says what the change breaks, weakens, repairs, opens and closes; exit 1 if it breaks or weakens what the scenario does not expect, or opens what no flow needs");
    add("allow-open", "with --baseline: report what the change opens, but do not exit 1 because of it");
    add("live",
        "with --baseline: the streams play under the old ruleset while the new one is applied, as `firewall: { apply: }` says; reports what their users notice; exit 1 if the change itself ends a stream that the new rules allow");
    add("journal", po::value<std::string>()->value_name("DIR"),
        "keep the journals (what each program did and saw) in this folder, one file per host and program");
    add("only", po::value<std::vector<std::string>>()->composing()->value_name("GLOB"),
        "only flows whose name matches; repeatable");
    add("tag", po::value<std::vector<std::string>>()->composing()->value_name("GLOB"),
        "only flows one of whose tags matches; repeatable");
    add("without", po::value<std::vector<std::string>>()->composing()->value_name("TYPE"),
        "leave out flows of this type, such as multicast where nothing routes it; repeatable");
    add("jobs", po::value<unsigned>()->value_name("N")->default_value(0, "no limit"), "how many flows run at the same time");
    add("no-trace", "do not ask the kernel which rule decided (the report then names none)");
    add("trace-buffer", po::value<unsigned>()->value_name("BYTES"),
        "size of the buffer for the kernel's messages about rule decisions; what does not fit is lost, and the report says so");
    add("coverage", "list every rule of the ruleset: which flows need it, or that no packet came to it");
    add("apply-suggestions", "run the stopped flows again with the suggested rules in a scratch copy of the ruleset");
    add("bundle", po::value<std::string>()->value_name("FILE"),
        "keep in one file all that the report rests on, for `wmlab replay` and `wmlab compare`");
    add("suggest", po::value<std::string>()->value_name("FILE.patch"),
        "write what would make the stopped flows pass as one change of the ruleset, for `patch -p0`; proven first, as --apply-suggestions does");
    add("keep", "keep the lab up after the run, and say how to enter it, until Ctrl-C");
    add("watch", "run again when the scenario, what it includes, or a ruleset changes: first the flows that the edit touches, then all; until Ctrl-C");
    add_setting_options(options);
    add_report_options(options);
}

}  // namespace

int run_command(Arguments arguments) {
    Usage usage{
        "run",
        "SCENARIO|DIR...",
        "Builds the lab, runs all flows, and says for each whether it works through the firewall; if not, on which leg it was stopped, how, and by which rule. No root needed where user namespaces are allowed (wmlab doctor).",
        {},
        "\nA directory stands for its .yaml and .yml files. Of several scenarios each is a run of its own; report files and journal folders then carry its name, and a report file without it holds the flows of all.\n"};
    add_run_options(usage.options);
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    refuse_what_does_not_go_together(*values, scenario_files(words(*values)));
    if (!values->contains("watch")) return run_once(*values, nullptr);
    WatchWish wish;
    wish.scenarios = [&] { return scenario_files(words(*values)); };
    for (const auto* option : {"ruleset", "baseline"})
        for (const auto& word : list_of(*values, option)) {
            const auto equals = word.find('=');
            const bool of_several = equals != std::string::npos && !std::filesystem::exists(word);
            wish.rulesets.emplace_back(of_several ? word.substr(equals + 1) : word);
        }
    wish.scenarios_ruleset = !values->contains("ruleset");
    wish.run = [&](const Turn& turn) { return run_once(*values, &turn); };
    return watch(wish);
}

}  // namespace wmlab::lab::commands
