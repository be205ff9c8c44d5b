// wmlab audit: what is open through the lab's firewall that no flow of the scenario needs.
#include "lab/audit/audit.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>

#include "common/scenario/boxes.hpp"
#include "lab/audit/accepted.hpp"
#include "lab/audit/change.hpp"
#include "lab/audit/formats.hpp"
#include "lab/commands/options.hpp"
#include "lab/commands/targets.hpp"
#include "lab/commands/trial.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/interruption.hpp"
#include "lab/verdict/comparison.hpp"
#include "lab/verdict/exit_code.hpp"

namespace wmlab::lab::commands {
namespace {

namespace po = boost::program_options;

// All dimensions but those of --leave-out.
Dimensions dimensions_of(const po::variables_map& values) {
    Dimensions dimensions{std::begin(all_dimensions), std::end(all_dimensions)};
    for (const auto& name : list_of(values, "leave-out")) {
        const auto found = std::ranges::find(all_dimensions, name, [](Dimension one) { return std::string{text(one)}; });
        if (found == std::end(all_dimensions)) {
            std::vector<std::string_view> names;
            for (const auto one : all_dimensions) names.push_back(text(one));
            throw UsageError{fmt::format("audit: --leave-out takes {}, not `{}`", fmt::join(names, ", "), name)};
        }
        dimensions.erase(*found);
    }
    return dimensions;
}

// What the change opens and closes, of one firewall by itself.
Report audit_of_change(const scenario::Scenario& scenario, const scenario::Scenario& view, const std::filesystem::path& baseline, const AuditOptions& options,
                       bool allow_open, const std::string& file) {
    Report report;
    report.scenario = scenario.name, report.file = file;
    report.ruleset = (options.ruleset.empty() ? view.firewall.ruleset : options.ruleset).string();
    auto& comparison = report.baseline.emplace();
    comparison.ruleset = baseline.string();
    explore_change(view, baseline, report.ruleset, options.dimensions, comparison);
    for (auto* list : {&comparison.opened, &comparison.closed})
        for (auto& opened : *list)
            if (scenario::several_boxes(view)) opened.box = view.firewall.name;
    for (const auto* list : {&scenario.accepted, &scenario.allow_open}) accept(comparison.opened, *list, today());
    if (allow_open)
        for (auto& opened : comparison.opened)
            if (opened.accepted.empty()) opened.accepted = "--allow-open";
    report.summary.seconds = comparison.seconds;
    return report;
}

}  // namespace

int audit_command(Arguments arguments) {
    Usage usage{
        "audit",
        "SCENARIO",
        "Sends a probe to all 65535 TCP and UDP ports between the hosts of every two zones, both ways, and packets made by hand from other ports and addresses, without SYN, of every IP protocol and ICMP type, over IPv6, to published addresses and to "
        "the firewall itself, and says what is open that no flow needs and which rule opens it. Exit code 0: nothing, and everything that a rule could let through was tried; 1: something; 4: something could not be tried.",
        {},
        ""};
    auto add = usage.options.add_options();
    add("ruleset", po::value<std::string>()->value_name("FILE"), "use this ruleset instead of the scenario's");
    add("baseline", po::value<std::string>()->value_name("FILE"),
        "the ruleset before the change: tells only what the change opens and closes");
    add("box", po::value<std::string>()->value_name("NAME"), "of several `firewalls:` the one that is audited, by itself");
    add("report", po::value<std::vector<std::string>>()->value_name("FORMAT[:FILE]")->composing(),
        "text, json, junit, tap, sarif, html, markdown or github; repeatable");
    add("every-host", "probe every pair of hosts, also those that no rule can tell apart");
    add("leave-out", po::value<std::vector<std::string>>()->value_name("DIMENSION")->composing(),
        "do not try source-ports, tcp-flags, addresses, own-addresses, firewall-itself, protocols, icmp-types, shapes or ipv6; repeatable; exit code 4 then");
    add("allow-open", "with --baseline: report what the change opens, but do not exit 1 because of it");
    add("quiet,q", "no progress; in the text report only what is open and not needed");
    add("no-color", "no colours; NO_COLOR in the environment does the same");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto files = words(*values);
    if (files.size() != 1) throw UsageError{"audit: one scenario, please"};
    const auto targets = targets_of("audit", *values, audit_formats());
    const auto scenario = read_scenario(files.front(), files_wanted(*values));
    if (!scenario) return 2;
    const auto style = terminal_style(STDOUT_FILENO, values->contains("no-color"));
    AuditOptions options;
    options.dimensions = dimensions_of(*values);
    options.every_host = values->contains("every-host");
    std::optional<std::string> ruleset;
    if (values->contains("ruleset")) ruleset = (*values)["ruleset"].as<std::string>();
    refuse_unknown_addresses(*scenario, "audit");
    const auto view = seen_by_option("audit", *values, *scenario);
    const auto ruleset_named = [&](const std::optional<std::string>& file) {
        return named_ruleset(file ? std::filesystem::path{*file} : view.firewall.ruleset);
    };
    options.ruleset = ruleset_named(ruleset);
    std::filesystem::path baseline;
    if (values->contains("baseline")) baseline = ruleset_named((*values)["baseline"].as<std::string>());
    options.progress = line_of_progress(*values);
    return inside_sandbox([&](const Inside&) {
        const auto style_of = [&](const Target& target) { return Style{style.colour && target.file == "-", values->contains("quiet")}; };
        if (!baseline.empty()) {
            const auto report = audit_of_change(*scenario, view, baseline, options, values->contains("allow-open"), files.front());
            for (const auto& target : targets) {
                std::string problem;
                write_to(target, report_target(target.format, problem)->renderer->render(report, style_of(target)));
            }
            return exit_code(*report.baseline);
        }
        auto report = audit(view, options);
        for (auto& entry : accept(report, scenario->accepted, today())) report.notes.push_back(std::move(entry.sentence));
        if (options.progress) options.progress("");
        for (const auto& target : targets) {
            const auto how = style_of(target);
            write_to(target, *render_audit(target.format, report, {how.colour, how.quiet, files.front()}));
        }
        return exit_code(report);
    });
}

}  // namespace wmlab::lab::commands
