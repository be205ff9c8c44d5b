// The JSON report: schema wmlab.report/1, a contract (docs/report.schema.json).
#include <spdlog/fmt/fmt.h>

#include <boost/json.hpp>

#include "lab/report/json_parts.hpp"
#include "lab/report/json_string.hpp"
#include "lab/report/renderers.hpp"
#include "lab/verdict/load_words.hpp"

namespace wmlab::lab {
namespace {

namespace json = boost::json;

void pretty(std::string& out, const json::value& value, std::size_t depth) {
    const auto indent = [&](std::size_t n) { out += "\n" + std::string(n * 2, ' '); };
    const auto nested = [](const json::value& item) { return item.is_object() || item.is_array(); };
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        out += '{';
        bool first = true;
        for (const auto& [key, item] : *object) {
            if (!first) out += ',';
            first = false;
            indent(depth + 1);
            out += json::serialize(string({key.data(), key.size()})) + ": ";
            pretty(out, item, depth + 1);
        }
        indent(depth);
        out += '}';
    } else if (const auto* list = value.if_array(); list != nullptr && !list->empty()) {
        out += '[';
        bool any_nested = false, first = true;
        for (const auto& item : *list) any_nested = any_nested || nested(item);
        for (const auto& item : *list) {
            if (!first) out += any_nested ? "," : ", ";
            first = false;
            if (any_nested) indent(depth + 1);
            pretty(out, item, depth + 1);
        }
        if (any_nested) indent(depth);
        out += ']';
    } else if (value.is_double()) {
        // Reports are read by people too: 1.2, not 1.2E0.
        char digits[40];
        const double number = value.get_double();
        std::snprintf(digits, sizeof digits, "%.6g", number);
        out += digits;
    } else {
        out += json::serialize(value);
    }
}

}  // namespace

json::object rule_json(const RuleRef& rule) {
    json::object object{
        {"file", string(rule.file)}, {"line", rule.line}, {"text", string(rule.text)}, {"chain", string(rule.chain)}};
    if (!rule.via.empty()) object["via"] = string(rule.via);
    if (!rule.box.empty()) object["box"] = string(rule.box);
    return object;
}

