// The formats in which a report can be written: `--report FORMAT[:FILE]`, one renderer each in its own file.
#pragma once
#include <filesystem>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Style {
    bool colour = false;  // text only: on a terminal, unless NO_COLOR or --no-color
    bool quiet = false;   // text only: flows that are as expected are left out
    unsigned width = 0;   // text only: no line is longer; 0: paragraphs are filled, a rule stays on its line
};

struct Renderer {
    std::string_view name, summary;  // "junit", "JUnit XML for CI systems"
    std::string (*render)(const Report&, const Style&);
};
std::span<const Renderer> renderers();

struct ReportTarget {
    const Renderer* renderer = nullptr;
    std::filesystem::path file;  // empty or "-": standard output
};
// "json:out.json"; on failure nothing, and `problem` says why (unknown format, with what is known).
std::optional<ReportTarget> report_target(std::string_view text, std::string& problem);

// Before the run: opens (and so proves) every file. Empty: good, otherwise the sentence for the user.
std::string cannot_write(std::span<const ReportTarget> targets);
// Where none goes to standard output, the end of the text report does: what is not as expected, and the summary.
// Returns what could not be written after all, empty: nothing.
std::string write_reports(const Report& report, std::span<const ReportTarget> targets, std::ostream& out,
                          const Style& style);
Style terminal_style(int descriptor, bool no_color_option);

}  // namespace wmlab::lab
