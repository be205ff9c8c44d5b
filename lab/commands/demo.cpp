// wmlab demo: without a file, in seconds: a stream through a firewall, the rule that stops it, the rule that mends it.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "lab/commands/options.hpp"
#include "lab/commands/trial.hpp"
#include "lab/host/error.hpp"
#include "lab/rules/patch.hpp"
#include "lab/rules/source.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab::commands {
namespace {

constexpr std::string_view demo_scenario =
    R"yaml(# A media server inside, a player outside, one firewall between them. Written by `wmlab demo`.
version: 1
name: demo - a player outside, the media server inside
zones:
  inside:  { subnet: 10.10.0.0/24, interface: inside }
  outside: { subnet: 10.20.0.0/24, interface: outside }
hosts:
  media:  { zone: inside,  address: 10.10.0.10 }
  player: { zone: outside, address: 10.20.0.10 }
firewall: { ruleset: demo.nft }
content: { lecture: { synthetic: audio, bitrate: 64k } }
defaults: { deadline: 1s, play: 500ms, content: lecture }
flows:
  - { id: over-tcp, type: mms-tcp, from: player, to: media }
  - { id: over-udp, type: mms-udp, from: player, to: media }
)yaml";

constexpr std::string_view demo_ruleset = R"nft(flush ruleset
table inet filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        iifname "outside" oifname "inside" ip daddr 10.10.0.10 tcp dport 1755 accept
        iifname "outside" oifname "inside" ip daddr 10.10.0.10 udp dport 1755 accept
        udp dport 1024-5000 drop comment "nothing uses these, does it?"
    }
}
)nft";

void put(const std::filesystem::path& file, std::string_view text) {
    std::ofstream out{file, std::ios::binary | std::ios::trunc};
    if (!(out << text << std::flush)) throw setup_failed("write " + file.string(), errno);
}

// Puts what would help into the ruleset; how many rules that were.
std::size_t mend(const Report& report, const std::filesystem::path& ruleset) {
    std::vector<rules::Put> puts;
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        for (const auto& suggestion : flow.suggestions) {
            if (suggestion.line == 0) continue;
            puts.push_back({suggestion.line, suggestion.rule});
        }
    }
    put(ruleset, rules::with_rules(rules::read_from_disk(ruleset).value_or(std::string{}), puts).text);
    return puts.size();
}

int show(const std::filesystem::path& folder, const Inside& inside, const Style& style) {
    const auto paint = [&](std::string_view code, std::string_view words) {
        return style.colour ? fmt::format("\x1b[{}m{}\x1b[0m", code, words) : std::string{words};
    };
    const auto scenario = folder / "demo.yaml", ruleset = folder / "demo.nft";
    put(scenario, demo_scenario);
    put(ruleset, demo_ruleset);
    const auto text = read_scenario_text(scenario.string());
    if (!text) return 2;
    TrialOptions options;
    options.ruleset = ruleset_for(ruleset.string(), text->scenario);
    for (const auto& flow : scenario::instances(text->scenario)) options.flows.push_back(flow.id);
    const auto play = [&] {
        auto trial = try_scenario(*text, inside, options);
        for (const auto& flow : trial.report.flows) {
            std::cout << fmt::format(
                "  {}  {}\n", paint(flow.as_expected ? "32" : "31", flow.as_expected ? "✓" : "✗"),
                paint(flow.as_expected ? "32" : "31", fmt::format("{}: {}", flow.id, headline(flow))));
            if (flow.as_expected) continue;
            std::cout << fmt::format("     {}\n", flow.explanation);
            if (flow.rule) std::cout << fmt::format("     rule: {}\n", rule_words(*flow.rule));
            for (const auto& suggestion : flow.suggestions)
                std::cout << fmt::format("     would help, before line {}: {}\n", suggestion.line, suggestion.rule);
        }
        std::cout << std::flush;
        return trial;
    };
    std::cout << paint("1", "1. A media server, a player and a firewall between them, in this machine's kernel.")
              << "\n"
              << "   The firewall drops UDP 1024-5000, where players expect their media:\n\n"
              << std::flush;
    const auto before = play();
    if (before.interrupted) return 130;
    const auto rules = mend(before.report, ruleset);
    if (rules == 0) {
        std::cerr << "wmlab: the demo met no rule that would help; `wmlab doctor --prove` says what is amiss with this machine\n";
        return 4;
    }
    std::cout << "\n"
              << paint("1", fmt::format("2. The same with {} put into the ruleset:",
                                        rules == 1 ? "this rule" : "these rules"))
              << "\n\n"
              << std::flush;
    const auto after = play();
    if (after.interrupted) return 130;
    std::cout << fmt::format(
        "\n{}\n   The files of this demo, with the rule in its place, are in {}:\n"
        "     wmlab run {}\n"
        "   Your own rules, with the streams that Microsoft's KB189416 lists:\n"
        "     wmlab run {} --ruleset YOUR.nft --report html:report.html\n"
        "   Your own site: docs/scenario-reference.md, and `wmlab help run`.\n",
        paint("1", "3. And now?"), folder.string(), scenario.string(), scenario.string());
    return exit_code(after.report);
}

}  // namespace

int demo_command(Arguments arguments) {
    Usage usage{
        "demo",
        "[DIRECTORY]",
        "Builds a lab, shows a stream that a firewall rule stops, puts the rule that helps into the ruleset, and shows the stream again. Takes some seconds and needs no file; the files it makes are kept in DIRECTORY (wmlab-demo).",
        {},
        ""};
    usage.options.add_options()("no-color", "no colours; NO_COLOR in the environment does the same");
    const auto values = parse(usage, arguments);
    if (!values) return 0;
    const auto names = words(*values);
    if (names.size() > 1) throw UsageError{"demo: one directory, please"};
    std::filesystem::path folder = names.empty() ? "wmlab-demo" : names.front();
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    if (failure) throw UsageError{fmt::format("demo: {}: {}", folder.string(), failure.message())};
    const auto style = terminal_style(STDOUT_FILENO, values->contains("no-color"));
    return inside_sandbox([&](const Inside& inside) { return show(folder, inside, style); });
}

}  // namespace wmlab::lab::commands
