#include "lab/verdict/comparison.hpp"

#include <algorithm>

#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

bool works(Verdict verdict) { return verdict == Verdict::pass || verdict == Verdict::degraded; }

Change change_of(const FlowResult& before, const FlowResult& after) {
    if (before.verdict == Verdict::inconclusive || after.verdict == Verdict::inconclusive) return Change::unknown;
    if (before.verdict == after.verdict || works(before.verdict) == works(after.verdict)) {
        if (before.verdict == Verdict::pass && after.verdict == Verdict::degraded) return Change::broken;
        if (before.verdict == Verdict::degraded && after.verdict == Verdict::pass) return Change::repaired;
        return Change::unchanged;
    }
    if (!works(after.verdict)) return Change::broken;
    const auto& wanted = after.expected.verdict;
    return wanted && !works(*wanted) ? Change::opened : Change::repaired;
}

}  // namespace

std::string_view text(Change change) {
    switch (change) {
        case Change::broken:
            return "broken";
        case Change::repaired:
            return "repaired";
        case Change::opened:
            return "newly open";
        case Change::unchanged:
            return "unchanged";
        case Change::unknown:
            break;
    }
    return "unknown";
}

Comparison compare(const Report& before, const Report& after) {
    Comparison comparison;
    comparison.ruleset = ruleset_words(before);
    for (const auto& flow : after.flows) {
        const auto old = std::ranges::find(before.flows, flow.id, &FlowResult::id);
        FlowChange change;
        change.id = flow.id;
        change.after = headline(flow);
        change.as_expected = flow.as_expected;
        if (old != before.flows.end()) {
            change.before = headline(*old);
            change.change = change_of(*old, flow);
        }
        comparison.flows.push_back(std::move(change));
    }
    return comparison;
}

bool stops(const Comparison& comparison) {
    return std::ranges::any_of(
        comparison.flows, [](const FlowChange& flow) { return flow.change == Change::broken && !flow.as_expected; });
}

const FlowChange* change_of(const Report& report, std::string_view flow) {
    if (!report.baseline) return nullptr;
    const auto found = std::ranges::find(report.baseline->flows, flow, &FlowChange::id);
    return found == report.baseline->flows.end() ? nullptr : &*found;
}

std::string change_words(const FlowChange& change) {
    if (change.before.empty()) return {};
    return std::string{text(change.change)} + " by the change: before it was " + change.before;
}

std::vector<std::string> of_change(const Comparison& comparison, Change wanted) {
    std::vector<std::string> ids;
    for (const auto& flow : comparison.flows)
        if (flow.change == wanted) ids.push_back(flow.id);
    return ids;
}

}  // namespace wmlab::lab
