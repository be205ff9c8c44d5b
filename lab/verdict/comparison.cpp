#include "lab/verdict/comparison.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <set>

#include "lab/verdict/exit_code.hpp"
#include "lab/verdict/expectation.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

constexpr double loss_apart = 0.05;              // less is not told from chance
constexpr double slower_times = 4, slow_from = 500;  // milliseconds until it played

bool works(Verdict verdict) { return verdict == Verdict::pass || verdict == Verdict::degraded; }
bool wanted_shut(const FlowResult& flow) { return flow.expected.verdict && !works(*flow.expected.verdict); }

// What one flow came to, compared part by part.
struct Differences {
    std::vector<std::string> worse, better, other;
    bool chance = false;      // all of them may be
    bool explained = false;   // the scenario asks for just this
};

std::size_t transport_rank(std::string_view transport) {
    constexpr std::array<std::string_view, 4> order{"udp", "tcp", "http", "http-proxy"};
    return static_cast<std::size_t>(std::ranges::find(order, transport) - order.begin());
}

// Which rules stopped what a player tried before.
std::string stopped_by(const FlowResult& flow) {
    std::string words;
    for (const auto& attempt : flow.attempts)
        for (const auto& leg : attempt.legs)
            if (leg.verdict == Verdict::blocked && leg.rule)
                words += fmt::format("; {} {}: {}", attempt.transport, leg.name, rule_words(*leg.rule));
    return words;
}

const LegResult* leg_of(const FlowResult& flow, const LegResult& like) {
    const auto found = std::ranges::find_if(flow.legs, [&](const LegResult& leg) {
        return leg.name == like.name && leg.protocol == like.protocol;
    });
    return found == flow.legs.end() ? nullptr : &*found;
}

std::set<unsigned> ports_of(const scenario::PortList& list) {
    std::set<unsigned> ports;
    for (const auto& range : list)
        for (unsigned port = range.first; port <= range.last; ++port) ports.insert(port);
    return ports;
}

std::string ports_words(const std::set<unsigned>& ports) {
    scenario::PortList list;
    for (const auto port : ports) {
        const auto number = static_cast<std::uint16_t>(port);
        if (!list.empty() && list.back().last + 1u == port)
            list.back().last = number;
        else
            list.push_back({number, number});
    }
    return fmt::format("port{} {}", ports.size() == 1 ? "" : "s", scenario::text(list));
}

void compare_ports(const FlowResult& before, const FlowResult& after, std::set<unsigned>& opened, std::set<unsigned>& shut) {
    if (!before.open_ports || !after.open_ports) return;
    const auto was = ports_of(*before.open_ports), is = ports_of(*after.open_ports);
    std::ranges::set_difference(is, was, std::inserter(opened, opened.end()));
    std::ranges::set_difference(was, is, std::inserter(shut, shut.end()));
}

// Of two that both work.
Differences working(const FlowResult& before, const FlowResult& after) {
    Differences found;
    bool certain = false;
    if (before.verdict != after.verdict) {
        (after.verdict == Verdict::degraded ? found.worse : found.better)
            .push_back(fmt::format("{} -> {}", headline(before), headline(after)));
        found.explained = after.as_expected && after.verdict == Verdict::degraded;
        certain = certain || !(before.media && after.media && before.media->loss != after.media->loss);
    }
    if (before.transport != after.transport && !before.transport.empty() && !after.transport.empty()) {
        const bool worse = transport_rank(after.transport) > transport_rank(before.transport);
        (worse ? found.worse : found.better)
            .push_back(fmt::format("transport {} -> {}{}", before.transport, after.transport,
                                   worse ? stopped_by(after) : std::string{}));
        if (worse) found.explained = after.as_expected && after.expected.transport.has_value();
        certain = true;
    }
    for (const auto& leg : after.legs) {
        const auto* was = leg_of(before, leg);
        if (!was || was->verdict == leg.verdict || !leg.optional) continue;
        const bool worse = works(was->verdict);
        if (!worse && !works(leg.verdict)) continue;
        (worse ? found.worse : found.better)
            .push_back(fmt::format("{}: {} -> {}{}", leg.name, text(was->verdict), text(leg.verdict),
                                   worse && leg.rule ? ", by " + rule_words(*leg.rule) : std::string{}));
        certain = true;
    }
    if (before.media && after.media && std::abs(after.media->loss - before.media->loss) > loss_apart)
        (after.media->loss > before.media->loss ? found.worse : found.better)
            .push_back(fmt::format("loss {:.0f} % -> {:.0f} %{}", before.media->loss * 100, after.media->loss * 100,
                                   after.rule && after.media->loss > before.media->loss ? ", by " + rule_words(*after.rule)
                                                                                         : std::string{}));
    const auto was = setup_time(before), is = setup_time(after);
    if (was && is && before.transport == after.transport) {
        if (*is > slow_from && *is > slower_times * *was)
            found.worse.push_back(fmt::format("start-up {:.0f} ms -> {:.0f} ms", *was, *is));
        if (*was > slow_from && *was > slower_times * *is)
            found.better.push_back(fmt::format("start-up {:.0f} ms -> {:.0f} ms", *was, *is));
    }
    found.chance = !certain && (!found.worse.empty() || !found.better.empty());
    return found;
}

