#include "lab/report/clean.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>

#include "lab/verdict/picture.hpp"

namespace wmlab::lab {
namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd";

struct Character {
    char32_t value = 0;
    std::size_t size = 1;
    bool valid = true;
};

// The character at `at`; overlong forms, surrogates and what is cut off are invalid, one byte at a time.
Character character_at(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const auto first = byte(0);
    if (first < 0x80) return {first, 1, true};
    const std::size_t size = first >= 0xf0 && first <= 0xf4  ? 4
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xc2 && first < 0xe0 ? 2
                                                             : 0;
    if (size == 0 || at + size > text.size()) return {0, 1, false};
    char32_t value = first & (0xffu >> (size + 1));
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return {0, 1, false};
        value = value << 6 | (byte(i) & 0x3fu);
    }
    const bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
    if (overlong || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {0, 1, false};
    return {value, size, true};
}

// XML has no place for the last two, and a terminal none for the others.
bool unprintable(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
           (c >= 0xe0000 && c < 0xe0080) || (c & 0xfffe) == 0xfffe;
}

std::string written_out(char32_t c) {
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\t') return "\\t";
    if (c < 0x100) return fmt::format("\\x{:02x}", static_cast<unsigned>(c));
    return c < 0x10000 ? fmt::format("\\u{:04x}", static_cast<unsigned>(c))
                       : fmt::format("\\U{:08x}", static_cast<unsigned>(c));
}

// "##[error]", "##vso[task.setvariable]", "##teamcity[...]" begin a command wherever they stand in a line.
bool begins_command(std::string_view text, std::size_t at) {
    if (!text.substr(at).starts_with("##")) return false;
    at += 2;
    while (at < text.size() && std::isalpha(static_cast<unsigned char>(text[at]))) ++at;
    return at < text.size() && text[at] == '[';
}

// "::error::", "::add-mask::x": a workflow command where a line begins with it. An address of IPv6 is none.
bool begins_workflow_command(std::string_view text, std::size_t at) {
    const auto line = text.substr(at, std::min(text.find('\n', at), text.size()) - at);
    return line.starts_with("::") && line.size() > 2 && std::isalpha(static_cast<unsigned char>(line[2])) != 0 &&
           line.find("::", 3) != std::string_view::npos;
}

void one(std::string& text) { text = clean(text); }
void many(std::string& text) { text = clean(text, Lines::many); }

std::string with_tabs_kept(std::string_view line) {  // of a file's text: they indent it
    std::string out;
    for (std::size_t at = 0;;) {
        const auto end = line.find('\t', at);
        out += clean(line.substr(at, end - at));
        if (end == std::string_view::npos) return out;
        out += "    ";
        at = end + 1;
    }
}

void rule(RuleRef& rule) {
    one(rule.file);
    one(rule.text);
    one(rule.chain);
    one(rule.via);
    one(rule.box);
}

void icmp(std::optional<Icmp>& icmp) {
    if (!icmp) return;
    one(icmp->from);
    one(icmp->name);
}

void decided(std::optional<RuleRef>& decided, std::optional<NearMiss>& near) {
    if (decided) rule(*decided);
    if (!near) return;
    rule(near->rule);
    one(near->differs);
}

void openings(Opened& opened) {
    for (auto* text : {&opened.family, &opened.hook, &opened.box, &opened.from_zone, &opened.to_zone, &opened.protocol, &opened.condition, &opened.leads_to,
                       &opened.accepted})
        one(*text);
    for (auto* list : {&opened.from, &opened.to, &opened.flows})
        for (auto& text : *list) one(text);
    for (auto* by : {&opened.rule, &opened.translated_by, &opened.other})
        if (*by) rule(**by);
}

void effect(Effect& effect) {
    for (auto* text : {&effect.leg, &effect.transport}) one(*text);
}

void happening(Happening& happening) {
    for (auto* text : {&happening.kind, &happening.what, &happening.problem, &happening.expect}) one(*text);
}

void legs(std::vector<LegResult>& legs) {
    for (auto& leg : legs) {
        for (auto* text : {&leg.name, &leg.protocol, &leg.source, &leg.destination, &leg.source_seen,
                           &leg.destination_seen, &leg.direction})
            one(*text);
        icmp(leg.icmp);
        decided(leg.rule, leg.near_miss);
        many(leg.explanation);
        for (auto& sentence : leg.evidence) many(sentence);
    }
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto c = character_at(text, at);
        out += c.valid ? text.substr(at, c.size) : replacement;
        at += c.size;
    }
    return out;
}

std::string inert_json(std::string_view json) {
    std::string out;
    for (std::size_t at = 0; at < json.size();) {
        const auto c = character_at(json, at);
        if (c.valid && c.value == '#' && begins_command(json, at))
            out += "\\u0023";
        else if (c.valid && c.value != '\n' && unprintable(c.value) && c.value < 0x10000)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c.value));
        else
            out += json.substr(at, c.size);
        at += c.size;
    }
    return out;
}

std::string clean(std::string_view text, Lines lines) {
    std::string out;
    bool line_begins = true;
    for (std::size_t at = 0; at < text.size();) {
        const auto c = character_at(text, at);
        if (line_begins && begins_workflow_command(text, at)) out += '\\';
        line_begins = c.valid && (c.value == '\n' || (line_begins && c.value == ' '));
        if (!c.valid) {
            out += replacement;
        } else if (unprintable(c.value) && !(c.value == '\n' && lines == Lines::many)) {
            out += written_out(c.value);
        } else if (begins_command(text, at)) {
            out += "#\\";
        } else {
            out += text.substr(at, c.size);
        }
        at += c.size;
    }
    return out;
}

