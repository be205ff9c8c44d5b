// wmlab replay: judges a bundle once more, without the lab, and holds the outcome against the report that is in it.
#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>
#include <iostream>

#include "lab/commands/bundle.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab::commands {
namespace {

std::string json_of(const Report& report) {
    for (const auto& renderer : renderers())
        if (renderer.name == "json") return renderer.render(report, {});
    return {};
}

// Where two JSON values differ, by the path to it: "flows[3].rule.line". At most `most`.
void differences(const boost::json::value& one, const boost::json::value& other, const std::string& path,
                 std::vector<std::string>& found, std::size_t most) {
    if (found.size() >= most || one == other) return;
    if (one.is_object() && other.is_object()) {
        for (const auto& [key, value] : one.get_object()) {
            const auto name = (path.empty() ? "" : path + ".") + std::string{key.data(), key.size()};
            const auto* const there = other.get_object().if_contains(key);
            there == nullptr ? found.push_back(name) : differences(value, *there, name, found, most);
        }
        for (const auto& [key, _] : other.get_object())
            if (!one.get_object().contains(key))
                found.push_back((path.empty() ? "" : path + ".") + std::string{key.data(), key.size()});
    } else if (one.is_array() && other.is_array() && one.get_array().size() == other.get_array().size()) {
        for (std::size_t i = 0; i < one.get_array().size(); ++i)
            differences(one.get_array()[i], other.get_array()[i], fmt::format("{}[{}]", path, i), found, most);
    } else {
        found.push_back(path);
    }
}

}  // namespace

int replay_command(Arguments arguments) {
    Usage usage{
        "replay",
        "BUNDLE",
        "Judges a bundle of `wmlab run --bundle` once more, offline, and says whether the report is the same. Exit codes as of the run; 2 if anything in the bundle was changed; 3 if this version of wmlab judges it differently.",
        {},
        ""};
    add_report_options(usage.options);
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"replay: one bundle, please"};
    const auto wish = report_wish(*values);
    try {
        const auto bundle = read_bundle(files.front());
        const auto report = judge_again(bundle);
        const auto problem = write_reports(report, wish.targets, std::cout, wish.style);
        std::cout << std::flush;
        std::cerr << problem;
        const auto& kept = bundle.member("report.json");
        const auto now = json_of(report);
        if (now == kept) {
            std::cerr << fmt::format("wmlab: {}: nothing in it was changed, and it comes to the same report\n",
                                     files.front());
            return exit_code(report, problem.empty());
        }
        std::vector<std::string> found;
        constexpr std::size_t most = 10;
        boost::system::error_code failure;
        const auto before = boost::json::parse(kept, failure);
        if (failure) throw BundleRefused{"its report.json is no JSON"};
        differences(before, boost::json::parse(now), {}, found, most);
        std::cerr << fmt::format(
            "wmlab: {}: nothing in it was changed, but this version comes to another report; it differs in {}\n",
            files.front(), found.empty() ? std::string{"its layout only"} : fmt::format("{}", fmt::join(found, ", ")));
        return found.empty() ? exit_code(report, problem.empty()) : ends::not_set_up;
    } catch (const BundleRefused& refused) {
        std::cerr << "wmlab: " << refused.what() << '\n';
        return 2;
    }
}

}  // namespace wmlab::lab::commands