// Of two that both do not: how far each came, and how it was stopped.
Differences stopped(const FlowResult& before, const FlowResult& after) {
    Differences found;
    const auto was = headline(before), is = headline(after);
    if (was == is) return found;
    const auto position = [](const FlowResult& flow) {
        return std::ranges::find(flow.legs, flow.leg, &LegResult::name) - flow.legs.begin();
    };
    const auto words = fmt::format("{} -> {}", was, is);
    const bool both = !before.leg.empty() && !after.leg.empty() && before.leg != after.leg;
    if (both && position(after) > position(before))
        found.better.push_back(words);
    else if (both && position(after) < position(before))
        found.worse.push_back(words);
    else
        found.other.push_back(words);
    return found;
}

void decide(FlowChange& change, const FlowResult& before, const FlowResult& after) {
    if (says_nothing(before.verdict) || says_nothing(after.verdict)) {
        change.change = Change::unknown;
        return;
    }
    const bool did = works(before.verdict), does = works(after.verdict), shut = wanted_shut(after);
    std::set<unsigned> ports_opened, ports_shut;
    compare_ports(before, after, ports_opened, ports_shut);
    if (!ports_opened.empty()) change.differences.push_back(ports_words(ports_opened) + " newly open");
    if (!ports_shut.empty()) change.differences.push_back(ports_words(ports_shut) + " newly shut");
    if (did != does) {
        change.change = does ? (shut ? Change::newly_open : Change::repaired)
                             : (shut || after.as_expected ? Change::newly_closed : Change::broken);
        if (!does) change.explained = after.as_expected;
        return;
    }
    if (!ports_opened.empty() || !ports_shut.empty()) {
        // A probe that is expected to get through to all ports, or to none, or to some of them.
        const bool all = !after.expected.verdict || *after.expected.verdict == Verdict::pass;
        if (!ports_shut.empty())
            change.change = all ? Change::worse : ports_opened.empty() ? Change::newly_closed : Change::worse;
        else
            change.change = !all ? Change::newly_open : after.verdict == Verdict::pass ? Change::repaired : Change::better;
        return;
    }
    auto found = did ? working(before, after) : stopped(before, after);
    for (auto* list : {&found.worse, &found.better, &found.other})
        change.differences.insert(change.differences.end(), list->begin(), list->end());
    change.chance = found.chance;
    change.explained = found.explained;
    if (!found.worse.empty()) {
        change.by = after.rule;
        for (const auto& attempt : after.attempts)
            for (const auto& leg : attempt.legs)
                if (!change.by && leg.verdict == Verdict::blocked && leg.rule) change.by = leg.rule;
        for (const auto& leg : after.legs)
            if (!change.by && leg.verdict == Verdict::blocked && leg.rule) change.by = leg.rule;
    }
    if (!found.worse.empty())
        change.change = Change::worse;
    else if (!found.better.empty())
        change.change = before.verdict == Verdict::degraded && after.verdict == Verdict::pass ? Change::repaired : Change::better;
    else
        change.change = Change::unchanged;
}

}  // namespace

std::string_view text(Change change) {
    switch (change) {
        case Change::broken:
            return "broken";
        case Change::worse:
            return "worse";
        case Change::newly_open:
            return "newly_open";
        case Change::newly_closed:
            return "newly_closed";
        case Change::repaired:
            return "repaired";
        case Change::better:
            return "better";
        case Change::unchanged:
            return "unchanged";
        case Change::unknown:
            break;
    }
    return "unknown";
}

std::string change_word(Change change) {
    auto word = std::string{text(change)};
    std::ranges::replace(word, '_', ' ');
    return word;
}

