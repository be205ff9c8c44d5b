// What a scenario says of openings: accepted with a reason, until a day. Pure.
#pragma once
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/findings.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// `today`: "2026-11-30". Marks what is accepted; sentences about entries that have expired or fit nothing.
std::vector<std::string> accept(AuditReport& report, const std::vector<scenario::Accepted>& list, const std::string& today);
std::vector<std::string> accept(std::vector<Opened>& opened, const std::vector<scenario::Accepted>& list, const std::string& today);
std::string today();

}  // namespace wmlab::lab
