// wmlab history: many runs in their order, as a table; flows that came to different ends with nothing changed are
// named.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <span>

#include "lab/commands/options.hpp"
#include "lab/commands/past_run.hpp"
#include "lab/report/renderers.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab::commands {
namespace {

struct Story {
    std::string id;
    std::vector<const PastFlow*> ends;  // of each run; null: it was not run
    unsigned good = 0, bad = 0;
    bool flaky = false;  // two runs of the same rules and scenario came to different ends
};

bool is_worth_a_word(const std::filesystem::path& file) {
    return file.extension() == ".json" || file.extension() == ".zip";
}

std::string same_ground(const PastRun& run) {  // the hashes that must agree before two runs may be held together
    std::string key = run.scenario + "\n" + run.ruleset;
    for (const auto& [name, value] : run.surroundings)
        if (name.starts_with("ruleset") || name.starts_with("scenario") || name.starts_with("content"))
            key += "\n" + name + value;
    return key;
}

std::vector<Story> stories_of(const std::vector<PastRun>& runs) {
    std::vector<Story> stories;
    for (const auto& run : runs)
        for (const auto& flow : run.flows)
            if (std::ranges::find(stories, flow.id, &Story::id) == stories.end())
                stories.push_back({flow.id, {}, 0, 0, false});
    for (auto& story : stories) {
        std::map<std::string, std::string> before;
        for (const auto& run : runs) {
            const auto* const flow = run.flow(story.id);
            story.ends.push_back(flow);
            if (flow == nullptr) continue;
            ++(flow->as_expected ? story.good : story.bad);
            const auto [at, fresh] = before.emplace(same_ground(run), flow->headline);
            if (!fresh && at->second != flow->headline) story.flaky = true;
        }
    }
    return stories;
}

constexpr std::string_view history_style =
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}table{border-collapse:collapse}th,td{padding:.2rem .5rem;text-align:left;border-bottom:1px solid #8886}.wide{overflow-x:auto}"
    ".g{color:light-dark(#116329,#5fcf78)}.b{color:light-dark(#b3131f,#ff8f87);font-weight:600}";

std::string page(const std::vector<PastRun>& runs, const std::vector<Story>& stories) {
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
        "<title>wmlab: {} runs</title><style>{}</style></head><body><main><h1>{} runs</h1>\n<h2>Flows that came and went with nothing changed</h2>\n<ul>",
        runs.size(), history_style, runs.size());
    bool any = false;
    for (const auto& story : stories)
        if (story.flaky) {
            out += fmt::format("<li>{}: as expected {} times of {}</li>", xml_escaped(story.id), story.good,
                               story.good + story.bad);
            any = true;
        }
    out += any ? "</ul>\n" : "<li>none</li></ul>\n";
    out +=
        "<h2>All flows</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"flows by run\"><table><thead><tr><th scope=\"col\">flow</th>";
    for (const auto& run : runs)
        out += fmt::format("<th scope=\"col\">{}</th>",
                           xml_escaped(run.when.empty() ? run.file.filename().string() : run.when));
    out += "</tr></thead><tbody>\n";
    for (const auto& story : stories) {
        out += fmt::format("<tr><th scope=\"row\">{}</th>", xml_escaped(story.id));
        for (const auto* end : story.ends)
            out += end == nullptr ? std::string{"<td>–</td>"}
                                  : fmt::format("<td class=\"{}\">{} {}</td>", end->as_expected ? "g" : "b",
                                                end->as_expected ? "✓" : "✗", xml_escaped(end->headline));
        out += "</tr>\n";
    }
    return out + "</tbody></table></div></main></body></html>\n";
}

}  // namespace

int history_command(Arguments arguments) {
    namespace po = boost::program_options;
    Usage usage{
        "history",
        "DIR...",
        "Reads the bundles and JSON reports in the folders, in order of time: how each flow went in each run, and which flows had different results although ruleset and scenario were the same. Exit code 0: there is no such flow; 1: there are some.",
        {},
        ""};
    usage.options.add_options()("html", po::value<std::string>()->value_name("FILE"), "also write it as an HTML page");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto folders = words(*values);
    if (folders.empty()) throw UsageError{"history: which directory?"};
    std::vector<PastRun> runs;
    for (const auto& folder : folders) {
        std::error_code failure;
        for (const auto& entry : std::filesystem::directory_iterator{folder, failure}) {
            if (!entry.is_regular_file()) continue;
            try {
                runs.push_back(past_run(entry.path()));
            } catch (const UsageError& other) {
                if (is_worth_a_word(entry.path())) std::cerr << "wmlab: left out: " << other.what() << '\n';
            }
        }
        if (failure) throw UsageError{fmt::format("history: {}: {}", folder, failure.message())};
    }
    if (runs.empty()) throw UsageError{"history: no bundle and no JSON report is there"};
    std::ranges::stable_sort(runs, {}, [](const PastRun& run) { return std::pair{run.when, run.file}; });
    const auto stories = stories_of(runs);
    std::size_t width = 4;
    for (const auto& story : stories) width = std::max(width, story.id.size());
    std::cout << fmt::format("{} runs, from {} to {}\n\n", runs.size(), runs.front().when, runs.back().when);
    constexpr std::size_t marks_max = 60;
    bool flaky = false;
    for (const auto& story : stories) {
        std::string marks;
        for (const auto* end : std::span{story.ends}.last(std::min(story.ends.size(), marks_max)))
            marks += end == nullptr ? " " : end->as_expected ? "." : "!";
        std::cout << fmt::format("{:<{}}  {}  {}/{}{}\n", story.id, width, marks, story.good, story.good + story.bad,
                                 story.flaky ? "  comes and goes with nothing changed" : "");
        flaky = flaky || story.flaky;
    }
    std::cout << ". as expected, ! not\n" << std::flush;
    if (values->contains("html")) {
        const auto& file = (*values)["html"].as<std::string>();
        std::ofstream out{file, std::ios::trunc};
        if (!(out << page(runs, stories) << std::flush)) throw UsageError{"history: cannot write " + file};
    }
    return flaky ? ends::not_as_expected : ends::as_expected;
}

}  // namespace wmlab::lab::commands
