// wmlab run: builds the lab, runs the flows, judges, reports.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "common/scenario/catalogue.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/progress.hpp"
#include "lab/commands/suggested.hpp"
#include "lab/commands/trial.hpp"
#include "lab/verdict/comparison.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

struct Job {  // one scenario file
    ScenarioText text;
    std::string name;  // the file's, without directory and suffix
    Setting setting;
    std::filesystem::path ruleset, baseline, journals, captures;
    std::vector<std::string> flows;
    std::vector<ReportTarget> targets;
};

// Of several scenarios each has its own file and folder: out.json becomes out-NAME.json.
std::filesystem::path of_its_own(const std::filesystem::path& file, const std::string& name) {
    return file.parent_path() / (file.stem().string() + "-" + name + file.extension().string());
}

void wait_for_the_user(Lab& lab) {
    std::cerr << "\nThe lab is kept until Ctrl-C. A shell on a host, from another terminal:\n"
              << lab.how_to_enter() << std::flush;
    lab.wait([] { return false; }, std::chrono::steady_clock::time_point::max());
}

// 130 interrupted, 3, 2, 1 not as expected, 4 inconclusive, 0
int worse(int one, int other) {
    constexpr std::array order{0, 4, 1, 2, 3, 130};
    const auto rank = [&](int code) { return std::ranges::find(order, code) - order.begin(); };
    return rank(one) < rank(other) ? other : one;
}

int run_job(const Job& job, const Inside& inside, const po::variables_map& values, const ReportWish& wish) {
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
    options.jobs = values["jobs"].as<unsigned>();
    options.journals = job.journals;
    options.trace = !values.contains("no-trace");
    if (values.contains("trace-buffer")) options.trace_buffer = values["trace-buffer"].as<unsigned>();
    options.coverage = values.contains("coverage");
    options.setting = job.setting;
    options.captures = job.captures;
    options.seen = [&](const evidence::Event& event) { progress.see(event); };
    options.say = [&](const std::string& sentence) { progress.say(sentence); };
    bool reported = false, written = true;
    if (values.contains("keep"))
        options.keep = [&](Lab& lab, const Report& report) {
            written = report_it(report);
            reported = true;
            wait_for_the_user(lab);
        };
    auto trial = [&] {
        try {
            std::optional<Report> before;
            if (!job.baseline.empty()) {
                auto old = options;
                old.ruleset = job.baseline;
                old.keep = nullptr;
                old.coverage = false;
                if (!old.journals.empty()) old.journals /= "baseline";
                if (!old.captures.empty()) old.captures /= "baseline";
                auto done = try_scenario(job.text, inside, old);
                if (done.interrupted) return done;
                before = std::move(done.report);
            }
            if (before) options.after = [&](Report& report) { report.baseline = compare(*before, report); };
            auto done = try_scenario(job.text, inside, options);
            if (values.contains("apply-suggestions") && !done.interrupted)
                prove_suggestions(done.report, job.text, inside, options);
            return done;
        } catch (...) {
            progress.clear();
            throw;
        }
    }();
    if (!reported) written = report_it(trial.report);
    if (trial.interrupted) return 130;
    if (trial.report.baseline && stops(*trial.report.baseline)) return 1;
    return written ? exit_code(trial.report) : worse(exit_code(trial.report), 1);
}

}  // namespace

