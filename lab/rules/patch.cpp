#include "lab/rules/patch.hpp"

#include <algorithm>
#include <sstream>

namespace wmlab::lab::rules {
namespace {

constexpr std::size_t context_lines = 3, indent_max = 40;

std::vector<std::string_view> lines_of(std::string_view text) {  // with their ends
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.push_back(text.substr(0, end == std::string_view::npos ? end : end + 1));
        text.remove_prefix(lines.back().size());
    }
    return lines;
}

std::string indent_of(std::string_view line) {
    const auto size = std::min(line.find_first_not_of(" \t"), line.size());
    return size < indent_max ? std::string{line.substr(0, size)} : std::string{};
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// As the line it is put before; before the end of a block as the rules of the block.
std::string indent_at(const std::vector<std::string_view>& lines, std::size_t at) {
    if (at >= lines.size()) return {};
    auto own = indent_of(lines[at]);
    if (lines[at].substr(own.size(), 1) != "}") return own;
    std::string rules;  // what goes on over several lines is further in
    for (auto i = at; i-- > 0;) {
        if (is_blank(lines[i])) continue;
        auto before = indent_of(lines[i]);
        if (before.size() <= own.size()) break;
        if (rules.empty() || before.size() < rules.size()) rules = std::move(before);
    }
    if (!rules.empty()) return rules;
    return own + (own.find(' ') != std::string::npos ? "    " : "\t");
}

// Myers, "An O(ND) Difference Algorithm": which lines of `a` and of `b` are the same.
struct Step {
    char sign = ' ';  // ' ', '-', '+'
    std::size_t a = 0, b = 0;
};
std::vector<Step> steps_between(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
    const auto n = static_cast<std::ptrdiff_t>(a.size()), m = static_cast<std::ptrdiff_t>(b.size());
    const auto most = n + m;
    std::vector<std::vector<std::ptrdiff_t>> history;
    std::vector<std::ptrdiff_t> furthest(static_cast<std::size_t>(2 * most + 3), 0);
    const auto at = [&](std::ptrdiff_t k) -> std::ptrdiff_t& {
        return furthest[static_cast<std::size_t>(k + most + 1)];
    };
    std::ptrdiff_t edits = 0;
    for (bool done = false; !done && edits <= most; ++edits) {
        std::vector<std::ptrdiff_t> kept;
        for (auto k = -edits - 1; k <= edits + 1; ++k) kept.push_back(k >= -most - 1 && k <= most + 1 ? at(k) : 0);
        history.push_back(std::move(kept));
        for (auto k = -edits; k <= edits && !done; k += 2) {
            auto x = k == -edits || (k != edits && at(k - 1) < at(k + 1)) ? at(k + 1) : at(k - 1) + 1;
            while (x < n && x - k < m && a[static_cast<std::size_t>(x)] == b[static_cast<std::size_t>(x - k)]) ++x;
            at(k) = x;
            done = x >= n && x - k >= m;
        }
    }
    std::vector<Step> steps;
    auto x = n, y = m;
    for (auto d = static_cast<std::ptrdiff_t>(history.size()) - 1; d >= 0; --d) {
        const auto& kept = history[static_cast<std::size_t>(d)];
        const auto was = [&](std::ptrdiff_t k) { return kept[static_cast<std::size_t>(k + d + 1)]; };
        const auto k = x - y;
        const auto before = k == -d || (k != d && was(k - 1) < was(k + 1)) ? k + 1 : k - 1;
        const auto from_x = d == 0 ? 0 : was(before), from_y = d == 0 ? 0 : from_x - before;
        while (x > from_x && y > from_y)
            --x, --y, steps.push_back({' ', static_cast<std::size_t>(x), static_cast<std::size_t>(y)});
        if (d == 0) break;
        if (x == from_x)
            --y, steps.push_back({'+', static_cast<std::size_t>(x), static_cast<std::size_t>(y)});
        else
            --x, steps.push_back({'-', static_cast<std::size_t>(x), static_cast<std::size_t>(y)});
    }
    std::ranges::reverse(steps);
    return steps;
}

}  // namespace

Patched with_rules(const std::string& text, const std::vector<Put>& rules) {
    const auto lines = lines_of(text);
    const std::string end = text.find("\r\n") != std::string::npos ? "\r\n" : "\n";
    Patched patched;
    for (std::size_t i = 0; i <= lines.size(); ++i) {
        const auto number = static_cast<unsigned>(i + 1);
        for (const auto& put : rules) {
            if (std::min<std::size_t>(put.line == 0 ? 1 : put.line, lines.size() + 1) != number) continue;
            if (!patched.text.empty() && patched.text.back() != '\n') patched.text += end;
            const auto indent = indent_at(lines, i);
            std::istringstream parts{put.rule};
            for (std::string part; std::getline(parts, part); patched.original.push_back(number)) {
                patched.text += indent;
                patched.text += part;
                patched.text += end;
            }
        }
        if (i == lines.size()) break;
        patched.text += lines[i];
        patched.original.push_back(number);
    }
    patched.original.push_back(static_cast<unsigned>(lines.size() + 1));
    return patched;
}

std::string unified_diff(const std::string& name, std::string_view before, std::string_view after) {
    if (before == after) return {};
    const auto a = lines_of(before), b = lines_of(after);
    const auto steps = steps_between(a, b);
    std::string out = "--- " + name + "\n+++ " + name + "\n";
    for (std::size_t i = 0; i < steps.size();) {
        if (steps[i].sign == ' ') {
            ++i;
            continue;
        }
        const auto first = i - std::min(i, context_lines);
        auto last = i;  // of the hunk's changes
        for (auto j = i; j < steps.size() && j <= last + 2 * context_lines; ++j)
            if (steps[j].sign != ' ') last = j;
        const auto stop = std::min(steps.size(), last + 1 + context_lines);
        std::size_t of_a = 0, of_b = 0;
        std::string body;
        for (auto j = first; j < stop; ++j) {
            const auto& [sign, in_a, in_b] = steps[j];
            of_a += sign != '+', of_b += sign != '-';
            const auto line = sign == '+' ? b[in_b] : a[in_a];
            body += sign;
            body += line;
            if (!line.ends_with('\n')) body += "\n\\ No newline at end of file\n";
        }
        const auto range = [](std::size_t start, std::size_t count) {
            return std::to_string(count == 0 ? start : start + 1) + (count == 1 ? "" : "," + std::to_string(count));
        };
        out += "@@ -" + range(steps[first].a, of_a) + " +" + range(steps[first].b, of_b) + " @@\n" + body;
        i = stop;
    }
    return out;
}

}  // namespace wmlab::lab::rules
