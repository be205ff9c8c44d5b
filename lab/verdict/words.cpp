#include "lab/verdict/words.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <map>

namespace wmlab::lab {

std::string why(const FlowResult& flow) {
    if (flow.cause) return std::string{text(*flow.cause)};
    return flow.reason ? std::string{text(*flow.reason)} : std::string{};
}

std::string headline(const FlowResult& flow) {
    std::string words{text(flow.verdict)};
    if (!flow.leg.empty()) words += " at " + flow.leg;
    if (!flow.because.empty()) words += fmt::format(" because of {}", flow.because);
    if (const auto code = why(flow); !code.empty()) words += ": " + code;
    if (!flow.direction.empty()) words += fmt::format(" ({})", flow.direction);
    return words;
}

std::string outcome_words(const FlowResult& flow) {
    auto words = headline(flow);
    if (flow.type == "mms-auto" && !flow.transport.empty()) words += " over " + flow.transport;
    return words;
}

std::string expected_words(const scenario::Expectation& expected) {
    std::string words = expected.verdict ? std::string{text(*expected.verdict)} : std::string{"any verdict"};
    if (expected.leg) words += " at " + *expected.leg;
    if (expected.cause) words += fmt::format(": {}", text(*expected.cause));
    if (expected.transport) words += " over " + *expected.transport;
    if (expected.rule) words += fmt::format(" by {}:{}", expected.rule->file, expected.rule->line);
    if (expected.seen_as) words += " seen as " + expected.seen_as->text();
    if (expected.loss) words += fmt::format(" with a loss below {:g} %", *expected.loss * 100);
    if (expected.setup_p95) words += fmt::format(" with 95 % set up within {} ms", expected.setup_p95->count());
    return words;
}

std::string account_words(const FlowResult& flow) {
    auto words = flow.explanation;
    for (const auto& sentence : flow.unmet) words += (words.empty() ? "" : " ") + sentence;
    return words;
}

std::string rule_words(const RuleRef& rule) {
    auto words = rule.line == 0 ? rule.file : fmt::format("{}:{}", rule.file, rule.line);
    if (!rule.box.empty()) words = fmt::format("firewall {}: {}", rule.box, words);
    if (!rule.text.empty()) words += ": " + rule.text;
    if (!rule.chain.empty())
        words += fmt::format(" ({}{})", rule.chain, rule.via.empty() ? "" : ", come to by " + rule.via);
    return words;
}

std::string where_words(const Opened& opened) {
    const auto box = opened.box.empty() ? std::string{} : fmt::format("firewall {}, ", opened.box);
    if (!opened.proven) return box + "conditional";
    return box + fmt::format("{} -> {}: {} -> {}", opened.from_zone, opened.to_zone, fmt::join(opened.from, ", "), fmt::join(opened.to, ", "));
}

std::string what_words(const Opened& opened) {
    if (!opened.proven) return fmt::format("{}, if {} (told from the rule: no packet can be made to meet it)", opened.protocol, opened.condition);
    std::string numbers;
    for (const auto& range : opened.ports) numbers += (numbers.empty() ? "" : ", ") + range.text();
    auto words = opened.protocol == "ip"             ? "IP protocol " + numbers
                 : opened.protocol.starts_with("ic") ? opened.protocol + " type " + numbers
                                                     : opened.protocol + " " + numbers;
    if (opened.family == "ipv6") words = "IPv6 " + words;
    if (!opened.condition.empty()) words += ", " + opened.condition;
    if (!opened.leads_to.empty()) words += ", leads to " + opened.leads_to;
    return words;
}

std::string by_words(const Opened& opened) {
    std::string words = opened.rule ? "by " + rule_words(*opened.rule) : std::string{"by which rule could not be traced"};
    if (opened.translated_by) words += "; translated by " + rule_words(*opened.translated_by);
    return words;
}

std::string icmp_line(const Icmp& icmp) {
    auto words = fmt::format("{}/{} from {}", icmp.type, icmp.code, icmp.from);
    if (!icmp.name.empty() && icmp.name != icmp.from) words += fmt::format(", {}", icmp.name);
    return words;
}

std::string summary_words(const Report& report) {
    const auto& sum = report.summary;
    return fmt::format("{} flow{}: {} as expected, {} not, {} inconclusive; {:.1f} s", sum.flows,
                       sum.flows == 1 ? "" : "s", sum.as_expected, sum.unexpected, sum.inconclusive, sum.seconds);
}

std::string_view text(Idle::Outcome outcome) {
    constexpr std::array<std::string_view, 4> names = {"not reached", "survived", "died", "not known"};
    return names[static_cast<std::size_t>(outcome)];
}

std::string_view text(Impact impact) {
    constexpr std::array<std::string_view, 8> names = {"untouched", "lost", "interrupted", "resumed", "rolled-over", "died", "opened", "stopped"};
    return names[static_cast<std::size_t>(impact)];
}

std::string effect_words(const Effect& effect) {
    const auto packets = [](std::uint64_t count) { return fmt::format("{} packet{}", count, count == 1 ? "" : "s"); };
    std::string words;
    switch (effect.impact) {
        case Impact::untouched:
            words = "untouched";
            break;
        case Impact::lost:
            words = packets(effect.lost) + " lost, never without media for long";
            break;
        case Impact::interrupted:
            words = fmt::format("interrupted for {:.0f} ms, then it went on by itself", effect.interrupted);
            break;
        case Impact::resumed:
            words = "the connection was lost, and another one went on";
            break;
        case Impact::rolled_over:
            words = "rolled over to " + effect.transport;
            break;
        case Impact::died:
            words = "died: nothing came any more";
            break;
        case Impact::opened:
            words = "began afterwards, and works";
            break;
        case Impact::stopped:
            words = "does not get through";
            break;
    }
    if ((effect.impact == Impact::resumed || effect.impact == Impact::rolled_over) && effect.interrupted > 0) words += fmt::format(" after {:.0f} ms", effect.interrupted);
    if (effect.impact == Impact::lost && effect.interrupted > 0) words += fmt::format(" ({:.0f} ms)", effect.interrupted);
    if (effect.lost > 0 && effect.impact != Impact::lost) words += fmt::format(", {} lost", packets(effect.lost));
    if (!effect.leg.empty() && effect.impact != Impact::untouched) words += fmt::format(" ({})", effect.leg);
    if (effect.slipped > 0) words += fmt::format("; {} slipped through while no rules were loaded", packets(effect.slipped));
    if (!effect.complete) words += "; not every packet is accounted for";
    return words;
}

std::string happening_words(const Happening& happening) {
    auto words = fmt::format("at {:.3g} s: {}", happening.at, happening.what);
    if (happening.took > 0) words += fmt::format(" ({:.1f} ms)", happening.took);
    if (!happening.expect.empty()) words += ", expected: " + happening.expect;
    if (!happening.problem.empty()) words += "; " + happening.problem;
    return words;
}

std::vector<std::pair<std::string, const Effect*>> effects_of(const Report& report, std::size_t incident) {
    std::vector<std::pair<std::string, const Effect*>> all;
    for (const auto& flow : report.flows)
        for (const auto& effect : flow.effects)
            if (effect.incident == incident) all.emplace_back(flow.id, &effect);
    return all;
}

std::vector<std::pair<std::string, const Effect*>> effects_of(const Live& live) {
    std::vector<std::pair<std::string, const Effect*>> all;
    for (const auto& flow : live.flows) all.emplace_back(flow.id, &flow.effect);
    return all;
}

std::vector<std::string> effects_words(const std::vector<std::pair<std::string, const Effect*>>& flows) {
    std::vector<std::pair<std::string, std::vector<std::string>>> groups;
    for (const auto& [id, effect] : flows) {
        const auto words = effect_words(*effect) + (effect->as_expected ? "" : ", which is not expected");
        auto group = std::ranges::find(groups, words, [](const auto& one) { return one.first; });
        if (group == groups.end()) group = groups.insert(groups.end(), {words, {}});
        group->second.push_back(id);
    }
    std::vector<std::string> all;
    for (const auto& [words, ids] : groups) all.push_back(fmt::format("{}: {}", names(ids, 8), words));
    return all;
}

std::string verdict_words(const FlowResult& flow) {
    std::string words{text(flow.verdict)};
    if (flow.type == "mms-auto" && !flow.transport.empty()) words += fmt::format(" ({})", flow.transport);
    return words;
}

std::vector<std::pair<std::string, std::string>> identity_words(const Identity& identity) {
    std::vector<std::pair<std::string, std::string>> words;
    const auto add = [&](std::string name, std::string value) {
        if (!value.empty()) words.emplace_back(std::move(name), std::move(value));
    };
    add("when", identity.when);
    add("wmlab",
        identity.commit.empty() ? identity.version : fmt::format("{} (commit {})", identity.version, identity.commit));
    add("kernel", identity.kernel);
    add("nft", identity.nft);
    add("iptables", identity.iptables);
    add("machine", identity.machine);
    add("lab", identity.lab);
    const auto hashed = [&](std::string_view what, const Hashed& file) {
        add(fmt::format("{} {}", what, file.name), "sha256:" + file.sha256);
    };
    if (identity.scenario) hashed("scenario", *identity.scenario);
    for (const auto& file : identity.rulesets) hashed("ruleset", file);
    for (const auto& file : identity.contents) hashed("content", file);
    return words;
}

std::string identity_line(const Identity& identity) {
    std::string line;
    for (const auto& [name, value] : identity_words(identity)) {
        if (value.starts_with("sha256:")) continue;
        line += line.empty() ? "" : ", ";
        line += name == "when" ? value : name + " " + value;
    }
    return line;
}

std::vector<Blame> blames(const Report& report) {
    std::vector<Blame> all;
    for (const auto& flow : report.flows) {
        if (flow.as_expected) continue;
        auto what = flow.rule ? rule_words(*flow.rule) : headline(flow);
        const auto found = std::ranges::find(all, what, &Blame::what);
        if (found != all.end()) {
            found->flows.push_back(&flow);
            continue;
        }
        std::string place;
        if (flow.rule && !flow.rule->file.empty() && flow.rule->line != 0)
            place = fmt::format("{}:{}", flow.rule->file, flow.rule->line);
        all.push_back({std::move(what), std::move(place), {&flow}});
    }
    std::ranges::stable_sort(all, std::ranges::greater{}, [](const Blame& blame) { return blame.flows.size(); });
    return all;
}

std::string names(const std::vector<std::string>& all, std::size_t max) {
    std::string words;
    for (std::size_t i = 0; i < std::min(all.size(), max); ++i) words += (i == 0 ? "" : ", ") + all[i];
    if (all.size() > max) words += fmt::format(" and {} more", all.size() - max);
    return words;
}

std::vector<std::string> asides(const std::vector<const FlowResult*>& flows) {
    std::vector<std::pair<std::string, std::vector<std::string>>> all;
    std::map<std::string, std::size_t> known;
    const auto add = [&](const std::string& id, std::string sentence) {
        const auto [at, fresh] = known.emplace(sentence, all.size());
        if (fresh) all.emplace_back(std::move(sentence), std::vector<std::string>{});
        auto& ids = all[at->second].second;
        if (ids.empty() || ids.back() != id) ids.push_back(id);
    };
    for (const auto* flow : flows) {
        for (const auto& retry : flow->retries) add(flow->id, "retried: " + retry);
        for (const auto& note : flow->notes) add(flow->id, note);
    }
    std::vector<std::string> words;
    for (const auto& [sentence, ids] : all)
        words.push_back(ids.size() == 1 ? fmt::format("{}: {}", ids.front(), sentence)
                                        : fmt::format("{} flows ({}): {}", ids.size(), names(ids), sentence));
    return words;
}

std::string use_words(const RuleUse& use) {
    std::string words{text(use.use())};
    if (use.use() == Use::hit)
        words += fmt::format(": {} {}, no flow needs it", use.packets, use.packets == 1 ? "packet" : "packets");
    if (use.use() == Use::needed) words += ": " + names(use.flows);
    return words;
}

bool is_bad(const FlowResult& flow) { return !flow.as_expected && !says_nothing(flow.verdict); }

std::string ruleset_words(const Report& report) {
    return report.ruleset.empty() ? "none: the firewall forwards everything" : report.ruleset;
}

bool AnyoneResult::as_expected() const { return std::ranges::all_of(parts, &Part::as_expected); }

std::vector<AnyoneResult> anyone_results(const Report& report) {
    std::vector<AnyoneResult> all;
    for (const auto& flow : report.flows) {
        if (!flow.anyone) continue;
        auto result = std::ranges::find_if(all, [&](const auto& one) { return one.flow == flow.anyone->flow && one.zone == flow.anyone->zone && one.to == flow.to; });
        if (result == all.end()) result = all.insert(all.end(), {flow.anyone->flow, flow.anyone->zone, flow.to, {}});
        const auto outcome = outcome_words(flow);
        auto part = std::ranges::find_if(result->parts, [&](const auto& one) { return one.outcome == outcome && one.as_expected == flow.as_expected; });
        if (part == result->parts.end()) part = result->parts.insert(part, {outcome, flow.as_expected, {}, {}});
        const auto add = [](std::vector<std::string>& list, const std::string& what) {
            if (std::ranges::find(list, what) == list.end()) list.push_back(what);
        };
        add(part->tried, flow.anyone->address);
        add(part->stand_for, flow.anyone->stands_for.empty() ? flow.anyone->address : flow.anyone->stands_for);
    }
    for (auto& result : all) {
        // What came out in two ways stands for nobody else.
        std::map<std::string, std::size_t> parts_of;
        for (const auto& part : result.parts)
            for (const auto& words : part.stand_for) ++parts_of[words];
        for (auto& part : result.parts)
            if (std::ranges::any_of(part.stand_for, [&](const auto& words) { return parts_of[words] > 1; })) part.stand_for = part.tried;
        std::ranges::stable_sort(result.parts, {}, &AnyoneResult::Part::as_expected);
    }
    return all;
}

std::string anyone_words(const AnyoneResult& result) {
    std::string parts;
    for (const auto& part : result.parts) {
        constexpr std::size_t told_max = 4;
        parts += fmt::format("{}{} from {}", parts.empty() ? "" : "; ", part.outcome, names(part.stand_for, told_max));
        if (part.stand_for != part.tried) parts += fmt::format(" (tried {})", names(part.tried, told_max));
    }
    return fmt::format("{}, from anyone of zone {} to {}: {}", result.flow, result.zone, result.to, parts);
}

}  // namespace wmlab::lab
