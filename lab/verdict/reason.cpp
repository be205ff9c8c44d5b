#include <array>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {
namespace {

constexpr std::array<std::string_view, 14> reason_names = {"no-journal",      "not-ready",  "process-died",  "journal-incomplete", "not-listening",
                                                           "not-tried",       "no-outcome", "not-sent",      "host-silent",        "control-failed",
                                                           "control-missing", "lab-broken", "contradiction", "overloaded"};

}  // namespace

std::string_view text(Reason reason) { return reason_names[static_cast<std::size_t>(reason)]; }

}  // namespace wmlab::lab