namespace {

json::object near_miss(const NearMiss& near) {
    auto object = rule_json(near.rule);
    object["differs"] = string(near.differs);
    return object;
}

json::object icmp(const Icmp& icmp) {
    return {{"type", icmp.type}, {"code", icmp.code}, {"from", string(icmp.from)}, {"name", string(icmp.name)}};
}

json::array strings(const std::vector<std::string>& list) {
    json::array array;
    for (const auto& entry : list) array.push_back(string(entry));
    return array;
}

// verdict, cause, reason, direction ... of anything that has them; what is unknown is left out.
template <class Result>
void verdict(json::object& object, const Result& result) {
    object["verdict"] = string(text(result.verdict));
    if (result.cause) object["cause"] = string(text(*result.cause));
    if (result.reason) object["reason"] = string(text(*result.reason));
}

json::object ledger(const Ledger& account) {
    json::object object{{"complete", account.complete}};
    if (!account.unknown.empty()) object["unknown"] = string(account.unknown);
    for (const auto* lane : {&account.there, &account.back}) {
        if (lane->direction.empty()) continue;
        object[string(lane->direction)] =
            json::object{{"left", lane->left}, {"arrived", lane->arrived}, {"changed", lane->changed}, {"dropped", lane->dropped}};
    }
    return object;
}

json::array legs(const std::vector<LegResult>& results) {
    json::array array;
    for (const auto& result : results) {
        json::object leg{{"name", string(result.name)},
                         {"protocol", string(result.protocol)},
                         {"source", string(result.source)},
                         {"destination", string(result.destination)}};
        if (!result.source_seen.empty()) leg["source_seen"] = string(result.source_seen);
        if (!result.destination_seen.empty()) leg["destination_seen"] = string(result.destination_seen);
        if (result.optional) leg["optional"] = true;
        verdict(leg, result);
        if (!result.direction.empty()) leg["direction"] = string(result.direction);
        if (!result.box.empty()) leg["box"] = string(result.box);
        if (!result.other_way.empty()) leg["other_way"] = string(result.other_way);
        if (result.no_state) leg["no_state"] = true;
        if (result.milliseconds) leg["milliseconds"] = *result.milliseconds;
        if (result.icmp) leg["icmp"] = icmp(*result.icmp);
        if (result.ledger) leg["ledger"] = ledger(*result.ledger);
        if (result.rule) leg["rule"] = rule_json(*result.rule);
        if (result.near_miss) leg["near_miss"] = near_miss(*result.near_miss);
        if (!result.explanation.empty()) leg["explanation"] = string(result.explanation);
        if (!result.evidence.empty()) leg["evidence"] = strings(result.evidence);
        array.push_back(std::move(leg));
    }
    return array;
}

json::object expected(const scenario::Expectation& expectation) {
    json::object object;
    if (expectation.verdict) object["verdict"] = string(text(*expectation.verdict));
    if (expectation.leg) object["leg"] = string(*expectation.leg);
    if (expectation.cause) object["cause"] = string(text(*expectation.cause));
    if (expectation.transport) object["transport"] = string(*expectation.transport);
    if (expectation.rule)
        object["rule"] = string(fmt::format("{}:{}", expectation.rule->file, expectation.rule->line));
    if (expectation.seen_as) object["seen_as"] = string(expectation.seen_as->text());
    if (expectation.loss) object["loss"] = *expectation.loss;
    if (expectation.setup_p95) object["setup_p95"] = expectation.setup_p95->count();
    return object;
}

json::object media(const Media& account) {
    json::object object{{"packets_sent", account.packets_sent},     {"packets_received", account.packets_received},
                        {"bytes_received", account.bytes_received}, {"loss", account.loss},
                        {"duplicates", account.duplicates},         {"damaged", account.damaged}};
    object["lost"] = account.lost;
    object["gaps"] = account.gaps;
    if (account.longest_gap) object["longest_gap"] = *account.longest_gap;
    if (account.jitter) object["jitter"] = *account.jitter;
    return object;
}

json::object effect_object(const Effect& effect) {
    json::object object{{"event", effect.incident},  {"impact", string(text(effect.impact))},
                        {"lost", effect.lost},       {"slipped", effect.slipped},
                        {"milliseconds", effect.interrupted}, {"complete", effect.complete},
                        {"as_expected", effect.as_expected},  {"words", string(effect_words(effect))}};
    if (!effect.leg.empty()) object["leg"] = string(effect.leg);
    if (!effect.transport.empty()) object["transport"] = string(effect.transport);
    return object;
}

json::object happening_object(const Happening& happening) {
    json::object object{{"at", happening.at}, {"kind", string(happening.kind)}, {"what", string(happening.what)}, {"milliseconds", happening.took}};
    if (!happening.problem.empty()) object["problem"] = string(happening.problem);
    if (!happening.expect.empty()) object["expect"] = string(happening.expect);
    return object;
}

json::object idle_object(const Idle& idle) {
    json::object object{
        {"seconds", idle.seconds}, {"played", idle.played}, {"divisor", idle.divisor}, {"outcome", string(text(idle.outcome))}, {"words", string(idle.words)}};
    if (!idle.leg.empty()) object["leg"] = string(idle.leg);
    if (!idle.time_out.empty()) object["time_out"] = json::object{{"name", string(idle.time_out)}, {"seconds", idle.time_out_seconds}};
    return object;
}

json::object flow_object(const FlowResult& result) {
    json::object flow{{"id", string(result.id)},
                      {"type", string(result.type)},
                      {"from", string(result.from)},
                      {"to", string(result.to)}};
    flow["verdict"] = string(text(result.verdict));
    flow["as_expected"] = result.as_expected;
    flow["expected"] = expected(result.expected);
    if (!result.unmet.empty()) flow["unmet"] = strings(result.unmet);
    // Keys of the contract are always there, null where nothing is known; further ones only where there is something.
    const auto or_null = [](const std::string& text) {
        return text.empty() ? json::value(nullptr) : json::value(string(text));
    };
    flow["leg"] = or_null(result.leg);
    flow["cause"] = result.cause ? json::value(string(text(*result.cause))) : json::value(nullptr);
    if (result.reason) flow["reason"] = string(text(*result.reason));
    flow["direction"] = or_null(result.direction);
    flow["transport"] = or_null(result.transport);
    if (!result.box.empty()) flow["box"] = string(result.box);
    if (result.icmp) flow["icmp"] = icmp(*result.icmp);
    flow["rule"] = result.rule ? json::value(rule_json(*result.rule)) : json::value(nullptr);
    flow["near_miss"] = result.near_miss ? json::value(near_miss(*result.near_miss)) : json::value(nullptr);
    json::object suggestion;
    for (const auto& entry : result.suggestions) {
        suggestion[view(entry.dialect)] = string(entry.rule);
        if (!entry.file.empty()) suggestion["file"] = string(entry.file);
        if (entry.line != 0) suggestion["before_line"] = entry.line;
    }
    if (!result.change.empty()) suggestion["change"] = string(result.change);
    if (result.suggestion_proven) suggestion["proven"] = *result.suggestion_proven;
    flow["suggestion"] = suggestion.empty() ? json::value(nullptr) : json::value(std::move(suggestion));
    flow["explanation"] = string(result.explanation);
    flow["legs"] = legs(result.legs);
    flow["media"] = result.media ? json::value(media(*result.media)) : json::value(nullptr);
    if (!result.attempts.empty()) {
        json::array attempts;
        for (const auto& entry : result.attempts) {
            json::object attempt{{"transport", string(entry.transport)}};
            verdict(attempt, entry);
            if (!entry.leg.empty()) attempt["leg"] = string(entry.leg);
            attempt["explanation"] = string(entry.explanation);
            attempt["legs"] = legs(entry.legs);
            attempts.push_back(std::move(attempt));
        }
        flow["attempts"] = std::move(attempts);
    }
    if (!result.retries.empty()) flow["retries"] = strings(result.retries);
    if (!result.notes.empty()) flow["notes"] = strings(result.notes);
    if (!result.because.empty()) flow["because"] = string(result.because);
    if (result.line != 0) flow["line"] = result.line;
    if (const auto& anyone = result.anyone) {
        json::object object{{"flow", string(anyone->flow)}, {"zone", string(anyone->zone)}, {"address", string(anyone->address)}};
        if (!anyone->stands_for.empty()) object["stands_for"] = string(anyone->stands_for);
        flow["anyone"] = std::move(object);
    }
    if (result.seconds) flow["seconds"] = *result.seconds;
    if (result.idle) flow["idle"] = idle_object(*result.idle);
    if (!result.load.empty()) flow["load"] = string(result.load);
    if (result.setup) flow["setup"] = *result.setup;
    if (!result.effects.empty()) {
        json::array effects;
        for (const auto& effect : result.effects) effects.push_back(effect_object(effect));
        flow["events"] = std::move(effects);
    }
    return flow;
}

}  // namespace

