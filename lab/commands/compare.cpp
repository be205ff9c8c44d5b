// wmlab compare: two runs, which flows changed, and what differs in rules and surroundings.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "lab/commands/options.hpp"
#include "lab/commands/past_run.hpp"

namespace wmlab::lab::commands {
namespace {

std::string lines_of_one(const PastRun& run, const PastRun& other, char mark) {
    std::multiset<std::string> there;
    for (const auto& [_, lines] : other.rulesets) there.insert(lines.begin(), lines.end());
    std::string out;
    for (const auto& [_, lines] : run.rulesets)
        for (const auto& line : lines) {
            if (const auto same = there.find(line); same != there.end())
                there.erase(same);
            else
                out += fmt::format("  {} {}\n", mark, line);
        }
    return out;
}

}  // namespace

int compare_command(Arguments arguments) {
    const Usage usage{
        "compare",
        "A B",
        "Compares two runs (bundles or JSON reports, the earlier one first): which flows have another result, and what differs in rules and surroundings. Exit code 0: all flows have the same result; 1: some have not.",
        {},
        ""};
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 2) throw UsageError{"compare: two bundles or JSON reports, please"};
    const auto one = past_run(files[0]), other = past_run(files[1]);
    std::string flows, differs;
    unsigned same = 0;
    std::set<std::string> ids;
    for (const auto* run : {&one, &other})
        for (const auto& flow : run->flows) ids.insert(flow.id);
    for (const auto& id : ids) {
        const auto *before = one.flow(id), *after = other.flow(id);
        const auto was = before == nullptr ? std::string{"not run"} : before->outcome();
        const auto is = after == nullptr ? std::string{"not run"} : after->outcome();
        if (was == is && before->as_expected == after->as_expected) {
            ++same;
            continue;
        }
        const auto* const mark = after == nullptr || after->as_expected ? " " : "!";
        flows += fmt::format("{} {}: {} -> {}{}\n", mark, id, was, is,
                             after != nullptr && after->as_expected ? ", as expected" : "");
    }
    std::set<std::string> names;
    for (const auto* run : {&one, &other})
        for (const auto& [name, _] : run->surroundings) names.insert(name);
    const auto value = [](const PastRun& run, const std::string& name) {
        const auto found = run.surroundings.find(name);
        return found == run.surroundings.end() || found->second.empty() ? std::string{"none"} : found->second;
    };
    for (const auto& name : names)
        if (value(one, name) != value(other, name)) {
            const auto brief = [](std::string text) {
                return text.size() == 64 ? text.substr(0, 12) : text;
            };  // a hash
            differs += fmt::format("  {}: {} -> {}\n", name, brief(value(one, name)), brief(value(other, name)));
        }
    const auto named = [](const PastRun& run) {
        return fmt::format("{} ({}{})", run.file.string(), run.scenario, run.when.empty() ? "" : ", " + run.when);
    };
    std::cout << fmt::format("from {}\nto   {}\n\n", named(one), named(other))
              << (flows.empty() ? "every flow came to the same\n" : "flows\n" + flows)
              << fmt::format("{} unchanged\n", same);
    std::cout << (differs.empty() ? "\nthe same rules, scenario, kernel and wmlab\n"
                                  : "\nwhat else differs\n" + differs);
    if (!one.rulesets.empty() && !other.rulesets.empty()) {
        const auto lines = lines_of_one(one, other, '-') + lines_of_one(other, one, '+');
        if (!lines.empty()) std::cout << "\nlines of the rulesets\n" << lines;
    }
    std::cout << std::flush;
    return flows.empty() ? 0 : 1;
}

}  // namespace wmlab::lab::commands
