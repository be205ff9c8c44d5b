#include "common/scenario/problems.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "common/scenario/values.hpp"
#include "common/scenario/yaml_hints.hpp"

namespace wmlab::scenario {
namespace {

constexpr std::size_t value_shown_max = 60, line_shown_max = 160;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
std::size_t characters(std::string_view text) {
    return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues_character));
}

// For a terminal: no control characters, whatever is in the file.
std::string printable(std::string_view text, std::size_t size_max) {
    std::string shown;
    for (const char c : text) {
        if (shown.size() >= size_max && !continues_character(c)) return shown + "...";
        shown += (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) && c != '\t' ? '?' : c;
    }
    return shown;
}

std::string shown_value(std::string_view value) {
    auto shown = printable(value, value_shown_max);
    std::ranges::replace(shown, '\t', ' ');
    return '`' + shown + '`';
}

}  // namespace

std::string explain(const Problem& problem) {
    std::string message = printable(problem.file, 1000);
    if (problem.line > 0) message += ':' + std::to_string(problem.line) + ':' + std::to_string(problem.column);
    message += ": " + printable(problem.what, 300);
    if (problem.value.empty() && message.ends_with(':')) message.pop_back();
    if (!problem.value.empty()) message += ' ' + shown_value(problem.value);
    message += '\n';
    if (problem.line == 0 || problem.source_line.empty()) {
        if (!problem.suggestion.empty()) message += "  " + problem.suggestion + '\n';
        return message;
    }
    // Byte offset of the column, which counts characters.
    std::string_view line = problem.source_line;
    std::size_t at = 0;
    for (unsigned column = 1; column < problem.column && at < line.size(); ++column) {
        ++at;
        while (at < line.size() && continues_character(line[at])) ++at;
    }
    const auto first_line = problem.value.substr(0, problem.value.find('\n'));
    std::size_t width = std::max<std::size_t>(1, characters(first_line));
    if (at < line.size() && !problem.value.empty() && (line[at] == '"' || line[at] == '\'')) width += 2;
    width = std::clamp<std::size_t>(width, 1, std::max<std::size_t>(1, characters(line.substr(at))));
    width = std::min(width, value_shown_max);
    std::string before;
    if (at > line_shown_max - value_shown_max) {  // a long line: only the part around the value
        auto cut = at - (line_shown_max - value_shown_max);
        while (cut < at && continues_character(line[cut])) ++cut;
        line.remove_prefix(cut);
        at -= cut;
        before = "...";
    }
    message += before + printable(line, line_shown_max) + '\n';
    message.append(before.size(), ' ');
    for (const char c : line.substr(0, at))
        if (!continues_character(c)) message += c == '\t' ? '\t' : ' ';
    message.append(width, '^');
    if (!problem.suggestion.empty()) message += ' ' + problem.suggestion;
    return message + '\n';
}

std::string explain(const std::vector<Problem>& problems) {
    std::string all;
    for (const auto& problem : problems) all += explain(problem);
    return all;
}

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        auto line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

}  // namespace

Problems::Problems(std::string file, std::string_view text) : file_{std::move(file)}, lines_{lines_of(text)} {}

unsigned Problems::add_source(std::string file, std::string text) {
    auto& source = sources_.emplace_back(Source{std::move(file), std::move(text), {}});
    source.lines = lines_of(source.text);
    return static_cast<unsigned>(sources_.size());
}

unsigned Problems::add_row(std::string row) {
    rows_.push_back(std::move(row));
    return static_cast<unsigned>(rows_.size());
}

void Problems::add(yaml::Place at, std::string_view value, std::string what, std::string suggestion) {
    if (problems_.size() >= kept_max) {
        ++more_;
        return;
    }
    const auto* source = at.source > 0 && at.source <= sources_.size() ? &sources_[at.source - 1] : nullptr;
    const auto& lines = source != nullptr ? source->lines : lines_;
    if (at.row > 0 && at.row <= rows_.size()) {
        const bool colon = what.ends_with(':');
        if (colon) what.pop_back();
        what += " (row " + rows_[at.row - 1] + ")" + (colon ? ":" : "");
    }
    Problem problem{source != nullptr ? source->file : file_,
                    at.line,
                    at.column,
                    std::string{value},
                    std::move(what),
                    printable(suggestion, 400),
                    {}};
    if (at.line > 0 && at.line <= lines.size()) {
        const auto line = lines[at.line - 1];
        const auto before = line.substr(0, at.column - 1);
        problem.column = static_cast<unsigned>(characters(before)) + 1;
        // Enough of a long line for the excerpt, never a copy of a megabyte for each problem.
        problem.source_line = line.substr(0, std::min(line.size(), at.column + std::size_t{400}));
    }
    problems_.push_back(std::move(problem));
}