json::object opening_json(const Opened& opened) {
    json::array ports;
    for (const auto& range : opened.ports) ports.push_back(string(range.text()));
    json::object entry{{"family", string(opened.family)},
                       {"hook", string(opened.hook)},
                       {"from_zone", string(opened.from_zone)},
                       {"to_zone", string(opened.to_zone)},
                       {"from", strings(opened.from)},
                       {"to", strings(opened.to)},
                       {"addresses", json::object{{"from", strings(opened.from)}, {"to", strings(opened.to)}}},
                       {"protocol", string(opened.protocol)},
                       {"ports", std::move(ports)},
                       {"proven", opened.proven}};
    if (!opened.box.empty()) entry["box"] = string(opened.box);
    if (!opened.condition.empty()) entry["condition"] = string(opened.condition);
    if (!opened.leads_to.empty()) entry["leads_to"] = string(opened.leads_to);
    entry["rule"] = opened.rule ? json::value(rule_json(*opened.rule)) : json::value(nullptr);
    if (opened.translated_by) entry["translated_by"] = rule_json(*opened.translated_by);
    if (opened.other) entry["other_side"] = rule_json(*opened.other);
    if (!opened.flows.empty()) entry["flows"] = strings(opened.flows);
    if (!opened.accepted.empty()) entry["accepted"] = string(opened.accepted);
    return entry;
}

