// How a load is told, in all reports.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

std::string_view text(LoadResult::Limit limit);     // "firewall", "machine"; empty: none was met
std::string machine_words(const LoadResult& load);  // "the processors were 99 % busy, an event loop was 310 ms late"
std::string limit_words(const LoadResult& load);    // a sentence: which of them was the limit, and why, or what rules kept without harm; empty: neither
std::vector<std::string> load_words(const LoadResult& load);  // sentences: the players, the measures, the worst second, the limit
std::string load_paragraph(const LoadResult& load);           // the same as one text

}  // namespace wmlab::lab
