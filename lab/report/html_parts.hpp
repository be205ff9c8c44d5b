// The parts of the html report, each a pure function of the report; html.cpp puts them together.
#pragma once
#include <map>
#include <string>
#include <string_view>

#include "lab/report/renderers.hpp"
#include "lab/verdict/picture.hpp"

namespace wmlab::lab {

extern const std::string_view html_style;   // html_style.cpp
extern const std::string_view html_script;  // filters, search and groups; the page is complete without

std::string_view state_of(const FlowResult& flow);  // "good", "bad", "unsure": class and filter
std::string_view mark_of(const FlowResult& flow);   // "✓", "✗", "?": so that no colour stands alone

// Shapes that many flows share - the arrows of a ladder - are written once and used by reference.
class Shapes {
public:
    std::string use(const std::string& shape);  // "s12"
    std::string definitions() const;
    std::size_t bytes() const { return bytes_; }

private:
    std::map<std::string, std::size_t> known_;
    std::size_t bytes_ = 0;
};

std::string topology_svg(const Report& report, const Picture& picture);
// `of`: "the flow", or "the flow before the change"; `rule`: that stopped it.
std::string ladder_html(const FlowResult& flow, std::string_view of, const std::optional<RuleRef>& rule, const Ladder& ladder, const Picture& picture,
                        Shapes& shapes);
// The ruleset with the lines marked that decided, almost matched, would help; links to them are "#L0-14".
std::string ruleset_html(const Report& report, const Picture& picture);
std::string rule_link(const Report& report, const RuleRef& rule);  // as code, a link where the text is in the page

}  // namespace wmlab::lab
