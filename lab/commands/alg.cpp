// wmlab alg: the conformance kit for firewalls that read MMS or the endpoint mapper and open the ports they find there.
#include <fnmatch.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "common/scenario/values.hpp"
#include "lab/alg/hand_sockets.hpp"
#include "lab/alg/kit.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/targets.hpp"
#include "lab/commands/trial.hpp"
#include "lab/programs/carried_wmlab.hpp"

namespace wmlab::lab::commands {
namespace {

Announces kind_named(const std::string& name) {
    for (const auto kind : {Announces::mms, Announces::mapper, Announces::mapper_udp, Announces::msbd})
        if (text(kind) == name) return kind;
    throw UsageError{fmt::format("alg: --protocol is mms, mapper, mapper-udp or msbd, not `{}`", name)};
}

}  // namespace

int alg_command(Arguments arguments) {
    namespace po = boost::program_options;
    Usage usage{
        "alg",
        "SCENARIO | --hand",
        "Announces ports through the firewall as MMS players and the endpoint mapper do, rightly and wrongly, and says which packets "
        "get through because of it: whether the firewall opens what the streams need, and only that. Exit code 0: conforming, 1: it does not help or opens too much, 4: something could not be tried, or not wholly.",
        {},
        "\nThe rules must let TCP 1755 and 135 through to the server, and nothing of what is announced.\n"};
    auto add = usage.options.add_options();
    add("ruleset", po::value<std::string>()->value_name("FILE"), "use this ruleset instead of the scenario's");
    add("inspector", po::value<std::string>()->value_name("COMMAND"),
        "a program that inspects on the built-in firewall: it runs in its namespace, as you, and writes the line `ready` when it reads packets");
    add("protocol", po::value<std::vector<std::string>>()->composing()->value_name("NAME"),
        "mms, mapper, mapper-udp or msbd; repeatable. Without it mms and mapper, and what else the scenario's flows use");
    add("lifetime", po::value<double>()->default_value(1)->value_name("SECONDS"), "how long an open port is left alone, and kept in use for twice that");
    add("only", po::value<std::vector<std::string>>()->composing()->value_name("GLOB"), "only announcements whose name matches; repeatable");
    add("report", po::value<std::vector<std::string>>()->value_name("FORMAT[:FILE]")->composing(), "text, json, junit, html or markdown; repeatable");
    add("quiet,q", "no progress");
    add("hand", "without SCENARIO: acts for one host on this machine; `wmlab alg` with --launch talks to it");
    add("carried", po::value<std::string>()->value_name("DIR"), "with --hand: where its own files were put; removed at once");
    add_setting_options(usage.options);
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    if (values->contains("carried")) remove_carried_files((*values)["carried"].as<std::string>());
    const auto files = words(*values);
    if (values->contains("hand")) {
        if (!files.empty()) throw UsageError{"alg: --hand takes no scenario, it is told what to do on its standard input"};
        return saying_refusals([] { return serve_hand(STDIN_FILENO, std::cout); });
    }
    if (files.size() != 1) throw UsageError{"alg: one scenario, please"};
    const auto targets = targets_of("alg", *values, alg_formats());
    AlgOptions options;
    for (const auto& name : list_of(*values, "protocol")) options.kinds.push_back(kind_named(name));
    const auto lifetime = (*values)["lifetime"].as<double>();
    if (!(lifetime >= 0.1) || lifetime > 3600) throw UsageError{"alg: --lifetime is seconds, from 0.1 to 3600"};
    options.lifetime = std::chrono::milliseconds{static_cast<long>(lifetime * 1000)};
    if (const auto globs = list_of(*values, "only"); !globs.empty())
        options.only = [globs](const Announcement& one) {
            return std::ranges::any_of(globs, [&](const auto& glob) { return ::fnmatch(glob.c_str(), one.id.c_str(), 0) == 0; });
        };
    auto text = read_scenario_text(files.front(), files_wanted(*values));
    if (!text) return 2;
    text->scenario.events.clear();
    options.setting = setting_option(*values, text->scenario);
    std::optional<std::string> ruleset;
    if (values->contains("ruleset")) ruleset = (*values)["ruleset"].as<std::string>();
    refuse_several(text->scenario, "alg");
    refuse_unknown_addresses(text->scenario, "alg");
    options.ruleset = ruleset_in(options.setting, ruleset, text->scenario);
    if (values->contains("inspector")) {
        if (!options.setting.built_in()) throw UsageError{"alg: --inspector runs on the built-in firewall, and this one is a device of its own"};
        options.inspector = scenario::words_from((*values)["inspector"].as<std::string>());
        if (options.inspector.empty()) throw UsageError{"alg: --inspector names no program"};
    }
    if (values->contains("pcap")) options.captures = (*values)["pcap"].as<std::string>();
    options.progress = line_of_progress(*values);
    return inside_sandbox(
        [&](const Inside& inside) {
            const auto report = try_announcements(*text, inside, options);
            if (options.progress) options.progress("");
            if (report.findings.empty() && !report.interrupted) std::cerr << "alg: no announcement matches\n";
            for (const auto& target : targets) write_to(target, render_alg(target.format, report));
            return exit_code(report);
        },
        options.setting);
}

}  // namespace wmlab::lab::commands
