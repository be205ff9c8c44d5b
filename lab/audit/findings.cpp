#include "lab/audit/findings.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>

#include "lab/audit/formats.hpp"
#include "lab/audit/opened.hpp"
#include "lab/verdict/exit_code.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab {
namespace json = boost::json;
namespace {

using scenario::PortRange;

bool same(const std::optional<RuleRef>& a, const std::optional<RuleRef>& b) {
    if (a.has_value() != b.has_value()) return false;
    return !a || (a->file == b->file && a->line == b->line && a->text == b->text && a->chain == b->chain);
}

// Which of the flows need a port of those needed between two hosts.
std::vector<std::vector<std::string>> flows_by_port(const rules::Need& need) {
    std::vector<std::vector<std::string>> flows(port_count);
    for (std::size_t i = 0; i < need.flows.size(); ++i)
        for (const auto& range : i < need.ports_of_flows.size() ? need.ports_of_flows[i] : need.ports)
            for (unsigned port = range.first; port <= range.last; ++port)
                if (flows[port].empty() || flows[port].back() != need.flows[i]) flows[port].push_back(need.flows[i]);
    return flows;
}

json::object rule_json(const RuleRef& rule) {
    return {{"file", rule.file}, {"line", rule.line}, {"text", rule.text}, {"chain", rule.chain}};
}

json::object opened_json(const Opened& opened) {
    json::array ports;
    for (const auto& range : opened.ports) ports.push_back(json::string{range.text()});
    json::object entry{{"family", opened.family},
                       {"hook", opened.hook},
                       {"from_zone", opened.from_zone},
                       {"to_zone", opened.to_zone},
                       {"from", json::array(opened.from.begin(), opened.from.end())},
                       {"to", json::array(opened.to.begin(), opened.to.end())},
                       {"protocol", opened.protocol},
                       {"ports", std::move(ports)},
                       {"needed", !opened.flows.empty()}};
    if (!opened.box.empty()) entry["box"] = opened.box;
    if (!opened.condition.empty()) entry["condition"] = opened.condition;
    if (!opened.leads_to.empty()) entry["leads_to"] = opened.leads_to;
    if (opened.rule) entry["rule"] = rule_json(*opened.rule);
    if (opened.translated_by) entry["translated_by"] = rule_json(*opened.translated_by);
    if (!opened.accepted.empty()) entry["accepted"] = opened.accepted;
    return entry;
}

std::string proven_words(const Conditional& conditional) {
    if (!conditional.proven) return "no packet can be made to meet it: not tried";
    return *conditional.proven ? "proven: a packet made to meet it came through" : "tried: no packet made to meet it came through";
}

// What is not known, in words; empty: nothing.
std::string left_words(const AuditReport& report) {
    std::vector<std::string> left;
    if (const auto ports = report.not_tested(); ports > 0) left.push_back(fmt::format("{} ports", ports));
    left.insert(left.end(), report.not_tried.begin(), report.not_tried.end());
    for (const auto& conditional : report.conditional)
        if (!conditional.proven && conditional.accepted.empty())
            left.push_back(fmt::format("what {} lets through ({})", conditional.rule.line ? fmt::format("{}:{}", conditional.rule.file, conditional.rule.line) : conditional.rule.text, conditional.condition));
    return fmt::format("{}", fmt::join(left, "; "));
}

std::string place_of(const RuleRef& rule) {
    return rule.line ? fmt::format("{}:{}: {}", rule.file, rule.line, rule.text) : rule.chain + ": " + rule.text;
}

}  // namespace

PairAudit find_openings(std::string from, std::string to, scenario::Protocol protocol,
                        const std::vector<PortState>& ports, const std::vector<rules::Need>& needs,
                        const std::vector<std::optional<RuleRef>>& rule_of, const std::vector<rules::Need>& perhaps,
                        const std::function<bool(unsigned port)>& reached) {
    PairAudit audit;
    audit.from = std::move(from), audit.to = std::move(to), audit.protocol = protocol;
    std::vector<std::vector<std::string>> flows_of(port_count);
    for (const auto* list : {&perhaps, &needs})
        for (const auto& need : *list) {
            if (need.source != audit.from || need.destination != audit.to || need.protocol != protocol) continue;
            if (need.multicast && list == &needs) continue;
            const auto theirs = flows_by_port(need);
            for (const auto& range : need.ports)
                for (unsigned port = range.first; port <= range.last; ++port) flows_of[port] = theirs[port];
            if (list == &perhaps) continue;
            std::vector<PortRange> closed;
            for (const auto& range : need.ports)
                for (unsigned port = range.first; port <= range.last; ++port) {
                    if (ports[port] != PortState::closed || (reached && reached(port))) continue;
                    const auto number = static_cast<std::uint16_t>(port);
                    if (!closed.empty() && closed.back().last + 1u == port &&
                        theirs[closed.back().last] == theirs[port])
                        closed.back().last = number;
                    else
                        closed.push_back({number, number});
                }
            for (const auto& range : closed)
                audit.shut.push_back(fmt::format("{} ({})", range.text(), fmt::join(theirs[range.first], ", ")));
        }
    for (unsigned port = 1; port < port_count; ++port) {
        const auto number = static_cast<std::uint16_t>(port);
        if (ports[port] == PortState::not_tested) {
            if (!audit.not_tested.empty() && audit.not_tested.back().last + 1u == port)
                audit.not_tested.back().last = number;
            else
                audit.not_tested.push_back({number, number});
        }
        if (ports[port] != PortState::open) continue;
        const auto rule = port < rule_of.size() ? rule_of[port] : std::nullopt;
        if (!audit.openings.empty()) {
            auto& last = audit.openings.back();
            if (last.ports.last + 1u == port && last.flows == flows_of[port] && same(last.rule, rule)) {
                last.ports.last = number;
                continue;
            }
        }
        audit.openings.push_back({{number, number}, flows_of[port], rule});
    }
    return audit;
}

