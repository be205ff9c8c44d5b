// Text that others wrote - names, comments of rules, output of programs - in a report of ours: it stays where it was
// put and gives no orders to a terminal, a browser or a pipeline that reads our standard output.
#pragma once
#include <string>
#include <string_view>

#include "lab/verdict/report.hpp"

namespace wmlab::lab {

enum class Lines { one, many };  // whether a line break may stay

// UTF-8 whatever it was. Control characters (also those of C1), line separators and characters that turn the direction
// of writing are written out, as in C: \x1b, \u202e. So are the beginnings of commands that build servers look for in
// whatever is printed: ##[, ##vso[, ##teamcity[.
std::string clean(std::string_view text, Lines lines = Lines::one);

// The report with all its texts cleaned; explanations, evidence and notes keep their line breaks.
Report cleaned(Report report);

// A whole report as it goes out: nothing in it but printable characters, tabs and line ends, and where `colour` is set
// the colours of the text report. Behind cleaned(), for a text that was forgotten there.
std::string printable(std::string_view rendered, bool colour);

// JSON that says the same and whose strings give no orders either: what might is written as \u....
std::string inert_json(std::string_view json);

// UTF-8, what is none replaced by U+FFFD; nothing else changed.
std::string valid_utf8(std::string_view text);

}  // namespace wmlab::lab
