// What the crafted packets found of one ruleset: openings with their rules.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/plan.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

struct Explored {
    std::vector<Opened> opened;
    std::vector<Conditional> conditional;
    std::vector<std::string> tried, not_tried, notes;
    // What is open to a flow's host, by any way: for what is needed.
    std::function<bool(const std::string& from, const std::string& to, scenario::Protocol protocol, unsigned port)> reaches;
    double seconds = 0;
};
struct ExploreOptions {
    Dimensions dimensions{std::begin(all_dimensions), std::end(all_dimensions)};
    // Already told by the sweep of ports: a plain packet from one of these hosts (or "anyone") to one of those.
    std::function<bool(const std::string& from, const std::string& to)> swept;
    bool ports_swept = true;  // TCP and UDP
};
// In the sandbox. SetupFailed, RulesetRefused.
Explored explore_ruleset(const scenario::Scenario& scenario, const std::filesystem::path& ruleset, const ExploreOptions& options);

}  // namespace wmlab::lab
