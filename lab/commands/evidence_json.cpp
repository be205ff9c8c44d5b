#include "lab/commands/evidence_json.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <utility>

#include "lab/report/json_parts.hpp"
#include "lab/report/json_string.hpp"
#include "lab/rules/json_fields.hpp"

namespace wmlab::lab::commands {
namespace {

namespace json = boost::json;
using rules::number_at;
using rules::object_at;
using rules::text_at;

double fraction_at(const json::object& object, std::string_view key) {
    const auto* const number = object.if_contains(view(key));
    boost::system::error_code none;
    return number == nullptr ? 0 : number->to_number<double>(none);
}

// Calls `each` with every object of a list.
template <class Each>
void each_object(const json::object& object, std::string_view key, const Each& each) {
    const auto* const list = object.if_contains(view(key));
    if (list == nullptr || !list->is_array()) return;
    for (const auto& entry : list->get_array())
        if (entry.is_object()) each(entry.get_object());
}

std::optional<RuleRef> rule_at(const json::object& object, std::string_view key) {
    const auto* const of = object_at(object, key);
    if (of == nullptr) return std::nullopt;
    RuleRef rule{text_at(*of, "file"), static_cast<unsigned>(number_at(*of, "line")), text_at(*of, "text"), text_at(*of, "chain")};
    rule.via = text_at(*of, "via");
    rule.box = text_at(*of, "box");
    return rule;
}

json::array ranges_json(const scenario::PortList& ranges) {
    json::array list;
    for (const auto& range : ranges) list.push_back(json::array{range.first, range.last});
    return list;
}

scenario::PortList ranges_from(const json::value& value) {
    scenario::PortList ranges;
    if (!value.is_array()) return ranges;
    for (const auto& entry : value.get_array()) {
        if (!entry.is_array() || entry.get_array().size() != 2) continue;
        boost::system::error_code wrong;
        const auto first = entry.get_array()[0].to_number<std::uint16_t>(wrong);
        const auto last = wrong ? first : entry.get_array()[1].to_number<std::uint16_t>(wrong);
        if (!wrong && first <= last) ranges.push_back({first, last});
    }
    return ranges;
}

json::array openings_json(const std::vector<Opened>& openings) {
    json::array list;
    for (const auto& opened : openings) {
        auto entry = opening_json(opened);
        entry["ranges"] = ranges_json(opened.ports);  // also those that name no port: types of ICMP, protocols
        list.push_back(std::move(entry));
    }
    return list;
}

std::vector<Opened> openings_at(const json::object& object, std::string_view key) {
    std::vector<Opened> all;
    each_object(object, key, [&](const json::object& of) {
        Opened opened;
        opened.family = text_at(of, "family"), opened.hook = text_at(of, "hook");
        opened.box = text_at(of, "box"), opened.from_zone = text_at(of, "from_zone"), opened.to_zone = text_at(of, "to_zone");
        opened.from = strings_at(of, "from"), opened.to = strings_at(of, "to");
        opened.protocol = text_at(of, "protocol");
        if (const auto* const ranges = of.if_contains("ranges")) opened.ports = ranges_from(*ranges);
        opened.condition = text_at(of, "condition"), opened.leads_to = text_at(of, "leads_to");
        opened.rule = rule_at(of, "rule"), opened.translated_by = rule_at(of, "translated_by"), opened.other = rule_at(of, "other_side");
        opened.flows = strings_at(of, "flows");
        opened.proven = true_at(of, "proven");
        opened.accepted = text_at(of, "accepted");
        all.push_back(std::move(opened));
    });
    return all;
}

constexpr std::array circumstances{std::pair{rules::Circumstance::earlier, std::string_view{"earlier"}},
                                   std::pair{rules::Circumstance::rate, std::string_view{"rate"}},
                                   std::pair{rules::Circumstance::amount, std::string_view{"amount"}},
                                   std::pair{rules::Circumstance::time, std::string_view{"time"}},
                                   std::pair{rules::Circumstance::chance, std::string_view{"chance"}}};

json::object conditional_json(const rules::Conditional& rule) {
    const auto* const kind = std::ranges::find(circumstances, rule.circumstance, [](const auto& pair) { return pair.first; });
    return {{"looks_at", string(kind->second)}, {"by", string(rule.by)},       {"file", string(rule.file)},
            {"line", rule.line},                {"text", string(rule.text)}, {"chain", string(rule.chain)}};
}

rules::Conditional conditional_from(const json::object& object) {
    rules::Conditional rule;
    const auto said = text_at(object, "looks_at");
    const auto* const kind = std::ranges::find(circumstances, std::string_view{said}, [](const auto& pair) { return pair.second; });
    if (kind != circumstances.end()) rule.circumstance = kind->first;
    rule.by = text_at(object, "by"), rule.file = text_at(object, "file"), rule.text = text_at(object, "text"), rule.chain = text_at(object, "chain");
    rule.line = static_cast<unsigned>(number_at(object, "line"));
    return rule;
}

// Of every entry of a list that has a line in the scenario file.
template <class List>
json::array lines_json(const List& list) {
    json::array lines;
    for (const auto& entry : list) lines.push_back(entry.line);
    return lines;
}

template <class List>
void put_lines(List& list, const json::object& places, std::string_view key) {
    const auto* const lines = places.if_contains(view(key));
    if (lines == nullptr || !lines->is_array() || lines->get_array().size() != list.size()) return;
    boost::system::error_code none;
    for (std::size_t i = 0; i < list.size(); ++i) list[i].line = lines->get_array()[i].to_number<unsigned>(none);
}

}  // namespace

json::array strings_json(const std::vector<std::string>& list) {
    json::array array;
    for (const auto& entry : list) array.push_back(string(entry));
    return array;
}

std::vector<std::string> strings_at(const json::object& object, std::string_view key) {
    std::vector<std::string> list;
    const auto* const value = object.if_contains(view(key));
    if (value == nullptr || !value->is_array()) return list;
    for (const auto& entry : value->get_array())
        if (entry.is_string()) list.emplace_back(entry.get_string().c_str(), entry.get_string().size());
    return list;
}

bool true_at(const json::object& object, std::string_view key) {
    const auto* const value = object.if_contains(view(key));
    return value != nullptr && value->is_bool() && value->get_bool();
}

json::object trial_json(const TrialEvidence& evidence) {
    json::object object{{"ruleset", string(evidence.ruleset)},
                        {"flows", strings_json(evidence.flows)},
                        {"built_in", evidence.built_in},
                        {"coverage", evidence.coverage},
                        {"seconds", evidence.seconds},
                        {"problems", strings_json(evidence.problems)},
                        {"notes", strings_json(evidence.notes)},
                        {"capture_problems", strings_json(evidence.capture_problems)},
                        {"read_at", evidence.read_at.time_since_epoch().count()}};
    json::array conditionals;
    for (const auto& rule : evidence.conditionals) conditionals.push_back(conditional_json(rule));
    object["conditionals"] = std::move(conditionals);
    if (evidence.control) object["control"] = json::object{{"problems", strings_json(evidence.control->problems)}};
    json::object alone, logs;
    for (const auto& [flow, run] : evidence.alone) alone[string(flow)] = json::object{{"problems", strings_json(run.problems)}};
    object["alone"] = std::move(alone);
    for (const auto& [box, log] : evidence.device_logs) logs[string(box)] = string(log.name);
    object["device_logs"] = std::move(logs);
    return object;
}

TrialEvidence trial_from(const json::object& object) {
    TrialEvidence evidence;
    evidence.ruleset = text_at(object, "ruleset");
    evidence.flows = strings_at(object, "flows");
    evidence.built_in = true_at(object, "built_in");
    evidence.coverage = true_at(object, "coverage");
    evidence.seconds = fraction_at(object, "seconds");
    evidence.problems = strings_at(object, "problems");
    evidence.notes = strings_at(object, "notes");
    evidence.capture_problems = strings_at(object, "capture_problems");
    evidence.read_at = decltype(evidence.read_at){std::chrono::nanoseconds{number_at(object, "read_at")}};
    each_object(object, "conditionals", [&](const json::object& rule) { evidence.conditionals.push_back(conditional_from(rule)); });
    if (const auto* const control = object_at(object, "control")) evidence.control.emplace().problems = strings_at(*control, "problems");
    if (const auto* const alone = object_at(object, "alone"))
        for (const auto& [flow, run] : *alone)
            if (run.is_object()) evidence.alone[std::string{flow.data(), flow.size()}].problems = strings_at(run.get_object(), "problems");
    if (const auto* const logs = object_at(object, "device_logs"))
        for (const auto& [box, _] : *logs) {
            const std::string name{box.data(), box.size()};
            evidence.device_logs[name].name = text_at(*logs, name);
        }
    return evidence;
}

json::object swept_json(const SweptChange& swept) {
    const auto& found = swept.found;
    return {{"opened", openings_json(found.opened)},
            {"closed", openings_json(found.closed)},
            {"tried", strings_json(found.tried)},
            {"not_tried", strings_json(found.not_tried)},
            {"notes", strings_json(found.notes)},
            {"seconds", found.seconds},
            {"day", string(swept.day)},
            {"allow_open", swept.allow_open}};
}

SweptChange swept_from(const json::object& object) {
    SweptChange swept;
    auto& found = swept.found;
    found.opened = openings_at(object, "opened"), found.closed = openings_at(object, "closed");
    found.tried = strings_at(object, "tried"), found.not_tried = strings_at(object, "not_tried"), found.notes = strings_at(object, "notes");
    found.seconds = fraction_at(object, "seconds");
    swept.day = text_at(object, "day");
    swept.allow_open = true_at(object, "allow_open");
    return swept;
}

json::object live_json(const LiveRun& live) {
    return {{"ruleset", string(live.ruleset.string())}, {"flows", strings_json(live.flows)}, {"problems", strings_json(live.run.problems)}};
}

LiveRun live_from(const json::object& object) {
    LiveRun live;
    live.ruleset = text_at(object, "ruleset");
    live.flows = strings_at(object, "flows");
    live.run.problems = strings_at(object, "problems");
    return live;
}

json::object proof_json(const Proof& proof) {
    json::object object, flows;
    if (const auto& patch = proof.patch)
        object["patch"] = json::object{{"diff", string(patch->diff)}, {"directory", string(patch->directory)}, {"rules", patch->rules},
                                       {"proven", patch->proven},     {"flows", strings_json(patch->flows)}, {"notes", strings_json(patch->notes)}};
    for (const auto& [flow, passes] : proof.flows) flows[string(flow)] = passes;
    object["flows"] = std::move(flows);
    return object;
}

Proof proof_from(const json::object& object) {
    Proof proof;
    if (const auto* const of = object_at(object, "patch")) {
        auto& patch = proof.patch.emplace();
        patch.diff = text_at(*of, "diff"), patch.directory = text_at(*of, "directory");
        patch.rules = static_cast<unsigned>(number_at(*of, "rules"));
        patch.proven = true_at(*of, "proven");
        patch.flows = strings_at(*of, "flows"), patch.notes = strings_at(*of, "notes");
    }
    if (const auto* const flows = object_at(object, "flows"))
        for (const auto& [flow, passes] : *flows)
            if (passes.is_bool()) proof.flows[std::string{flow.data(), flow.size()}] = passes.get_bool();
    return proof;
}

Identity identity_from(const json::object& object) {
    Identity identity;
    identity.when = text_at(object, "when");
    if (const auto* const self = object_at(object, "wmlab")) {
        identity.version = text_at(*self, "version");
        identity.commit = text_at(*self, "commit");
    }
    identity.kernel = text_at(object, "kernel");
    identity.nft = text_at(object, "nft");
    identity.iptables = text_at(object, "iptables");
    identity.machine = text_at(object, "machine");
    identity.lab = text_at(object, "lab");
    const auto hashed = [](const json::object& entry) { return Hashed{text_at(entry, "name"), text_at(entry, "sha256")}; };
    if (const auto* const scenario = object_at(object, "scenario")) identity.scenario = hashed(*scenario);
    each_object(object, "rulesets", [&](const json::object& entry) { identity.rulesets.push_back(hashed(entry)); });
    each_object(object, "contents", [&](const json::object& entry) { identity.contents.push_back(hashed(entry)); });
    return identity;
}

json::object places_json(const scenario::Scenario& scenario) {
    json::array ports;
    for (const auto& flow : scenario.flows) ports.push_back(ranges_json(flow.reserved_ports));
    return {{"flows", lines_json(scenario.flows)},       {"events", lines_json(scenario.events)},
            {"accepted", lines_json(scenario.accepted)}, {"allow_open", lines_json(scenario.allow_open)},
            {"reserved_ports", std::move(ports)}};
}

void put_places(scenario::Scenario& scenario, const json::object& places) {
    put_lines(scenario.flows, places, "flows");
    put_lines(scenario.events, places, "events");
    put_lines(scenario.accepted, places, "accepted");
    put_lines(scenario.allow_open, places, "allow_open");
    const auto* const ports = places.if_contains("reserved_ports");
    if (ports == nullptr || !ports->is_array() || ports->get_array().size() != scenario.flows.size()) return;
    for (std::size_t i = 0; i < scenario.flows.size(); ++i) scenario.flows[i].reserved_ports = ranges_from(ports->get_array()[i]);
}

}  // namespace wmlab::lab::commands
