#include "lab/commands/suggested.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <set>

#include "lab/host/error.hpp"
#include "lab/rules/suggestion.hpp"

namespace wmlab::lab::commands {
namespace {

namespace fs = std::filesystem;

constexpr int rounds_max = 6;  // one rule may uncover the next: the media leg shows only when control works

// A copy of the ruleset and of what it includes, in a folder of its own.
class RulesetCopy {
public:
    explicit RulesetCopy(const fs::path& ruleset) : origin_{fs::absolute(ruleset).parent_path()} {
        std::string name = (fs::temp_directory_path() / "wmlab-rules-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw setup_failed("make a folder for the scratch copy of the ruleset", errno);
        folder_ = name;
        for (const auto& file : rules::read_source(fs::absolute(ruleset)).files) {
            const auto inside = fs::absolute(file).lexically_relative(origin_);
            if (inside.empty() || inside.string().starts_with("..")) continue;  // an absolute include: used where it is
            fs::create_directories((folder_ / inside).parent_path());
            fs::copy_file(file, folder_ / inside);
        }
        ruleset_ = folder_ / fs::absolute(ruleset).filename();
    }
    ~RulesetCopy() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    RulesetCopy(const RulesetCopy&) = delete;
    RulesetCopy& operator=(const RulesetCopy&) = delete;

    const fs::path& ruleset() const { return ruleset_; }

    // The copy of a file that a suggestion names: the user's own, or the copy already. Empty: it is not copied.
    fs::path copy_of(const fs::path& file) const {
        const auto absolute = fs::absolute(file);
        if (absolute.string().starts_with(folder_.string())) return absolute;
        const auto inside = absolute.lexically_relative(origin_);
        if (inside.empty() || inside.string().starts_with("..")) return {};
        return folder_ / inside;
    }

private:
    fs::path origin_, folder_, ruleset_;
};

// Puts the rules into the copies, the last line first so that the lines before it keep their numbers. How many were
// new.
std::size_t apply(const RulesetCopy& scratch, const Report& report) {
    std::map<fs::path, std::map<unsigned, std::set<std::string>, std::greater<>>> edits;
    for (const auto& flow : report.flows)
        for (const auto& suggestion : flow.suggestions) {
            const auto file = scratch.copy_of(suggestion.file);
            if (suggestion.line != 0 && !file.empty()) edits[file][suggestion.line].insert(suggestion.rule);
        }
    std::size_t count = 0;
    for (const auto& [file, lines] : edits) {
        auto text = rules::read_from_disk(file);
        if (!text) continue;
        for (const auto& [line, rules] : lines)
            for (const auto& rule : rules) text = rules::with_rule_before(*text, line, rule), ++count;
        std::ofstream{file, std::ios::binary | std::ios::trunc} << *text;
    }
    return count;
}

}  // namespace

void prove_suggestions(Report& report, const ScenarioText& text, const Inside& inside, const TrialOptions& options) {
    std::set<std::string> open;
    for (const auto& flow : report.flows)
        if (!flow.suggestions.empty()) open.insert(flow.id);
    if (open.empty() || options.ruleset.empty()) return;
    const RulesetCopy scratch{options.ruleset};
    auto again = options;
    again.keep = nullptr;
    again.journals.clear();
    again.captures.clear();
    again.ruleset = scratch.ruleset();
    std::map<std::string, bool> passes;
    Report last = report;
    for (int round = 0; round < rounds_max && !open.empty(); ++round) {
        if (apply(scratch, last) == 0) break;
        again.flows.assign(open.begin(), open.end());
        last = try_scenario(text, inside, again).report;
        for (const auto& flow : last.flows) {
            passes[flow.id] = flow.verdict == Verdict::pass;
            if (flow.verdict == Verdict::pass || flow.suggestions.empty()) open.erase(flow.id);
        }
    }
    for (auto& flow : report.flows)
        if (!flow.suggestions.empty()) flow.suggestion_proven = passes[flow.id];
}

}  // namespace wmlab::lab::commands