int run_command(Arguments arguments) {
    Usage usage{
        "run",
        "SCENARIO...",
        "Builds the lab, runs all flows, and says for each whether it works through the firewall, and where not, on "
        "which leg and how it was stopped. No root needed where user namespaces are allowed (wmlab doctor).",
        {},
        "\nOf several scenarios each is a run of its own; report files and journal folders then carry its name.\n"};
    auto add = usage.options.add_options();
    add("ruleset", po::value<std::string>()->value_name("FILE"),
        "nftables or iptables-save file to load into the firewall, instead of the scenario's");
    add("baseline", po::value<std::string>()->value_name("FILE"),
        "the ruleset before the change: runs both, says what the change breaks, repairs and opens; exit 1 if it breaks "
        "what the scenario does not expect");
    add("journal", po::value<std::string>()->value_name("DIR"), "keep the journals there, one per host and program");
    add("only", po::value<std::string>()->value_name("GLOB"), "only flows whose name matches");
    add("without", po::value<std::vector<std::string>>()->composing()->value_name("TYPE"),
        "leave out flows of this type, such as multicast where nothing routes it; repeatable");
    add("jobs", po::value<unsigned>()->value_name("N")->default_value(0, "no limit"), "flows at the same time");
    add("no-trace", "do not ask the kernel which rule decided (the report then names none)");
    add("trace-buffer", po::value<unsigned>()->value_name("BYTES"),
        "for what the kernel says about decisions until it is read; what does not fit is lost, which the report says");
    add("coverage", "list every rule of the ruleset: which flows need it, or that no packet came to it");
    add("apply-suggestions", "run the stopped flows again with the suggested rules in a scratch copy of the ruleset");
    add("keep", "keep the lab up after the run, and say how to enter it, until Ctrl-C");
    add_setting_options(usage.options);
    add_report_options(usage.options);
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.empty()) throw UsageError{"run: which scenario?"};
    if (values->contains("keep") && files.size() > 1) throw UsageError{"run: --keep takes one scenario"};
    const auto wish = report_wish(*values);
    std::optional<std::string> ruleset;
    if (values->contains("ruleset")) ruleset = (*values)["ruleset"].as<std::string>();
    if (values->contains("no-trace") && values->contains("apply-suggestions"))
        throw UsageError{"run: --apply-suggestions needs the trace, which --no-trace switches off"};
    if (values->contains("no-trace") && values->contains("coverage"))
        throw UsageError{"run: --coverage needs the trace, which --no-trace switches off"};

    std::vector<Job> jobs;
    bool good = true;
    for (const auto& file : files) {
        auto text = read_scenario_text(file);
        good = good && text.has_value();
        if (!text) continue;
        Job job;
        job.text = std::move(*text);
        job.name = file == "-" ? "stdin" : std::filesystem::path{file}.stem().string();
        job.setting = setting_option(*values, job.text.scenario);
        if (!jobs.empty() && jobs.front().setting.kind() != job.setting.kind())
            throw UsageError{fmt::format("run: the hosts of {} are elsewhere than those of {}; run them one by one",
                                         file, files.front())};
        job.ruleset = ruleset_in(job.setting, ruleset, job.text.scenario);
        if (values->contains("baseline")) {
            if (!job.setting.built_in())
                throw UsageError{"run: --baseline loads two rulesets and needs the built-in firewall"};
            job.baseline = ruleset_for((*values)["baseline"].as<std::string>(), job.text.scenario);
        }
        if (values->contains("apply-suggestions") && !job.setting.built_in())
            throw UsageError{"run: --apply-suggestions changes the ruleset and needs the built-in firewall"};
        if (values->contains("coverage") && (!job.setting.built_in() || job.ruleset.empty()))
            throw UsageError{"run: --coverage needs the built-in firewall and a ruleset"};
        job.targets = wish.targets;
        if (values->contains("journal")) job.journals = (*values)["journal"].as<std::string>();
        if (values->contains("pcap")) job.captures = (*values)["pcap"].as<std::string>();
        if (files.size() > 1) {
            if (!job.captures.empty()) job.captures /= job.name;
            if (!job.journals.empty()) job.journals /= job.name;
            for (auto& target : job.targets)
                if (!target.file.empty() && target.file != "-") target.file = of_its_own(target.file, job.name);
        }
        const auto flows = chosen_flows(job.text.scenario, *values);
        if (flows.empty()) throw UsageError{fmt::format("run: {} has no flow {}", file, narrowing(*values))};
        for (const auto& flow : flows) job.flows.push_back(flow.id);
        jobs.push_back(std::move(job));
    }
    if (!good) return 2;

    const auto setting = jobs.front().setting;
    const auto in_turn = [&](const Inside& inside) {
        int code = 0;
        for (const auto& job : jobs) {
            code = worse(code, run_job(job, inside, *values, wish));
            if (code == 130) break;
        }
        return code;
    };
    return inside_sandbox(in_turn, setting);
}

}  // namespace wmlab::lab::commands
