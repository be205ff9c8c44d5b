// One page for each cause and each reason of a report: what it means, what proves it, how to check it, how to mend it.
// `wmlab explain CODE` prints them; docs/causes.md is the same table (a test holds the two together).
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab {

struct Page {
    std::string_view code;      // "dropped", "not-listening"
    bool cause;                 // a cause of blocked, degraded or failed; otherwise a reason of inconclusive
    std::string_view sentence;  // one line
    std::string_view meaning, evidence, check, mend;
};

std::span<const Page> pages();
const Page* page(std::string_view code);              // null: unknown
std::string nearest_code(std::string_view mistyped);  // empty: nothing resembles it
std::string page_text(const Page& page);              // for a terminal
std::string pages_list();                             // one line each
std::string pages_markdown();                         // docs/causes.md

}  // namespace wmlab::lab