namespace {

json::object baseline(const Comparison& comparison) {
    json::object object{{"ruleset", string(comparison.ruleset)}};
    for (const auto change : changes_told)
        object[view(text(change))] = strings(of_change(comparison, change));
    json::array flows;
    for (const auto& flow : comparison.flows)
        flows.push_back(json::object{{"id", string(flow.id)},
                                     {"change", string(text(flow.change))},
                                     {"before", string(flow.before)},
                                     {"after", string(flow.after)},
                                     {"as_expected", flow.as_expected},
                                     {"differences", strings(flow.differences)}});
    for (std::size_t i = 0; i < comparison.flows.size(); ++i)
        if (!comparison.flows[i].note.empty()) flows[i].as_object()["note"] = string(comparison.flows[i].note);
    object["flows"] = std::move(flows);
    for (const auto* list : {&comparison.opened, &comparison.closed}) {
        json::array entries;
        for (const auto& one : *list) entries.push_back(opening_json(one));
        object[list == &comparison.opened ? "opened" : "closed"] = std::move(entries);
    }
    object["tried"] = strings(comparison.tried);
    object["not_tried"] = strings(comparison.not_tried);
    if (!comparison.notes.empty()) object["notes"] = strings(comparison.notes);
    object["seconds"] = comparison.seconds;
    if (const auto& live = comparison.live) {
        json::array noticed;
        for (const auto& flow : live->flows) {
            auto entry = effect_object(flow.effect);
            entry["id"] = string(flow.id);
            noticed.push_back(std::move(entry));
        }
        object["live"] = json::object{{"event", happening_object(live->happening)}, {"flows", std::move(noticed)}, {"notes", strings(live->notes)}};
    }
    return object;
}

json::array coverage(const std::vector<RuleUse>& uses) {
    json::array list;
    for (const auto& use : uses) {
        auto entry = rule_json(use.rule);
        entry["use"] = string(text(use.use()));
        entry["packets"] = use.packets;
        entry["flows"] = strings(use.flows);
        list.push_back(std::move(entry));
    }
    return list;
}

json::value percentiles(const std::optional<Percentiles>& all) {
    return all ? json::value(json::object{{"p50", all->p50}, {"p95", all->p95}, {"p99", all->p99}}) : json::value(nullptr);
}

json::object load_object(const LoadResult& load) {
    json::array seconds, rules;
    for (const auto& second : load.seconds)
        seconds.push_back(json::object{{"at", second.at},
                                       {"seconds", second.seconds},
                                       {"set_up", second.set_up},
                                       {"playing", second.playing},
                                       {"packets", second.packets},
                                       {"lost", second.lost},
                                       {"gaps", second.gaps},
                                       {"jitter", second.jitter}});
    for (const auto& drop : load.dropped) {
        auto rule = rule_json(drop.rule);
        rule["packets"] = drop.packets;
        rule["players"] = drop.players;
        rules.push_back(std::move(rule));
    }
    json::object machine{{"skipped", load.skipped}, {"unsent", load.unsent}, {"unread", load.unread}};
    if (load.busy) machine["busy"] = *load.busy;
    if (load.late) machine["late"] = *load.late;
    const auto number_or_null = [](const std::optional<double>& value) { return value ? json::value(*value) : json::value(nullptr); };
    json::array words;
    for (const auto& sentence : load_words(load)) words.push_back(string(sentence));
    return {{"load", string(load.load)},
            {"type", string(load.type)},
            {"from", string(load.from)},
            {"to", string(load.to)},
            {"players", load.players},
            {"set_up", load.set_up},
            {"worked", load.worked},
            {"ramp", load.ramp},
            {"duration", load.duration},
            {"setup", percentiles(load.setup)},
            {"setup_p95", number_or_null(load.setup_p95)},
            {"packets", load.packets},
            {"lost", load.lost},
            {"loss", load.loss},
            {"jitter", percentiles(load.jitter)},
            {"gaps", load.gaps},
            {"gaps_per_second", load.gaps_per_second},
            {"limit", load.limit == LoadResult::Limit::none ? json::value(nullptr) : json::value(string(text(load.limit)))},
            {"firewall", json::object{{"lost", load.withheld}, {"rules", std::move(rules)}}},
            {"machine", std::move(machine)},
            {"seconds", std::move(seconds)},
            {"words", std::move(words)}};
}

json::object hashed(const Hashed& file) { return {{"name", string(file.name)}, {"sha256", string(file.sha256)}}; }

}  // namespace

