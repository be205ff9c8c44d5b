// --report FORMAT[:FILE] and the line of progress of the commands that have formats of their own (audit, alg).
#pragma once
#include <boost/program_options.hpp>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab::commands {

struct Target {
    std::string format, file;  // file: "-" is standard output
};
// UsageError: a format that is not among `known`, a file that cannot be written. Without --report: text to standard output.
std::vector<Target> targets_of(std::string_view command, const boost::program_options::variables_map& values, std::span<const std::string_view> known);
void write_to(const Target& target, const std::string& rendered);  // throws SetupFailed

// Shows what is being done on one line of the terminal, and clears it for an empty text. Null: --quiet, or standard error is no terminal.
std::function<void(const std::string&)> line_of_progress(const boost::program_options::variables_map& values);

}  // namespace wmlab::lab::commands
