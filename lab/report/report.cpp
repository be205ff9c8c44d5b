#include "lab/report/report.hpp"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "lab/report/clean.hpp"
#include "lab/report/renderers.hpp"

namespace wmlab::lab {
namespace {

using Render = std::string (*)(const Report&, const Style&);

// What others wrote is made harmless before it is rendered, and once more, for what was forgotten, behind.
template <Render render>
std::string safe(const Report& report, const Style& style) {
    return printable(render(cleaned(report), style), style.colour);
}

constexpr std::array<Renderer, 8> all_renderers{{
    {"text", "a table and paragraphs for people", safe<render_text>},
    {"json", "everything, for programs (schema wmlab.report/1)", render_json},  // says everything as it is
    {"junit", "JUnit XML for CI systems", safe<render_junit>},
    {"tap", "Test Anything Protocol", safe<render_tap>},
    {"sarif", "SARIF 2.1.0 for code scanning", safe<render_sarif>},
    {"html", "one page that needs nothing else", safe<render_html>},
    {"markdown", "for a comment on a pull request", safe<render_markdown>},
    {"github", "annotations of GitHub Actions", safe<render_github>},
}};

bool to_stdout(const ReportTarget& target) { return target.file.empty() || target.file == "-"; }

// COLUMNS, or what the terminal says; 0: it is none.
unsigned terminal_width(int descriptor) {
    constexpr unsigned least = 60, most = 160;  // lines longer than that are hard to read
    unsigned width = 0;
    winsize size{};
    if (const char* columns = std::getenv("COLUMNS"); columns != nullptr && *columns != '\0') {
        std::from_chars(columns, columns + std::strlen(columns), width);
    } else if (::isatty(descriptor) == 1 && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0) {
        width = size.ws_col;
    }
    return width == 0 ? 0 : std::clamp(width, least, most);
}

std::string cannot(const std::filesystem::path& file, int error) {
    return fmt::format("the report {} cannot be written: {}", file.string(), std::strerror(error));
}

// Put in its place when it is whole: a full disk leaves the report of before, or none, but no half of one.
std::string write_whole(const std::filesystem::path& file, const std::string& text) {
    const auto write = [&](const std::filesystem::path& to) {
        errno = 0;
        std::ofstream out{to, std::ios::trunc | std::ios::binary};
        out << text << std::flush;
        return out ? 0 : errno != 0 ? errno : EIO;
    };
    std::error_code unknown;
    const auto status = std::filesystem::status(file, unknown);
    const bool plain = !std::filesystem::exists(status) || std::filesystem::is_regular_file(status);
    const auto place = plain ? std::filesystem::weakly_canonical(file, unknown) : file;
    const auto part = place.parent_path() / (place.filename().string() + ".part");
    if (!plain || unknown || ::access(part.parent_path().empty() ? "." : part.parent_path().c_str(), W_OK) != 0) {
        const auto error = write(file);
        return error == 0 ? std::string{} : cannot(file, error);
    }
    auto error = write(part);
    std::error_code failure;
    if (error == 0) std::filesystem::rename(part, place, failure);
    if (failure) error = failure.value();
    if (error == 0) return {};
    std::filesystem::remove(part, unknown);
    return cannot(file, error);
}

}  // namespace

std::span<const Renderer> renderers() { return all_renderers; }

std::optional<ReportTarget> report_target(std::string_view text, std::string& problem) {
    problem.clear();
    const auto format = text.substr(0, text.find(':'));
    const auto found = std::ranges::find(all_renderers, format, &Renderer::name);
    if (found == all_renderers.end()) {
        std::string known;
        for (const auto& renderer : all_renderers)
            known += fmt::format("{}{}", known.empty() ? "" : ", ", renderer.name);
        problem = fmt::format("unknown report format `{}`; known are {}", format, known);
        return std::nullopt;
    }
    ReportTarget target{&*found, {}};
    if (format.size() < text.size()) {
        target.file = std::filesystem::path{std::string{text.substr(format.size() + 1)}};
        if (target.file.empty()) {
            problem = fmt::format("`{}` names no file; leave out the colon for standard output", text);
            return std::nullopt;
        }
    }
    return target;
}

std::string cannot_write(std::span<const ReportTarget> targets) {
    for (const auto& target : targets) {
        if (to_stdout(target)) continue;
        const auto& file = target.file;
        // Opening for append proves that it can be written and leaves an older report whole until there is a new one.
        const bool existed = std::filesystem::exists(file);
        errno = 0;
        std::ofstream probe{file, std::ios::app};
        if (!probe) return cannot(file, errno);
        probe.close();
        if (!existed) {
            std::error_code ignored;
            std::filesystem::remove(file, ignored);
        }
    }
    return {};
}

std::string write_reports(const Report& report, std::span<const ReportTarget> targets, std::ostream& out,
                          const Style& style) {
    std::string problems;
    if (std::ranges::none_of(targets, to_stdout) && !style.quiet) out << safe<render_summary>(report, style);
    for (const auto& target : targets) {
        if (to_stdout(target)) {
            out << target.renderer->render(report, style) << std::flush;
            if (!out) problems += "the report cannot be written to standard output\n";
            continue;
        }
        auto plain = style;
        plain.colour = false;
        plain.width = 0;
        if (const auto problem = write_whole(target.file, target.renderer->render(report, plain)); !problem.empty())
            problems += problem + "\n";
    }
    return problems;
}

Style terminal_style(int descriptor, bool no_color_option) {
    const char* no_color = std::getenv("NO_COLOR");
    const bool forbidden = no_color_option || (no_color != nullptr && *no_color != '\0');
    return {!forbidden && ::isatty(descriptor) == 1, false, terminal_width(descriptor)};
}

}  // namespace wmlab::lab
