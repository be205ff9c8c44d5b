// wmlab exec: a program of the user's choice (a player, a shell) on a host of the lab, with the simulators running.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/waves.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/host/error.hpp"
#include "lab/host/interruption.hpp"
#include "lab/run/addresses.hpp"
#include "lab/run/bystanders.hpp"
#include "lab/run/crew.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

// What can be up at the same time: the flows of the first wave.
std::vector<scenario::FlowInstance> served_flows(const scenario::Scenario& scenario, const po::variables_map& values) {
    const auto flows = chosen_flows(scenario, values);
    const auto waves = scenario::waves(scenario, flows);
    if (waves.empty()) return {};
    if (waves.size() > 1)
        std::cerr << fmt::format("wmlab: {} flows need the same ports as others and are not served; --only chooses\n",
                                 flows.size() - waves.front().size());
    return waves.front();
}

int run_program(Lab& lab, const std::string& host, const std::vector<std::string>& argv) {
    std::optional<Ending> ending;
    Start start;
    start.host = host;
    start.argv = argv;
    start.names = lab.names_at(host);
    start.terminal = true;
    start.ended = [&](const Ending& how) { ending = how; };
    std::shared_ptr<Process> process;
    try {
        process = lab.launcher.start(std::move(start));
    } catch (const SetupFailed& failure) {
        std::cerr << "wmlab: " << failure.what() << '\n';
        return 127;
    }
    const bool from_terminal = ::isatty(STDIN_FILENO) != 0;
    for (int passed_on = lab.interruptions; !ending;) {
        lab.io.run_one();
        if (lab.interruptions == passed_on) continue;
        passed_on = lab.interruptions;
        // a Ctrl-C of the terminal has reached the program too
        if (Interruptions::last_signal() != SIGINT || !from_terminal) process->signal(Interruptions::last_signal());
    }
    return ending->signal != 0 ? 128 + ending->signal : ending->code;
}

}  // namespace

int exec_command(Arguments arguments) {
    Usage usage{
        "exec",
        "SCENARIO HOST -- COMMAND...",
        "Builds the lab, starts the simulators that answer (servers, encoders), runs the command on the host and exits with its status. Host names of the scenario resolve.",
        {},
        "\nExample: wmlab exec kb189416.yaml player -- ffplay mmst://media/lecture\n"};
    auto add = usage.options.add_options();
    add("ruleset", po::value<std::vector<std::string>>()->composing()->value_name("FILE"),
        "nftables or iptables-save file to load into the firewall, instead of the scenario's; of several firewalls NAME=FILE for one of them, repeatable");
    add("journal", po::value<std::string>()->value_name("DIR"),
        "keep the journals (what each program did and saw) in this folder, one file per host and program");
    add("only", po::value<std::string>()->value_name("GLOB"), "only what flows whose name matches need");
    add_setting_options(usage.options);
    const auto dashes = std::ranges::find(arguments, std::string{"--"});
    const auto values = parse(usage, arguments.first(static_cast<std::size_t>(dashes - arguments.begin())));
    if (!values) return 0;
    auto before = words(*values);
    std::vector<std::string> argv;
    if (dashes != arguments.end()) argv.assign(dashes + 1, arguments.end());
    if (before.size() > 2 && argv.empty()) argv.assign(before.begin() + 2, before.end());
    if (before.size() < 2 || argv.empty()) throw UsageError{"exec: SCENARIO HOST -- COMMAND..., please"};

    auto text = read_scenario_text(before[0], files_wanted(*values));
    if (!text) return 2;
    const auto& host = before[1];
    if (text->scenario.host(host) == nullptr) {
        std::vector<std::string> names;
        for (const auto& each : text->scenario.hosts) names.push_back(each.name);
        const auto near = nearest(host, names);
        throw UsageError{near.empty()
                             ? fmt::format("exec: the scenario has no host `{}`", host)
                             : fmt::format("exec: the scenario has no host `{}`, did you mean `{}`?", host, near)};
    }
    const auto option = take_rulesets("ruleset", list_of(*values, "ruleset"), text->scenario);
    auto setting = setting_option(*values, text->scenario);
    const auto ruleset = ruleset_in(setting, option, text->scenario);
    served_flows(text->scenario, *values);  // says what is wrong with the options

    const auto body = [&](const Inside& inside) {
        text = with_addresses(std::move(*text), setting);
        const auto flows = served_flows(text->scenario, *values);
        Recorder recorder{values->contains("journal") ? (*values)["journal"].as<std::string>() : std::string{}, {}};
        const std::filesystem::path captures = values->contains("pcap") ? (*values)["pcap"].as<std::string>() : "";
        Lab lab{text->scenario, inside, ruleset, recorder, setting, captures};
        const auto say = [](const std::string& sentence) { std::cerr << "wmlab: " << sentence << std::endl; };
        for (const auto& note : lab.notes) say(note);
        std::set<std::string> hosts;
        for (const auto& each : text->scenario.hosts) hosts.insert(each.name);
        HostPrograms programs{lab, recorder, *text, hosts, say};
        CrewOptions crew_options;
        crew_options.say = say;
        crew_options.wanted = [](scenario::Program program) {
            return program == scenario::Program::server_sim || program == scenario::Program::encoder_sim;
        };
        Crew crew{lab, recorder, *text, flows, crew_options};
        programs.wait_until_listening(flows);
        if (!crew.wait_until_ready()) return ends::interrupted;
        crew.start();
        const auto code = run_program(lab, host, argv);
        crew.stop();
        for (auto& event : lab.wire.take()) recorder.add(std::move(event));
        recorder.finish("finished");
        return code;
    };
    return inside_sandbox(body, setting);
}

}  // namespace wmlab::lab::commands
