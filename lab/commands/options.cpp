#include "lab/commands/options.hpp"

#include <fnmatch.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <numeric>
#include <set>

#include "common/scenario/catalogue.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

std::size_t distance(std::string_view a, std::string_view b) {  // Levenshtein
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < b.size(); ++j) {
            const auto above = row[j + 1];
            row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row.back();
}

// The option table for completion and manual pages: an option a line.
void print_json(const Usage& usage, const po::options_description& options) {
    namespace json = boost::json;
    const auto quoted = [](const std::string& text) { return json::serialize(json::string(text)); };
    std::cout << fmt::format("{{ \"command\": {}, \"synopsis\": {}, \"summary\": {}, \"options\": [\n",
                             quoted(usage.name), quoted(usage.synopsis), quoted(usage.summary));
    bool first = true;
    for (const auto& option : options.options()) {
        const auto letter = option->canonical_display_name(po::command_line_style::allow_dash_for_short);
        const bool takes_value = option->semantic()->max_tokens() > 0;
        std::cout << fmt::format(
            "{}  {{ \"name\": {}, \"letter\": {}, \"value\": {}, \"repeatable\": {}, \"description\": {} }}",
            first ? "" : ",\n", quoted(option->long_name()),
            letter.size() == 2 && letter[0] == '-' && letter[1] != '-' ? quoted(letter.substr(1)) : "null",
            takes_value ? quoted(option->format_parameter()) : "null",
            option->semantic()->is_composing() ? "true" : "false", quoted(option->description()));
        first = false;
    }
    std::cout << "\n] }\n";
}

}  // namespace

std::string nearest(std::string_view mistyped, const std::vector<std::string>& names) {
    const auto best = std::ranges::min_element(names, {}, [&](const auto& name) { return distance(name, mistyped); });
    if (best == names.end()) return {};
    return distance(*best, mistyped) <= std::max<std::size_t>(2, mistyped.size() / 3) ? *best : std::string{};
}

std::optional<po::variables_map> parse(const Usage& usage, Arguments arguments) {
    auto visible = usage.options;
    visible.add_options()("help,h", "say this and exit");
    po::options_description all;
    all.add(visible).add_options()("help-json", "")("words", po::value<std::vector<std::string>>());
    po::positional_options_description positional;
    positional.add("words", -1);
    po::variables_map values;
    try {
        po::store(po::command_line_parser{std::vector<std::string>{arguments.begin(), arguments.end()}}
                      .options(all)
                      .positional(positional)
                      .run(),
                  values);
        po::notify(values);
    } catch (const po::error& error) {
        throw UsageError{fmt::format("{}: {}", usage.name, error.what())};
    }
    if (values.contains("help-json")) {
        print_json(usage, visible);
        return std::nullopt;
    }
    if (values.contains("help")) {
        std::cout << fmt::format("usage: wmlab {} {}\n\n{}\n\noptions\n", usage.name, usage.synopsis, usage.summary)
                  << visible << usage.more;
        return std::nullopt;
    }
    return values;
}

std::vector<std::string> list_of(const po::variables_map& values, const std::string& name) {
    return values.contains(name) ? values[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::vector<std::string> words(const po::variables_map& values) { return list_of(values, "words"); }

std::optional<scenario::Scenario> read_scenario(const std::string& file, bool check_files) {
    auto loaded = [&] {
        if (file == "-" || check_files) return scenario::load_file(file);
        std::ifstream in{file, std::ios::binary};
        if (!in) return scenario::load_file(file);  // which says what is wrong with it
        return scenario::load(scenario::read_document(in), file, std::filesystem::path{file}.parent_path(), false);
    }();
    if (loaded.ok()) return std::move(loaded.scenario);
    std::cerr << scenario::explain(loaded.problems);
    return std::nullopt;
}

void add_report_options(po::options_description& options) {
    std::string formats;
    for (const auto& renderer : renderers()) formats += fmt::format("{}{}", formats.empty() ? "" : ", ", renderer.name);
    auto add = options.add_options();
    add("report", po::value<std::vector<std::string>>()->value_name("FORMAT[:FILE]")->composing(),
        fmt::format("repeatable; without FILE to standard output; formats: {}", formats).c_str());
    add("quiet,q", "in the text report, only flows that are not as expected");
    add("no-color", "no colours; NO_COLOR in the environment does the same");
}

ReportWish report_wish(const po::variables_map& values) {
    ReportWish wish;
    auto formats = list_of(values, "report");
    if (formats.empty()) formats.emplace_back("text");
    for (const auto& format : formats) {
        std::string problem;
        const auto target = report_target(format, problem);
        if (!target) throw UsageError{problem};
        wish.targets.push_back(*target);
    }
    if (const auto problem = cannot_write(wish.targets); !problem.empty()) throw UsageError{problem};
    wish.style = terminal_style(STDOUT_FILENO, values.contains("no-color"));
    wish.style.quiet = values.contains("quiet");
    return wish;
}

std::function<bool(const scenario::FlowInstance&)> only_option(const po::variables_map& values) {
    std::set<scenario::FlowType> without;
    for (const auto& name : list_of(values, "without")) {
        const auto* const spec = scenario::spec(name);
        if (spec == nullptr) throw UsageError{fmt::format("--without: there is no flow type `{}`", name)};
        without.insert(spec->type);
    }
    const auto glob = values.contains("only") ? values["only"].as<std::string>() : std::string{};
    if (without.empty() && glob.empty()) return {};
    return [without, glob](const scenario::FlowInstance& instance) {
        return !without.contains(instance.flow->type) &&
               (glob.empty() || ::fnmatch(glob.c_str(), instance.id.c_str(), 0) == 0 ||
                ::fnmatch(glob.c_str(), instance.flow->id.c_str(), 0) == 0);
    };
}

std::string narrowing(const po::variables_map& values) {
    std::string words;
    if (values.contains("only")) words = fmt::format("that matches `{}`", values["only"].as<std::string>());
    const auto without = list_of(values, "without");
    if (!without.empty()) words += fmt::format("{}but of type {}", words.empty() ? "" : " ", fmt::join(without, ", "));
    return words;
}

std::vector<scenario::FlowInstance> chosen_flows(const scenario::Scenario& scenario, const po::variables_map& values) {
    auto flows = scenario::instances(scenario);
    if (const auto only = only_option(values)) std::erase_if(flows, [&](const auto& flow) { return !only(flow); });
    return flows;
}

}  // namespace wmlab::lab::commands
