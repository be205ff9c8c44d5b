#include "lab/commands/options.hpp"

#include <fnmatch.h>
#include <spdlog/fmt/fmt.h>
#include <spdlog/fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <sstream>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

// What program_options complains of, in plain words and with what may be meant.
std::string in_words(const po::error& error, const po::options_description& known) {
    const auto* named = dynamic_cast<const po::error_with_option_name*>(&error);
    if (named == nullptr) return error.what();
    auto name = named->get_option_name();
    if (!name.empty() && name.front() != '-') name.insert(0, "--");
    const auto takes = [&]() -> std::string {
        const auto* option = known.find_nothrow(name.substr(name.find_first_not_of('-')), false);
        return option == nullptr ? std::string{} : option->format_parameter();
    };
    if (dynamic_cast<const po::unknown_option*>(&error) != nullptr) {
        std::vector<std::string> names;
        for (const auto& option : known.options()) names.push_back("--" + option->long_name());
        const auto near = nearest(name, names);
        return fmt::format("no option `{}`{}", name,
                           near.empty() ? "; --help lists them" : fmt::format("; did you mean `{}`?", near));
    }
    if (dynamic_cast<const po::multiple_occurrences*>(&error) != nullptr)
        return fmt::format("`{}` is given twice, and it takes one {}", name, takes().empty() ? "value" : takes());
    if (const auto* syntax = dynamic_cast<const po::invalid_command_line_syntax*>(&error);
        syntax != nullptr && !takes().empty())
        return fmt::format("`{}` needs its {}", name, takes());
    if (dynamic_cast<const po::invalid_option_value*>(&error) != nullptr)
        return fmt::format("`{}` does not take that value: {}", name, error.what());
    return error.what();
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
    const auto best = std::ranges::min_element(names, {}, [&](const auto& name) { return scenario::edit_distance(name, mistyped); });
    if (best == names.end()) return {};
    return scenario::edit_distance(*best, mistyped) <= std::max<std::size_t>(2, mistyped.size() / 3) ? *best : std::string{};
}

std::optional<po::variables_map> parse(const Usage& usage, Arguments arguments) {
    auto visible = usage.options;
    visible.add_options()("help,h", "print this help and exit");
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
        throw UsageError{fmt::format("{}: {}", usage.name, in_words(error, visible))};
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

scenario::Files files_wanted(const po::variables_map& values) { return values.contains("ruleset") ? scenario::Files::other_ruleset : scenario::Files::checked; }

std::optional<scenario::Scenario> read_scenario(const std::string& file, scenario::Files files, const scenario::Samples& samples,
                                                const scenario::Addresses& addresses) {
    auto loaded = [&] {
        if (file == "-" || (samples.empty() && addresses.empty())) return scenario::load_file(file, files);
        const auto text = scenario::read_document(std::filesystem::path{file});
        if (!text) return scenario::load_file(file);  // which says what is wrong with it
        return scenario::load(*text, file, std::filesystem::path{file}.parent_path(), files, samples, addresses);
    }();
    if (loaded.ok()) return std::move(loaded.scenario);
    std::cerr << scenario::explain(loaded.problems);
    return std::nullopt;
}

void refuse_unknown_addresses(const scenario::Scenario& scenario, std::string_view what) {
    const auto host = std::ranges::find_if(scenario.hosts, &scenario::Host::asked);
    if (host != scenario.hosts.end())
        throw UsageError{fmt::format("{}: host {} has `address: auto`, which only `wmlab run` and `wmlab exec` ask for: name the address", what, host->name)};
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

namespace {

// An option that may be given once or more than once.
std::vector<std::string> globs_of(const po::variables_map& values, const std::string& name) {
    if (!values.contains(name)) return {};
    const auto& value = values[name].value();
    if (const auto* one = boost::any_cast<std::string>(&value)) return {*one};
    return list_of(values, name);
}

}  // namespace

std::function<bool(const scenario::FlowInstance&)> only_option(const po::variables_map& values) {
    std::set<scenario::FlowType> without;
    for (const auto& name : list_of(values, "without")) {
        const auto* const spec = scenario::spec(name);
        if (spec == nullptr) throw UsageError{fmt::format("--without: there is no flow type `{}`", name)};
        without.insert(spec->type);
    }
    const auto globs = globs_of(values, "only"), tags = globs_of(values, "tag");
    if (without.empty() && globs.empty() && tags.empty()) return {};
    return [without, globs, tags](const scenario::FlowInstance& instance) {
        const auto like = [](const std::string& glob) {
            return [&glob](const std::string& text) { return ::fnmatch(glob.c_str(), text.c_str(), 0) == 0; };
        };
        const auto named = [&](const std::string& glob) {
            return like(glob)(instance.id) || like(glob)(instance.flow->id);
        };
        const auto tagged = [&](const std::string& glob) {
            return std::ranges::any_of(instance.flow->tags, like(glob));
        };
        return !without.contains(instance.flow->type) && (globs.empty() || std::ranges::any_of(globs, named)) &&
               (tags.empty() || std::ranges::any_of(tags, tagged));
    };
}

std::string narrowing(const po::variables_map& values) {
    std::string words;
    const auto globs = globs_of(values, "only"), tags = globs_of(values, "tag");
    if (!globs.empty()) words = fmt::format("that matches `{}`", fmt::join(globs, "` or `"));
    if (!tags.empty()) words += fmt::format("{}with the tag `{}`", words.empty() ? "" : " ", fmt::join(tags, "` or `"));
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