namespace {

void clean_flow(FlowResult& flow) {
    for (auto& each : flow.effects) effect(each);
    for (auto* text : {&flow.id, &flow.type, &flow.from, &flow.to, &flow.leg, &flow.direction, &flow.transport}) one(*text);
    if (flow.anyone)
        for (auto* text : {&flow.anyone->flow, &flow.anyone->zone, &flow.anyone->address, &flow.anyone->stands_for}) one(*text);
    if (flow.expected.rule) one(flow.expected.rule->file);
    if (flow.expected.leg) one(*flow.expected.leg);
    if (flow.expected.transport) one(*flow.expected.transport);
    icmp(flow.icmp);
    decided(flow.rule, flow.near_miss);
    for (auto& suggestion : flow.suggestions) {
        const bool table = suggestion.command == "section";  // of several lines, by us
        for (auto* text : {&suggestion.rule, &suggestion.bare}) *text = clean(*text, table ? Lines::many : Lines::one);
        for (auto* text : {&suggestion.dialect, &suggestion.file, &suggestion.chain, &suggestion.command}) one(*text);
    }
    many(flow.change);
    many(flow.explanation);
    for (auto& sentence : flow.unmet) many(sentence);
    legs(flow.legs);
    for (auto& attempt : flow.attempts) {
        one(attempt.transport);
        one(attempt.leg);
        many(attempt.explanation);
        legs(attempt.legs);
    }
    for (auto& retry : flow.retries) many(retry);
    for (auto& note : flow.notes) many(note);
}

std::shared_ptr<const Picture> clean_picture(const std::shared_ptr<const Picture>& given) {
    auto picture = std::make_shared<Picture>(*given);
    for (auto& zone : picture->zones) {
        one(zone.name);
        for (auto& host : zone.hosts) one(host.name);
    }
    for (auto& file : picture->rulesets) {
        one(file.file);
        for (auto& line : file.lines) line = with_tabs_kept(line);
    }
    for (auto& [_, ladder] : picture->ladders)
        for (auto& step : ladder.steps)
            for (auto* text : {&step.from, &step.to, &step.label}) one(*text);
    return picture;
}

void clean_change(Comparison& change) {
    one(change.ruleset);
    for (auto& flow : change.flows)
        for (auto* text : {&flow.id, &flow.before, &flow.after, &flow.note}) one(*text);
    for (auto& flow : change.flows) {
        for (auto& difference : flow.differences) one(difference);
        if (flow.by) rule(*flow.by);
        if (flow.rule_before) rule(*flow.rule_before);
    }
    for (auto* list : {&change.opened, &change.closed})
        for (auto& opened : *list) openings(opened);
    for (auto* list : {&change.tried, &change.not_tried, &change.notes})
        for (auto& text : *list) one(text);
    if (change.picture) change.picture = clean_picture(change.picture);
}

}  // namespace

Report cleaned(Report report) {
    for (auto* text : {&report.scenario, &report.file, &report.ruleset}) one(*text);
    for (auto& note : report.notes) many(note);
    for (auto& incident : report.incidents) happening(incident);
    for (auto& load : report.loads) {
        for (auto* text : {&load.load, &load.type, &load.from, &load.to}) one(*text);
        for (auto& drop : load.dropped) rule(drop.rule);
    }
    if (report.baseline && report.baseline->live) {
        happening(report.baseline->live->happening);
        for (auto& flow : report.baseline->live->flows) one(flow.id), effect(flow.effect);
        for (auto& note : report.baseline->live->notes) many(note);
    }
    for (auto& flow : report.flows) clean_flow(flow);
    if (report.baseline) clean_change(*report.baseline);
    if (report.patch) {
        many(report.patch->diff);
        one(report.patch->directory);
        for (auto* list : {&report.patch->flows, &report.patch->notes})
            for (auto& text : *list) one(text);
    }
    if (report.coverage)
        for (auto& use : *report.coverage) {
            rule(use.rule);
            for (auto& flow : use.flows) one(flow);
        }
    if (report.picture) report.picture = clean_picture(report.picture);
    auto& identity = report.identity;
    for (auto* text : {&identity.when, &identity.version, &identity.commit, &identity.kernel, &identity.nft,
                       &identity.iptables, &identity.machine, &identity.lab})
        one(*text);
    if (identity.scenario) one(identity.scenario->name);
    for (auto* list : {&identity.rulesets, &identity.contents})
        for (auto& file : *list) one(file.name);
    return report;
}

std::string printable(std::string_view rendered, bool colour) {
    std::string out;
    for (std::size_t at = 0; at < rendered.size();) {
        if (colour && rendered.substr(at).starts_with("\x1b[")) {
            const auto end = rendered.find('m', at);
            const auto code =
                end == std::string_view::npos ? std::string_view{} : rendered.substr(at + 2, end - at - 2);
            if (code == "0" || code == "1" || code == "4" || code == "31" || code == "32" || code == "33") {
                out += rendered.substr(at, end + 1 - at);
                at = end + 1;
                continue;
            }
        }
        const auto c = character_at(rendered, at);
        if (!c.valid)
            out += replacement;
        else if (unprintable(c.value) && c.value != '\n' && c.value != '\t' && c.value != 0x2060)
            out += written_out(c.value);
        else
            out += rendered.substr(at, c.size);
        at += c.size;
    }
    return out;
}

}  // namespace wmlab::lab