unsigned AuditReport::unneeded() const {
    unsigned count = 0;
    for (const auto& pair : pairs)
        count += static_cast<unsigned>(
            std::ranges::count_if(pair.openings, [](const Opening& o) { return o.flows.empty() && o.accepted.empty(); }));
    return count + static_cast<unsigned>(std::ranges::count_if(opened, &Opened::counts));
}

unsigned AuditReport::not_tested() const {
    unsigned count = 0;
    for (const auto& pair : pairs)
        for (const auto& range : pair.not_tested) count += range.size();
    return count;
}

std::string audit_text(const AuditReport& report, bool colour, bool quiet) {
    const auto bad = [&](std::string text) { return colour ? "\x1b[31m" + text + "\x1b[0m" : text; };
    std::string out = fmt::format("{}\nruleset: {}\n\n", report.scenario,
                                  report.ruleset.empty() ? "none (forwards everything)" : report.ruleset);
    bool anything = false;
    for (const auto& pair : report.pairs) {
        const bool nothing = std::ranges::none_of(pair.openings, [](const Opening& o) { return o.flows.empty() && o.accepted.empty(); }) &&
                             pair.shut.empty() && pair.not_tested.empty();
        if (nothing) continue;
        anything = true;
        out += fmt::format("{} ({}) -> {} ({}), {}\n", pair.from, pair.from_zone, pair.to, pair.to_zone,
                           scenario::text(pair.protocol));
        for (const auto& opening : pair.openings) {
            if (!opening.flows.empty() || !opening.accepted.empty()) continue;
            out += fmt::format("  {}   {:<12}{}\n", bad("open, no flow needs it"), opening.ports.text(),
                               opening.rule             ? "let through by " + place_of(*opening.rule)
                               : report.ruleset.empty() ? ""
                                                        : "by which rule could not be traced");
        }
        for (const auto& shut : pair.shut) out += fmt::format("  needed, but shut         {}\n", shut);
        for (const auto& range : pair.not_tested) out += fmt::format("  not tested               {}\n", range.text());
        if (!pair.not_tested.empty())
            for (const auto& doubt : pair.doubts) out += fmt::format("    {}\n", doubt);
    }
    for (const auto& opened : report.opened) {
        if (!opened.counts()) continue;
        anything = true;
        out += fmt::format("{}\n  {}   {}\n", where_words(opened), bad("open, no flow needs it"), what_words(opened));
        if (opened.rule) out += fmt::format("    let through by {}\n", place_of(*opened.rule));
        if (opened.translated_by) out += fmt::format("    translated by {}\n", place_of(*opened.translated_by));
    }
    for (const auto& conditional : report.conditional) {
        if (!conditional.accepted.empty()) continue;
        anything = anything || !conditional.proven;
        out += fmt::format("conditional: {}\n  condition: {}\n  could open: {}\n  {}\n", place_of(conditional.rule), conditional.condition,
                           conditional.could_open, proven_words(conditional));
    }
    for (const auto& rule : by_rule(report)) {
        const auto count = rule.openings.size();
        if (count > 1)
            out += fmt::format("the rule {} opens {} ways that no flow needs\n", rule.rule ? place_of(*rule.rule) : std::string{"(untraced)"}, count);
        if (!quiet)
            for (const auto& accepted : rule.accepted) out += accepted + "\n";
    }
    if (!anything) out += "Nothing is open that no flow needs, and nothing that is needed is shut.\n";
    unsigned open_ranges = 0;
    for (const auto& pair : report.pairs) open_ranges += static_cast<unsigned>(pair.openings.size());
    out += fmt::format(
        "\n{} pairs of hosts and protocols, all 65535 ports each: {} open ranges, {} that no flow needs, {} ports not tested, {:.1f} s\n",
        report.pairs.size(), open_ranges, report.unneeded(), report.not_tested(), report.seconds);
    for (const auto& [from, to, seconds] : report.directions)
        out += fmt::format("  {} -> {}: {:.1f} s\n", from, to, seconds);
    if (!report.tried.empty()) out += fmt::format("  further packets: {:.1f} s\n", report.explored_seconds);
    if (!quiet)
        for (const auto& note : report.notes) out += "note: " + note + "\n";
    if (!report.tried.empty()) out += fmt::format("tried: all TCP and UDP ports; {}\n", fmt::join(report.tried, "; "));
    const auto left = left_words(report);
    out += left.empty() ? "not tried: nothing that a rule asks for\n" : fmt::format("not tried: {}\n", left);
    return out;
}

