// Many sites, many streams: one report of several scenarios, and the table site x stream. A flow's site is its tag
// `site=`
// (`for_each` gives it), else its scenario; its stream is its tag `stream=`, else its name.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab::commands {

class SiteTable {
public:
    // `name`: of the scenario's file; stands before the flows' names where there are several.
    void add(const std::string& name, const scenario::Scenario& scenario, const Report& report, bool several);
    bool any() const { return reports_ > 0; }
    bool worth_a_table() const;  // two sites or more
    std::string table() const;   // text, a line for each site
    const Report& merged() const { return merged_; }

private:
    struct Cell {
        unsigned flows = 0, as_expected = 0;
        std::string worst;  // what is not as expected: "blocked", "inconclusive"
    };
    std::vector<std::string> sites_, streams_;  // in the order in which they came
    std::map<std::pair<std::string, std::string>, Cell> cells_;
    Report merged_;
    unsigned reports_ = 0;
};

}  // namespace wmlab::lab::commands
