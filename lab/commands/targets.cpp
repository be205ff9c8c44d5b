#include "lab/commands/targets.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/host/error.hpp"

namespace wmlab::lab::commands {

std::vector<Target> targets_of(std::string_view command, const boost::program_options::variables_map& values, std::span<const std::string_view> known) {
    std::vector<Target> targets;
    auto wishes = list_of(values, "report");
    if (wishes.empty()) wishes.emplace_back("text");
    for (const auto& wish : wishes) {
        const auto format = wish.substr(0, wish.find(':'));
        if (std::ranges::find(known, format) == known.end())
            throw UsageError{fmt::format("{}: the report formats are {}, not `{}`", command, fmt::join(known, ", "), format)};
        targets.push_back({format, wish.size() > format.size() ? wish.substr(format.size() + 1) : "-"});
        if (targets.back().file != "-" && !std::ofstream{targets.back().file, std::ios::app})
            throw UsageError{fmt::format("{}: cannot write {}", command, targets.back().file)};
    }
    return targets;
}

void write_to(const Target& target, const std::string& rendered) {
    if (target.file == "-") {
        std::cout << rendered << std::flush;
        return;
    }
    std::ofstream out{target.file};
    if (!(out << rendered << std::flush)) throw SetupFailed{"write " + target.file, "not all could be written"};
}

std::function<void(const std::string&)> line_of_progress(const boost::program_options::variables_map& values) {
    if (::isatty(STDERR_FILENO) == 0 || values.contains("quiet")) return nullptr;
    return [](const std::string& what) { std::cerr << "\r\033[K" << what << std::flush; };
}

}  // namespace wmlab::lab::commands
