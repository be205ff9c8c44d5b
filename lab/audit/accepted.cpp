#include "lab/audit/accepted.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ctime>

namespace wmlab::lab {
namespace {

struct Question {  // one opening, as entries ask for it
    const std::optional<RuleRef>& rule;
    std::vector<std::string> from, to;  // names, all of which must be meant
    std::string from_zone, to_zone, protocol;
    std::vector<scenario::PortRange> ports;
};

bool rule_fits(const std::string& wanted, const std::optional<RuleRef>& rule) {
    if (!rule) return false;
    const auto slash = rule->file.rfind('/');
    const auto name = slash == std::string::npos ? rule->file : rule->file.substr(slash + 1);
    return wanted == fmt::format("{}:{}", rule->file, rule->line) || wanted == fmt::format("{}:{}", name, rule->line) ||
           rule->text.find(wanted) != std::string::npos;
}

bool fits(const scenario::Accepted& entry, const Question& opening) {
    const auto end = [](const std::string& wanted, const std::vector<std::string>& names, const std::string& zone) {
        return wanted.empty() || wanted == zone ||
               (!names.empty() && std::ranges::all_of(names, [&](const std::string& name) { return name == wanted; }));
    };
    if (!entry.rule.empty() && !rule_fits(entry.rule, opening.rule)) return false;
    if (!entry.protocol.empty() && entry.protocol != opening.protocol) return false;
    if (!end(entry.from, opening.from, opening.from_zone) || !end(entry.to, opening.to, opening.to_zone)) return false;
    return entry.ports.empty() || (!opening.ports.empty() && std::ranges::all_of(opening.ports, [&](const scenario::PortRange& range) {
        return std::ranges::any_of(entry.ports, [&](const scenario::PortRange& all) { return all.first <= range.first && range.last <= all.last; });
    }));
}

class List {
public:
    List(const std::vector<scenario::Accepted>& entries, const std::string& day) : entries_{entries}, day_{day}, used_(entries.size()) {}
    // Why it is accepted; empty: it is not.
    std::string ask(const Question& opening) {
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (!fits(entries_[i], opening)) continue;
            used_[i] = true;
            if (entries_[i].until.empty() || day_ <= entries_[i].until) return entries_[i].reason;
        }
        return {};
    }
    std::vector<Unused> unused() const {
        std::vector<Unused> all;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            const auto& entry = entries_[i];
            if (!entry.until.empty() && day_ > entry.until)
                all.push_back({Unused::Why::expired,
                               fmt::format("accepted until {} and expired (line {} of the scenario): {}", entry.until, entry.line, entry.reason)});
            else if (!used_[i])
                all.push_back({Unused::Why::fits_nothing,
                               fmt::format("accepted, but nothing like it is open (line {} of the scenario): {}", entry.line, entry.reason)});
        }
        return all;
    }

private:
    const std::vector<scenario::Accepted>& entries_;
    std::string day_;
    std::vector<bool> used_;
};

std::string ask(List& list, const Opened& opened) {
    auto reason = list.ask({opened.rule, opened.from, opened.to, opened.from_zone, opened.to_zone, opened.protocol, opened.ports});
    if (reason.empty() && opened.translated_by)
        reason = list.ask({opened.translated_by, opened.from, opened.to, opened.from_zone, opened.to_zone, opened.protocol, opened.ports});
    return reason;
}

}  // namespace

std::vector<Unused> accept(AuditReport& report, const std::vector<scenario::Accepted>& entries, const std::string& day) {
    List list{entries, day};
    for (auto& pair : report.pairs)
        for (auto& opening : pair.openings)
            if (opening.flows.empty())
                opening.accepted = list.ask({opening.rule, {pair.from}, {pair.to}, pair.from_zone, pair.to_zone,
                                             std::string{scenario::text(pair.protocol)}, {opening.ports}});
    for (auto& opened : report.opened) opened.accepted = ask(list, opened);
    for (auto& conditional : report.conditional) {
        const std::optional<RuleRef> rule{conditional.rule};
        conditional.accepted = list.ask({rule, {}, {}, "", "", "", {}});
    }
    return list.unused();
}

std::vector<Unused> accept(std::vector<Opened>& opened, const std::vector<scenario::Accepted>& entries, const std::string& day) {
    List list{entries, day};
    for (auto& one : opened)
        if (one.accepted.empty()) one.accepted = ask(list, one);
    return list.unused();
}

std::string today() {
    const auto now = std::time(nullptr);
    std::tm parts{};
    ::localtime_r(&now, &parts);
    char text[11] = {};
    std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

}  // namespace wmlab::lab
