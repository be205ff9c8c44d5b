// The audit's report in the formats of --report.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/audit/findings.hpp"

namespace wmlab::lab {

struct AuditStyle {
    bool colour = false, quiet = false;
    std::string file;  // of the scenario
};
std::vector<std::string_view> audit_formats();
// Nothing: there is no such format.
std::optional<std::string> render_audit(std::string_view format, const AuditReport& report, const AuditStyle& style);

// All that is told, by rule: "rules.nft:31: ... opens 14: ...".
struct ByRule {
    std::optional<RuleRef> rule;
    std::vector<std::string> openings, accepted;
};
std::vector<ByRule> by_rule(const AuditReport& report);

}  // namespace wmlab::lab
