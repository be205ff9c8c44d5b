// The renderers behind --report.
#pragma once
#include <string>
#include <string_view>

#include "lab/report/report.hpp"
#include "lab/verdict/words.hpp"

namespace wmlab::lab {

std::string render_text(const Report& report, const Style& style);
std::string render_summary(const Report& report, const Style& style);  // the end of the text report
std::string render_json(const Report& report, const Style& style);
std::string render_junit(const Report& report, const Style& style);
std::string render_tap(const Report& report, const Style& style);
std::string render_markdown(const Report& report, const Style& style);
std::string render_github(const Report& report, const Style& style);
std::string render_sarif(const Report& report, const Style& style);
std::string render_html(const Report& report, const Style& style);

std::string xml_escaped(std::string_view text);  // also fit for HTML; characters XML cannot carry become '?'

}  // namespace wmlab::lab
