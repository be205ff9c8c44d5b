// What a scenario says of openings: accepted with a reason, until a day. Pure.
#pragma once
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/findings.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

// What became of an entry that accepts nothing today.
struct Unused {
    enum class Why { expired, fits_nothing } why;
    std::string sentence;
};
// `today`: "2026-11-30". Marks what is accepted.
std::vector<Unused> accept(AuditReport& report, const std::vector<scenario::Accepted>& list, const std::string& today);
std::vector<Unused> accept(std::vector<Opened>& opened, const std::vector<scenario::Accepted>& list, const std::string& today);
std::string today();

}  // namespace wmlab::lab
