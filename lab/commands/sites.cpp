#include "lab/commands/sites.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/verdict/words.hpp"

namespace wmlab::lab::commands {
namespace {

constexpr std::size_t site_width_max = 40;

void once(std::vector<std::string>& list, const std::string& name) {
    if (std::ranges::find(list, name) == list.end()) list.push_back(name);
}

std::string joined(const std::string& all, const std::string& more) {
    return all.empty() || more.empty() || all.find(more) != std::string::npos ? (all.empty() ? more : all)
                                                                              : all + ", " + more;
}

}  // namespace

void SiteTable::add(const std::string& name, const scenario::Scenario& scenario, const Report& report, bool several) {
    std::map<std::string, const scenario::Flow*, std::less<>> flows;
    const auto all = scenario::instances(scenario);
    for (const auto& instance : all) flows[instance.id] = instance.flow;
    for (auto flow : report.flows) {
        const auto found = flows.find(flow.id);
        const auto tag = [&](std::string_view key) {
            return found == flows.end() ? std::string{} : found->second->tag(key);
        };
        auto site = tag("site"), stream = tag("stream");
        if (site.empty()) site = several ? name : "(other flows)";
        if (stream.empty()) stream = found == flows.end() ? flow.id : found->second->id;
        once(sites_, site);
        once(streams_, stream);
        auto& cell = cells_[{site, stream}];
        ++cell.flows;
        if (flow.as_expected)
            ++cell.as_expected;
        else if (cell.worst.empty() || cell.worst == "inconclusive")
            cell.worst = scenario::text(flow.verdict);
        if (several) flow.id = name + "/" + flow.id;
        merged_.flows.push_back(std::move(flow));
    }
    ++reports_;
    merged_.scenario = joined(merged_.scenario, report.scenario);
    merged_.file = joined(merged_.file, report.file);
    merged_.ruleset = joined(merged_.ruleset, report.ruleset);
    merged_.summary.flows += report.summary.flows;
    merged_.summary.as_expected += report.summary.as_expected;
    merged_.summary.unexpected += report.summary.unexpected;
    merged_.summary.inconclusive += report.summary.inconclusive;
    merged_.summary.seconds += report.summary.seconds;
    for (const auto& note : report.notes) once(merged_.notes, several ? name + ": " + note : note);
}

bool SiteTable::worth_a_table() const { return sites_.size() > 1; }

std::string SiteTable::table() const {
    std::vector<std::vector<std::string>> rows{{"site"}};
    rows.front().insert(rows.front().end(), streams_.begin(), streams_.end());
    for (const auto& site : sites_) {
        std::vector<std::string> row{site.substr(0, site_width_max)};
        for (const auto& stream : streams_) {
            const auto found = cells_.find({site, stream});
            if (found == cells_.end()) {
                row.emplace_back("-");
                continue;
            }
            const auto& cell = found->second;
            auto word = cell.as_expected == cell.flows ? std::string{"ok"} : cell.worst;
            if (cell.flows > 1) word += fmt::format(" {}/{}", cell.as_expected, cell.flows);
            row.push_back(std::move(word));
        }
        rows.push_back(std::move(row));
    }
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

}  // namespace wmlab::lab::commands
