// wmlab run --watch: runs again whenever the scenario, what it includes, or a ruleset and what that includes changes.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lab/commands/touched.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

// One run of a watch; it is done by a process of its own.
class Turn {
public:
    // Of each scenario file the flows that this run is narrowed to; empty: all. Flows that are not known are new: they run.
    std::map<std::string, std::set<std::string>> only, known;
    int result = -1;  // a file that tells the one that watches

    bool narrowed() const { return !only.empty(); }
    bool wants(const std::string& scenario, const std::string& flow) const;
    // What the run of a scenario came to.
    void tell(const std::string& scenario, const Report& report, const std::vector<RuleUse>& uses) const;
};

struct WatchWish {
    std::function<std::vector<std::string>()> scenarios;  // their files now; the words of the command line
    std::vector<std::filesystem::path> rulesets;          // --ruleset, --baseline
    bool scenarios_ruleset = true;                        // the scenario's own counts
    std::function<int(const Turn&)> run;                  // in a process of its own: the exit code
};

// Until Ctrl-C: 130.
int watch(const WatchWish& wish);

}  // namespace wmlab::lab::commands
