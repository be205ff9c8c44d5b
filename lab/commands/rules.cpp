// wmlab rules: print the minimal rules that let exactly a scenario through, for a firewall of the user's choice.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/rules/generate.hpp"

namespace wmlab::lab::commands {

int rules_command(Arguments arguments) {
    namespace po = boost::program_options;
    std::string dialects;
    for (const auto name : rules::dialect_names) dialects += fmt::format("{}{}", dialects.empty() ? "" : ", ", name);
    Usage usage{"rules",
                "SCENARIO --dialect NAME",
                "Prints the minimal rules that let exactly the scenario's flows through, and nothing else.",
                {},
                ""};
    usage.options.add_options()("dialect", po::value<std::string>()->value_name("NAME")->default_value("nft"),
                                dialects.c_str());
    usage.options.add_options()("box", po::value<std::string>()->value_name("NAME"), "of several `firewalls:` the one whose rules they are");
    usage.options.add_options()("merge", "print only the rules, to be added to an existing ruleset");
    usage.options.add_options()("whole", "print a complete file (the default); its first lines say what loading it replaces");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"rules: one scenario, please"};
    const auto dialect = (*values)["dialect"].as<std::string>();
    if (std::ranges::find(rules::dialect_names, dialect) == rules::dialect_names.end()) {
        const auto near = nearest(dialect, {rules::dialect_names.begin(), rules::dialect_names.end()});
        throw UsageError{fmt::format("rules: no dialect `{}`: {}{}", dialect, dialects,
                                     near.empty() ? "" : fmt::format("; did you mean `{}`?", near))};
    }
    const auto scenario = read_scenario(files.front(), scenario::Files::not_checked);
    if (!scenario) return 2;
    refuse_unknown_addresses(*scenario, "rules");
    if (values->contains("merge") && values->contains("whole")) throw UsageError{"rules: either --merge or --whole"};
    const auto form = values->contains("merge") ? rules::Form::merge : rules::Form::whole;
    std::cout << *rules::generate(seen_by_option("rules", *values, *scenario), dialect, form);
    return 0;
}

}  // namespace wmlab::lab::commands