json::object identity_json(const Identity& of) {
    const auto or_null = [](const std::string& text) {
        return text.empty() ? json::value(nullptr) : json::value(string(text));
    };
    json::object object{{"when", string(of.when)},
                        {"wmlab", json::object{{"version", string(of.version)}, {"commit", or_null(of.commit)}}},
                        {"kernel", or_null(of.kernel)},
                        {"nft", or_null(of.nft)},
                        {"iptables", or_null(of.iptables)},
                        {"machine", or_null(of.machine)},
                        {"lab", or_null(of.lab)}};
    object["scenario"] = of.scenario ? json::value(hashed(*of.scenario)) : json::value(nullptr);
    json::array rulesets, contents;
    for (const auto& file : of.rulesets) rulesets.push_back(hashed(file));
    for (const auto& file : of.contents) contents.push_back(hashed(file));
    object["rulesets"] = std::move(rulesets);
    object["contents"] = std::move(contents);
    return object;
}

std::string render_json(const Report& report, const Style&) {
    const auto& sum = report.summary;
    json::object root{{"schema", "wmlab.report/1"}, {"scenario", string(report.scenario)}};
    if (!report.file.empty()) root["file"] = string(report.file);
    if (!report.identity.when.empty()) root["identity"] = identity_json(report.identity);
    root["ruleset"] = report.ruleset.empty() ? json::value(nullptr) : json::value(string(report.ruleset));
    root["summary"] = json::object{{"flows", sum.flows},
                                   {"as_expected", sum.as_expected},
                                   {"unexpected", sum.unexpected},
                                   {"inconclusive", sum.inconclusive},
                                   {"seconds", sum.seconds}};
    json::array flows;
    for (const auto& flow : report.flows) flows.push_back(flow_object(flow));
    root["flows"] = std::move(flows);
    if (const auto results = anyone_results(report); !results.empty()) {
        json::array all;
        for (const auto& result : results) {
            json::array parts;
            for (const auto& part : result.parts)
                parts.push_back(json::object{{"outcome", string(part.outcome)},
                                             {"as_expected", part.as_expected},
                                             {"tried", strings(part.tried)},
                                             {"stand_for", strings(part.stand_for)}});
            all.push_back(json::object{{"flow", string(result.flow)},
                                       {"zone", string(result.zone)},
                                       {"to", string(result.to)},
                                       {"as_expected", result.as_expected()},
                                       {"parts", std::move(parts)}});
        }
        root["anyone"] = std::move(all);
    }
    if (!report.loads.empty()) {
        json::array loads;
        for (const auto& load : report.loads) loads.push_back(load_object(load));
        root["loads"] = std::move(loads);
    }
    if (!report.notes.empty()) root["notes"] = strings(report.notes);
    if (!report.incidents.empty()) {
        json::array events;
        for (const auto& incident : report.incidents) events.push_back(happening_object(incident));
        root["events"] = std::move(events);
    }
    if (report.baseline) root["baseline"] = baseline(*report.baseline);
    if (report.patch)
        root["patch"] =
            json::object{{"diff", string(report.patch->diff)},    {"directory", string(report.patch->directory)},
                         {"rules", report.patch->rules},          {"proven", report.patch->proven},
                         {"flows", strings(report.patch->flows)}, {"notes", strings(report.patch->notes)}};
    if (report.coverage) root["coverage"] = coverage(*report.coverage);
    std::string out;
    pretty(out, root, 0);
    return inert_json(out) + "\n";
}

}  // namespace wmlab::lab