Comparison compare(const Report& before, const Report& after) {
    Comparison comparison;
    comparison.ruleset = ruleset_words(before);
    comparison.picture = before.picture;
    for (const auto& flow : after.flows) {
        const auto old = std::ranges::find(before.flows, flow.id, &FlowResult::id);
        FlowChange change;
        change.id = flow.id;
        change.after = outcome_words(flow);
        change.as_expected = flow.as_expected;
        if (old != before.flows.end()) {
            change.before = outcome_words(*old);
            change.rule_before = old->rule;
            decide(change, *old, flow);
        }
        comparison.flows.push_back(std::move(change));
    }
    return comparison;
}

std::vector<std::string> by_chance(const Comparison& comparison) {
    std::vector<std::string> ids;
    for (const auto& flow : comparison.flows)
        if (flow.chance && flow.change != Change::unchanged) ids.push_back(flow.id);
    return ids;
}

void confirm(Comparison& comparison, const Comparison& again) {
    for (auto& flow : comparison.flows) {
        const auto second = std::ranges::find(again.flows, flow.id, &FlowChange::id);
        if (!flow.chance || second == again.flows.end()) continue;
        if (second->change == flow.change) {
            flow.note = "run again, with the same result";
            continue;
        }
        flow.note = fmt::format("decided by chance or count: {} at first ({}), {} when both rulesets were run again",
                                change_word(flow.change), fmt::join(flow.differences, "; "), change_word(second->change));
        flow.change = Change::unchanged;
        flow.differences.clear();
    }
}

bool stops(const Comparison& comparison) {
    const auto bad = [](const FlowChange& flow) {
        return (flow.change == Change::broken && !flow.as_expected) || (flow.change == Change::worse && !flow.explained);
    };
    return std::ranges::any_of(comparison.flows, bad) ||
           std::ranges::any_of(comparison.opened, [](const Opened& opened) { return opened.counts() && opened.proven; }) ||
           (comparison.live && (!comparison.live->happening.problem.empty() || std::ranges::any_of(comparison.live->flows, [](const Live::Noticed& flow) { return !flow.effect.as_expected; })));
}

bool doubts(const Comparison& comparison) {
    return !comparison.not_tried.empty() || std::ranges::any_of(comparison.opened, [](const Opened& opened) { return opened.counts(); });
}

int exit_code(const Comparison& comparison) {
    return stops(comparison) ? ends::not_as_expected : doubts(comparison) ? ends::undecided : ends::as_expected;
}

const FlowChange* change_of(const Report& report, std::string_view flow) {
    if (!report.baseline) return nullptr;
    const auto found = std::ranges::find(report.baseline->flows, flow, &FlowChange::id);
    return found == report.baseline->flows.end() ? nullptr : &*found;
}

std::string change_words(const FlowChange& change) {
    if (change.before.empty()) return {};
    auto words = change_word(change.change) + " by the change: before it was " + change.before;
    if (!change.differences.empty()) words += fmt::format(" ({})", fmt::join(change.differences, "; "));
    return words;
}

std::string changed_words(const Report& report, std::string_view flow) {
    const auto* const change = change_of(report, flow);
    return change == nullptr || change->change == Change::unchanged ? std::string{} : change_words(*change);
}

std::vector<std::string> changes_words(const Comparison& comparison) {
    std::vector<std::string> words;
    for (const auto change : changes_told) {
        const auto ids = of_change(comparison, change);
        if (ids.empty()) continue;
        words.push_back(change == Change::unchanged
                            ? fmt::format("{}: {} flow{}", change_word(change), ids.size(), ids.size() == 1 ? "" : "s")
                            : fmt::format("{}: {}", change_word(change), names(ids, ids.size())));
    }
    for (const auto* list : {&comparison.opened, &comparison.closed})
        for (const auto& opened : *list)
            words.push_back(fmt::format("{}{}: {}, {}; {}", list == &comparison.opened ? "opens" : "closes",
                                        opened.accepted.empty() ? "" : fmt::format(" (accepted: {})", opened.accepted), where_words(opened),
                                        what_words(opened), by_words(opened)));
    for (const auto& left : comparison.not_tried) words.push_back("not tried: " + left);
    return words;
}

std::vector<std::string> of_change(const Comparison& comparison, Change wanted) {
    std::vector<std::string> ids;
    for (const auto& flow : comparison.flows)
        if (flow.change == wanted) ids.push_back(flow.id);
    return ids;
}

}  // namespace wmlab::lab
