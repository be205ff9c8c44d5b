// wmlab init: write a first scenario from the zones and addresses that a ruleset names.
#include <spdlog/fmt/fmt.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/missing.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/error.hpp"
#include "lab/network/netlink.hpp"
#include "lab/rules/site.hpp"
#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

// Loads the ruleset where nothing is but the interfaces that it asks for by number.
rules::Ruleset ruleset_alone(const std::filesystem::path& file) {
    const auto scratch = Namespace::create("a look at the rules");
    Links links{scratch};
    int index = 10;
    std::vector<std::string> notes;
    load_for(
        {}, scratch, file, [&](const std::string& name) { links.add_bridge(name, index++); }, notes);
    return read_ruleset(scratch, file);
}

// What `define MEDIA = 10.10.0.10` calls an address.
std::map<std::string, std::string, std::less<>> names_of_addresses(const std::filesystem::path& file) {
    std::map<std::string, std::string, std::less<>> names;
    for (const auto& [value, name] : rules::names_in(rules::read_from_disk(file).value_or(std::string{}), UINT32_MAX))
        names[value] = name.substr(1);
    return names;
}

}  // namespace

int init_command(Arguments arguments) {
    Usage usage{
        "init",
        "RULESET",
        "Writes a scenario to begin with: zones from the interfaces and networks that the ruleset names, hosts from its addresses, the flow types as comments. To standard output, or with --output to a file.",
        {},
        "\nNext: look through it, `wmlab check` it, and `wmlab run` it.\n"};
    usage.options.add_options()("output,o", po::value<std::string>()->value_name("FILE"),
                                "write there; never over a file");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"init: one ruleset, please"};
    const std::filesystem::path file = files.front();
    examine_ruleset(file);
    const auto output = values->contains("output") ? std::filesystem::path{(*values)["output"].as<std::string>()}
                                                   : std::filesystem::path{};
    if (std::filesystem::exists(output)) throw UsageError{"init: " + output.string() + " is there already"};
    return inside_sandbox([&](const Inside&) {
        const auto ruleset = ruleset_alone(file);
        if (ruleset.empty()) {
            std::cerr << "wmlab: " << file.string()
                      << " holds no rule and no policy that drops: there is nothing to begin with\n";
            return 2;
        }
        // As the scenario names it: from its own folder.
        const auto folder =
            output.empty() ? std::filesystem::current_path() : std::filesystem::absolute(output).parent_path();
        const auto near = std::filesystem::absolute(file).lexically_normal().lexically_proximate(folder);
        const auto text = rules::skeleton(ruleset, near.string(), names_of_addresses(file));
        if (output.empty()) {
            std::cout << text << std::flush;
            return 0;
        }
        std::ofstream out{output};
        out << text;
        if (!out.flush()) throw SetupFailed{"write " + output.string(), "the file system refuses it"};
        std::cout << fmt::format("{}: a scenario to begin with; look through it, then `wmlab run {}`\n",
                                 output.string(), output.string());
        return 0;
    });
}

}  // namespace wmlab::lab::commands