std::string audit_json(const AuditReport& report) {
    json::object root{{"schema", "wmlab.audit/1"}, {"scenario", report.scenario}, {"ruleset", report.ruleset}};
    root["summary"] = json::object{{"pairs", report.pairs.size()},
                                   {"unneeded", report.unneeded()},
                                   {"not_tested", report.not_tested()},
                                   {"seconds", report.seconds}};
    json::array pairs;
    for (const auto& pair : report.pairs) {
        json::object entry{{"from", pair.from},
                           {"from_zone", pair.from_zone},
                           {"to", pair.to},
                           {"to_zone", pair.to_zone},
                           {"protocol", scenario::text(pair.protocol)},
                           {"rounds", pair.rounds},
                           {"seconds", pair.seconds}};
        json::array openings, untested, shut;
        for (const auto& opening : pair.openings) {
            json::object row{{"ports", opening.ports.text()}, {"needed", !opening.flows.empty()}};
            if (!opening.flows.empty()) row["flows"] = json::array(opening.flows.begin(), opening.flows.end());
            if (opening.rule) row["rule"] = rule_json(*opening.rule);
            if (!opening.accepted.empty()) row["accepted"] = opening.accepted;
            openings.push_back(std::move(row));
        }
        for (const auto& range : pair.not_tested) untested.push_back(json::string{range.text()});
        for (const auto& row : pair.shut) shut.push_back(json::string{row});
        entry["open"] = std::move(openings);
        entry["not_tested"] = std::move(untested);
        if (!pair.doubts.empty()) entry["doubts"] = json::array(pair.doubts.begin(), pair.doubts.end());
        if (!pair.probed_as.empty()) entry["probed_as"] = pair.probed_as;
        entry["needed_but_shut"] = std::move(shut);
        pairs.push_back(std::move(entry));
    }
    root["pairs"] = std::move(pairs);
    json::array directions;
    for (const auto& [from, to, seconds] : report.directions)
        directions.push_back(json::object{{"from", from}, {"to", to}, {"seconds", seconds}});
    root["directions"] = std::move(directions);
    json::array opened, conditional;
    for (const auto& one : report.opened) opened.push_back(opened_json(one));
    for (const auto& one : report.conditional) {
        json::object entry{{"rule", rule_json(one.rule)}, {"condition", one.condition}, {"could_open", one.could_open}};
        entry["proven"] = one.proven ? json::value(*one.proven) : json::value(nullptr);
        if (!one.accepted.empty()) entry["accepted"] = one.accepted;
        conditional.push_back(std::move(entry));
    }
    root["opened"] = std::move(opened);
    root["conditional"] = std::move(conditional);
    json::array tried{"all TCP and UDP ports between hosts of each two zones"}, not_tried(report.not_tried.begin(), report.not_tried.end());
    for (const auto& one : report.tried) tried.push_back(json::string{one});
    if (const auto ports = report.not_tested(); ports > 0) not_tried.push_back(json::string{fmt::format("{} ports", ports)});
    for (const auto& one : report.conditional)
        if (!one.proven && one.accepted.empty())
            not_tried.push_back(json::string{fmt::format("what {}:{} lets through ({})", one.rule.file, one.rule.line, one.condition)});
    root["tried"] = std::move(tried);
    root["not_tried"] = std::move(not_tried);
    root["notes"] = json::array(report.notes.begin(), report.notes.end());
    return json::serialize(root) + "\n";
}

bool AuditReport::doubtful() const {
    return not_tested() > 0 || !not_tried.empty() || std::ranges::any_of(conditional, [](const Conditional& c) { return !c.proven && c.accepted.empty(); });
}

int exit_code(const AuditReport& report) {
    if (report.unneeded() > 0) return ends::not_as_expected;
    return report.doubtful() ? ends::undecided : ends::as_expected;
}

}  // namespace wmlab::lab
