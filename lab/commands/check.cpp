// wmlab check: validates scenarios without running anything.
#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "lab/commands/options.hpp"

namespace wmlab::lab::commands {

int check_command(Arguments arguments) {
    const Usage usage{
        "check",
        "SCENARIO...",
        "Validates scenario files without running them. Says everything that is wrong, with line and column; "
        "exit 2 if anything is.",
        {},
        ""};
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.empty()) throw UsageError{"check: which scenario?"};
    bool good = true;
    for (const auto& file : files) {
        const auto scenario = read_scenario(file, true);
        good = good && scenario;
        if (!scenario) continue;
        const auto flows = scenario::instances(*scenario).size();
        std::cout << fmt::format("{}: good, {} flow{}\n", file, flows, flows == 1 ? "" : "s");
    }
    return good ? 0 : 2;
}

}  // namespace wmlab::lab::commands
