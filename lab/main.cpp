// wmlab: finds the command and runs it. A command is one line of the table below.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <string>
#include <vector>

#include "lab/commands/options.hpp"
#include "lab/host/error.hpp"
#include "lab/verdict/version.hpp"

namespace {

using namespace wmlab::lab::commands;

struct Command {
    std::string_view name, summary;
    int (*run)(Arguments);
};

constexpr std::array commands{
    Command{"run", "build the lab, run all flows, judge, report", run_command},
    Command{"exec", "run a program on a host of the lab", exec_command},
    Command{"judge", "judge journals that were collected by hand", judge_command},
    Command{"init", "write a first scenario from the zones and addresses that a ruleset names", init_command},
    Command{"check", "validate scenarios without running them", check_command},
    Command{"list", "print the flows of a scenario, and the legs and ports each needs", list_command},
    Command{"rules", "print the minimal rules that let exactly a scenario through", rules_command},
    Command{"audit", "find what is open through the firewall and needed by no flow", audit_command},
    Command{"alg", "what a firewall that reads the protocols (an ALG) opens because of them", alg_command},
    Command{"firewall", "load a ruleset on another machine or in a container, and record what it decides", firewall_command},
    Command{"demo", "twenty seconds: a stream, a rule that stops it, and how to mend it", demo_command},
    Command{"compare", "compare two runs: which flows have another result, and what else differs", compare_command},
    Command{"history", "look at many runs: how flows develop, and which are unsteady", history_command},
    Command{"replay", "judge the bundle of a run once more, offline", replay_command},
    Command{"explain", "say what a cause or reason of a report means", explain_command},
    Command{"doctor", "check what this machine allows, and say what to do where it does not", doctor_command},
};

void print_help(std::ostream& out) {
    out << "usage: wmlab COMMAND [ARGUMENTS]\n\n"
           "Which streams of Windows Media Services 4.1 will work through a firewall, which will not, and why.\n\ncommands\n";
    for (const auto& command : commands) out << fmt::format("  {:<10}{}\n", command.name, command.summary);
    out << "\n`wmlab help COMMAND` says more. Exit codes: 0 as expected, 1 not as expected, 2 usage or scenario error,\n"
           "3 the lab could not be set up, 4 inconclusive, 130 interrupted.\n";
}

// For completion and manual pages; `wmlab COMMAND --help-json` has the options of one.
void print_commands_json(std::ostream& out) {
    out << "{ \"commands\": [\n";
    for (const auto& command : commands)
        out << fmt::format("  {{ \"name\": \"{}\", \"summary\": \"{}\" }}{}\n", command.name, command.summary,
                           &command == &commands.back() ? "" : ",");
    out << "] }\n";
}

int dispatch(const std::vector<std::string>& words) {
    if (words.empty()) {
        print_help(std::cerr);
        return 2;
    }
    const auto& name = words.front();
    if (name == "help" && words.size() > 1) return dispatch({words[1], "--help"});
    if (name == "--help" || name == "-h" || name == "help") {
        print_help(std::cout);
        return 0;
    }
    if (name == "--help-json") {
        print_commands_json(std::cout);
        return 0;
    }
    if (name == "--version") {
        std::cout << "wmlab " << wmlab::lab::version() << '\n';
        return 0;
    }
    if (name == "version") {
        if (words.size() > 1) throw UsageError{"version: takes no arguments"};
        const auto commit = wmlab::lab::commit();
        std::cout << "wmlab " << wmlab::lab::version() << (commit.empty() ? "" : fmt::format(" (commit {})", commit))
                  << '\n';
        return 0;
    }
    const auto found = std::ranges::find(commands, name, &Command::name);
    if (found != commands.end()) return found->run(std::span{words}.subspan(1));
    std::vector<std::string> names;
    for (const auto& command : commands) names.emplace_back(command.name);
    const auto near = nearest(name, names);
    throw UsageError{near.empty() ? fmt::format("no such command `{}`", name)
                                  : fmt::format("no such command `{}`, did you mean `{}`?", name, near)};
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return dispatch({argv + 1, argv + argc});
    } catch (const UsageError& error) {
        std::cerr << "wmlab: " << error.what()
                  << "\nwmlab: `wmlab --help` and `wmlab COMMAND --help` list what there is\n";
        return 2;
    } catch (const wmlab::lab::RulesetRefused& refused) {
        std::cerr << "wmlab: " << refused.what() << '\n';
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "wmlab: " << error.what() << '\n';
        return 3;
    }
}
