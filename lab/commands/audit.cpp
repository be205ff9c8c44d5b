// wmlab audit: what is open through the lab's firewall that no flow of the scenario needs.
#include "lab/audit/audit.hpp"

#include <unistd.h>

#include <fstream>
#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/host/error.hpp"
#include "lab/network/sandbox.hpp"

namespace wmlab::lab::commands {

int audit_command(Arguments arguments) {
    namespace po = boost::program_options;
    Usage usage{"audit",
                "SCENARIO",
                "Sends a probe to all 65535 TCP and UDP ports between the hosts of every two zones, both ways, and "
                "says which are open that no flow "
                "needs and which rule opens them. Exit code 0: none; 1: some; 4: some ports could not be tested.",
                {},
                ""};
    usage.options.add_options()("ruleset", po::value<std::string>()->value_name("FILE"), "instead of the scenario's")(
        "report", po::value<std::vector<std::string>>()->value_name("FORMAT[:FILE]")->composing(),
        "text or json; repeatable")("every-host", "probe every pair of hosts, also those that no rule can tell apart")(
        "quiet,q", "no progress");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"audit: one scenario, please"};

    struct Target {
        bool json;
        std::string file;
    };
    std::vector<Target> targets;
    auto wishes = list_of(*values, "report");
    if (wishes.empty()) wishes.emplace_back("text");
    for (const auto& wish : wishes) {
        const auto format = wish.substr(0, wish.find(':'));
        if (format != "text" && format != "json")
            throw UsageError{"audit: the report formats are text and json, not `" + format + "`"};
        targets.push_back({format == "json", wish.size() > format.size() ? wish.substr(format.size() + 1) : "-"});
        if (targets.back().file == "-") continue;
        if (!std::ofstream{targets.back().file, std::ios::app})
            throw UsageError{"audit: cannot write " + targets.back().file};
    }
    const auto scenario = read_scenario(files.front(), true);
    if (!scenario) return 2;
    AuditOptions options;
    options.every_host = values->contains("every-host");
    std::optional<std::string> ruleset;
    if (values->contains("ruleset")) ruleset = (*values)["ruleset"].as<std::string>();
    options.ruleset = ruleset_for(ruleset, *scenario);
    if (::isatty(STDERR_FILENO) && !values->contains("quiet"))
        options.progress = [](const std::string& what) { std::cerr << "\r\033[K" << what << std::flush; };
    return in_sandbox([&](const Inside&) {
        try {
            const auto report = audit(*scenario, options);
            if (options.progress) options.progress("");
            for (const auto& target : targets) {
                const auto text = target.json ? audit_json(report) : audit_text(report);
                if (target.file == "-") {
                    std::cout << text << std::flush;
                    continue;
                }
                std::ofstream out{target.file};
                if (!(out << text << std::flush)) throw SetupFailed{"write " + target.file, "not all could be written"};
            }
            return exit_code(report);
        } catch (const RulesetRefused& refused) {
            std::cerr << refused.what() << '\n';
            return 2;
        } catch (const SetupFailed& failure) {
            std::cerr << "wmlab: " << failure.what() << '\n';
            return 3;
        }
    });
}

}  // namespace wmlab::lab::commands