void Problems::add(const yaml::Node& node, std::string what, std::string suggestion) {
    add(node.at, node.text, std::move(what), std::move(suggestion));
}

std::vector<Problem> Problems::sorted() && {
    std::ranges::stable_sort(problems_, {}, [](const Problem& problem) {
        return std::tuple{problem.line, problem.column};
    });
    if (more_ > 0) problems_.push_back({file_, 0, 0, {}, "and " + std::to_string(more_) + " more problems", {}, {}});
    return std::move(problems_);
}

std::string Problems::did_you_mean(std::string_view value, const std::vector<std::string_view>& candidates) const {
    if (problems_.size() >= kept_max) return {};  // nobody will read it
    if (const auto near = nearest(value, candidates)) return "did you mean `" + *near + "`?";
    if (candidates.empty() || candidates.size() > 16) return {};
    std::string all = candidates.size() == 1 ? "there is only: " : "one of: ";
    for (const auto candidate : candidates) {
        if (candidate != candidates.front()) all += ", ";
        all += candidate;
    }
    return all;
}

MapReader::MapReader(const yaml::Node& node, std::string owner, Problems& problems, std::string example)
    : node_{node}, owner_{std::move(owner)}, problems_{problems} {
    if (!node.is(yaml::Node::Kind::map)) {
        problems.add(node, owner_ + (node.is(yaml::Node::Kind::null) ? " is empty" : " is not a map:"),
                     std::move(example));
        return;
    }
    std::map<std::string_view, unsigned> seen;  // with the line
    for (const auto& [key, value] : node.entries) {
        if (!key.is(yaml::Node::Kind::scalar)) {
            problems.add(key, "a key of " + owner_ + " is not a word");
        } else if (const auto [first, fresh] = seen.emplace(key.text, key.at.line); !fresh) {
            problems.add(key, owner_ + " says twice:", "first in line " + std::to_string(first->second));
        }
    }
}

const yaml::Node* MapReader::find(std::string_view key) {
    known_.push_back(key);
    for (const auto& [name, value] : node_.entries)
        if (name.is(yaml::Node::Kind::scalar) && name.text == key) return &value;
    return nullptr;
}

const yaml::Node* MapReader::require(std::string_view key) {
    const auto* found = find(key);
    if (found == nullptr && node_.is(yaml::Node::Kind::map))
        problems_.add(node_.at, {}, owner_ + " has no `" + std::string{key} + "`");
    return found;
}

void MapReader::finish(const std::function<bool(const yaml::Node& key)>& other) {
    std::set<std::string_view> reported;
    for (const auto& [key, value] : node_.entries) {
        if (!key.is(yaml::Node::Kind::scalar) || std::ranges::find(known_, key.text) != known_.end()) continue;
        if (!reported.insert(key.text).second) continue;  // said twice: a problem of its own
        if (other && other(key)) continue;
        const auto blank = yaml::with_blank(key.text);
        if (!blank.empty() && value.is(yaml::Node::Kind::null))
            problems_.add(key, "no blank behind the colon:", "write " + ticked(blank));
        else
            problems_.add(key, "unknown key in " + owner_ + ':', problems_.did_you_mean(key.text, known_));
    }
}

std::optional<std::string> MapReader::text(const yaml::Node& node, std::string_view key) {
    if (node.is(yaml::Node::Kind::scalar) && !node.text.empty()) return node.text;
    const bool empty = node.is(yaml::Node::Kind::null) || node.is(yaml::Node::Kind::scalar);
    problems_.add(node.at, {},
                  '`' + std::string{key} + "` of " + owner_ + (empty ? " has no value" : " is not a single value"));
    return std::nullopt;
}

}  // namespace wmlab::scenario
