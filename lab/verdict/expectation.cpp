#include "lab/verdict/expectation.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace {

constexpr double percentile = 0.95;

bool matches(const scenario::Expectation& expected, const FlowResult& flow) {
    if (expected.verdict && *expected.verdict != flow.verdict) return false;
    if (expected.leg && *expected.leg != flow.leg) return false;
    if (expected.cause && expected.cause != flow.cause) return false;
    return !expected.transport || *expected.transport == flow.transport;
}

// "rules.nft" is also the end of "/etc/rules.nft".
bool same_file(const std::string& wanted, const std::string& named) {
    const std::filesystem::path end{wanted}, whole{named};
    auto a = end.end(), b = whole.end();
    while (a != end.begin()) {
        if (b == whole.begin() || *--a != *--b) return false;
    }
    return true;
}

std::string seen_as(const FlowResult& flow) {
    for (const auto& leg : flow.legs) {
        const auto& seen = leg.source_seen.empty() ? leg.source : leg.source_seen;
        if (!seen.empty()) return seen.substr(0, seen.rfind(':'));
    }
    return {};
}

// The instances of a flow with `count`, or between several hosts, share its name: `load#3`, `udp[anna->media]`.
std::string name_of(const FlowResult& flow) { return flow.id.substr(0, flow.id.find_first_of("[#")); }

std::map<std::string, double, std::less<>> setup_percentiles(const Report& report) {
    std::map<std::string, std::vector<double>, std::less<>> times;
    for (const auto& flow : report.flows)
        if (const auto time = setup_time(flow); time && flow.expected.setup_p95) times[name_of(flow)].push_back(*time);
    std::map<std::string, double, std::less<>> found;
    for (auto& [name, list] : times) {
        std::ranges::sort(list);
        const auto rank = static_cast<std::size_t>(std::ceil(percentile * static_cast<double>(list.size())));
        found[name] = list[std::max<std::size_t>(rank, 1) - 1];
    }
    return found;
}

// What was measured and is not as expected, in words.
std::vector<std::string> unmet(const FlowResult& flow, const std::map<std::string, double, std::less<>>& setups, const std::vector<LoadResult>& loads) {
    std::vector<std::string> words;
    const auto& expected = flow.expected;
    if (expected.rule) {
        const auto& wanted = *expected.rule;
        const auto is = [&](const std::optional<RuleRef>& rule) { return rule && rule->line == wanted.line && same_file(wanted.file, rule->file); };
        // What passes was let through by a rule of its legs.
        const bool let_through = flow.verdict == Verdict::pass && std::ranges::any_of(flow.legs, [&](const auto& leg) { return is(leg.rule); });
        if (!is(flow.rule) && !let_through)
            words.push_back(flow.rule ? fmt::format("Expected to be decided by {}:{}, and it was {}.", wanted.file, wanted.line, rule_words(*flow.rule))
                                      : fmt::format("Expected to be decided by {}:{}, which is not known to have been.", wanted.file, wanted.line));
    }
    if (expected.seen_as) {
        const auto seen = seen_as(flow), wanted = expected.seen_as->text();
        if (seen != wanted)
            words.push_back(seen.empty() ? fmt::format("Expected to be seen as {}; how {} saw it is not known.", wanted, flow.to)
                                         : fmt::format("Expected to be seen as {}, and {} saw {}.", wanted, flow.to, seen));
    }
    if (const auto load = std::ranges::find(loads, flow.load, &LoadResult::load); !flow.load.empty() && load != loads.end()) {
        for (auto& sentence : unmet_by(*load, expected)) words.push_back(std::move(sentence));
        return words;
    }
    if (expected.loss) {
        if (!flow.media)
            words.push_back(fmt::format("Expected a loss below {:g} %; no media was measured.", *expected.loss * 100));
        else if (flow.media->loss >= *expected.loss)
            words.push_back(fmt::format("Expected a loss below {:g} %, and it was {:.1f} %.", *expected.loss * 100, flow.media->loss * 100));
    }
    if (expected.setup_p95) {
        const auto found = setups.find(name_of(flow));
        const auto limit = static_cast<double>(expected.setup_p95->count());
        if (found == setups.end())
            words.push_back(fmt::format("Expected to be set up within {:g} ms; how long it took is not known.", limit));
        else if (found->second >= limit)
            words.push_back(fmt::format("Expected 95 % to be set up within {:g} ms, and it took {:.0f} ms.", limit, found->second));
    }
    return words;
}

}  // namespace

std::optional<double> setup_time(const FlowResult& flow) {
    std::optional<double> sum;
    for (const auto& leg : flow.legs)
        if (leg.milliseconds) sum = sum.value_or(0) + *leg.milliseconds;
    return sum;
}

std::vector<std::string> unmet_by(const LoadResult& load, const scenario::Expectation& expected) {
    std::vector<std::string> words;
    if (expected.loss && load.packets + load.lost == 0)
        words.push_back(fmt::format("Expected of {} a loss below {:g} %; no media was measured.", load.load, *expected.loss * 100));
    else if (expected.loss && load.loss >= *expected.loss)
        words.push_back(fmt::format("Expected of {} a loss below {:g} %, and it was {:.1f} %.", load.load, *expected.loss * 100, load.loss * 100));
    if (!expected.setup_p95) return words;
    const auto limit = static_cast<double>(expected.setup_p95->count());
    if (!load.setup_p95)
        words.push_back(fmt::format("Expected 95 % of {} to be set up within {:g} ms, and {} of {} players were set up at all.", load.load, limit, load.set_up,
                                    load.players));
    else if (*load.setup_p95 >= limit)
        words.push_back(fmt::format("Expected 95 % of {} to be set up within {:g} ms, and it took {:.0f} ms.", load.load, limit, *load.setup_p95));
    return words;
}

void hold_against_expectations(Report& report) {
    auto& summary = report.summary;
    summary.flows = static_cast<unsigned>(report.flows.size());
    summary.as_expected = summary.inconclusive = summary.unexpected = 0;
    const auto setups = setup_percentiles(report);
    for (auto& flow : report.flows) {
        flow.unmet = unmet(flow, setups, report.loads);
        flow.as_expected = matches(flow.expected, flow) && flow.unmet.empty() &&
                           std::ranges::all_of(flow.effects, [](const Effect& effect) { return effect.as_expected; });
        ++(flow.as_expected ? summary.as_expected : says_nothing(flow.verdict) ? summary.inconclusive : summary.unexpected);
    }
}

}  // namespace wmlab::lab
