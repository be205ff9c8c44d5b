#include "lab/commands/touched.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <string_view>

namespace wmlab::lab::commands {
namespace {

std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

bool names(std::string_view rule, std::string_view chain) {  // "jump CHAIN", "-j CHAIN", "vmap { tcp : jump CHAIN }"
    const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.'; };
    for (auto at = rule.find(chain); at != std::string_view::npos; at = rule.find(chain, at + 1)) {
        const auto end = at + chain.size();
        if ((at == 0 || !is_word(rule[at - 1])) && (end == rule.size() || !is_word(rule[end]))) return true;
    }
    return false;
}

// Flows of a ruleset's edit, which are a guess at what is worth being run first: all are run then. False: it is not within the rules of one chain, and can be about everything.
bool add_of_rules(const Lines& lines, const std::string& file, const std::vector<RuleUse>& uses, std::set<std::string>& flows) {
    std::map<std::string, Lines> extents;  // the first and the last rule of each chain that has rules in this file
    for (const auto& use : uses) {
        if (use.rule.file != file || use.rule.line == 0) continue;
        auto& extent = extents.try_emplace(use.rule.chain, Lines{use.rule.line, use.rule.line}).first->second;
        extent.first = std::min(extent.first, use.rule.line), extent.last = std::max(extent.last, use.rule.line);
    }
    std::set<std::string> chains;
    for (const auto& [chain, extent] : extents)
        if (extent.first <= lines.first && lines.last <= extent.last + 1) chains.insert(chain);
    if (chains.empty()) return false;
    std::set<std::string> decided;  // by a rule of these chains that stands before the edit: they do not come to it
    for (const auto& use : uses)
        if (chains.contains(use.rule.chain)) decided.insert(use.flows.begin(), use.flows.end());
    for (const auto& use : uses) {
        if (chains.contains(use.rule.chain)) {
            if (use.rule.file != file || use.rule.line >= lines.first) flows.insert(use.flows.begin(), use.flows.end());
            continue;
        }
        // Those that a jump leads through the chain and that something behind it decides.
        const bool leads = std::ranges::any_of(
            chains, [&](const auto& chain) { return names(use.rule.text, std::string_view{chain}.substr(chain.rfind(' ') + 1)); });
        if (leads) std::ranges::copy_if(use.flows, std::inserter(flows, flows.end()), [&](const auto& flow) { return !decided.contains(flow); });
    }
    return true;
}

// Flows of a scenario's edit; false: not only flows were changed.
bool add_of_scenario(const Lines& lines, const std::vector<Covered::Of>& all, std::set<std::string>& flows) {
    std::vector<unsigned> starts;
    for (const auto& flow : all) {
        if (flow.line == 0) return false;
        starts.push_back(flow.line);
    }
    std::ranges::sort(starts);
    // The end of the last flow is not known: below it may stand another section.
    if (starts.empty() || lines.first < starts.front() || lines.last > starts.back() + 1) return false;
    for (const auto& flow : all) {
        const auto next = std::ranges::upper_bound(starts, flow.line);
        const auto end = next == starts.end() ? flow.line + 1 : *next;
        if (flow.line < std::max(lines.last, lines.first + 1) && lines.first < end) flows.insert(flow.id);
    }
    return true;
}

}  // namespace

Lines changed_lines(const std::string& before, const std::string& after) {
    const auto a = split(before), b = split(after);
    std::size_t head = 0, tail = 0;
    const auto most = std::min(a.size(), b.size());
    while (head < most && a[head] == b[head]) ++head;
    while (tail < most - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
    return {static_cast<unsigned>(head) + 1, static_cast<unsigned>(a.size() - tail) + 1};
}

std::optional<std::set<std::string>> touched(const std::vector<Edit>& edits, const Covered& before) {
    if (edits.empty()) return std::nullopt;
    std::set<std::string> flows, covered;
    bool rules = false;
    for (const auto& edit : edits) {
        const auto lines = changed_lines(edit.before, edit.after);
        const bool of_scenario = edit.file == before.scenario;
        rules = rules || !of_scenario;
        if (!(of_scenario ? add_of_scenario(lines, before.flows, flows) : add_of_rules(lines, edit.file, before.uses, flows)))
            return std::nullopt;
    }
    for (const auto& use : before.uses) covered.insert(use.flows.begin(), use.flows.end());
    for (const auto& flow : before.flows)
        if (!flow.as_expected || (rules && !covered.contains(flow.id))) flows.insert(flow.id);
    std::erase_if(flows, [&](const auto& id) { return std::ranges::find(before.flows, id, &Covered::Of::id) == before.flows.end(); });
    if (flows.empty() || flows.size() == before.flows.size()) return std::nullopt;
    return flows;
}

}  // namespace wmlab::lab::commands
