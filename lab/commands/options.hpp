// What the commands share: their options, usage errors, reading a scenario.
#pragma once
#include <boost/program_options.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/loader.hpp"
#include "lab/commands/commands.hpp"
#include "lab/report/report.hpp"

namespace wmlab::lab::commands {

struct UsageError : std::runtime_error {  // exit 2; main() says it, with a hint at --help
    using std::runtime_error::runtime_error;
};

struct Usage {
    std::string name, synopsis, summary;                  // "judge", "SCENARIO JOURNAL...", one or two sentences
    boost::program_options::options_description options;  // without --help, which every command has
    std::string more;                                     // after the options
};

// Parses; prints the help and returns nothing for --help. Words that are not options are in "words".
std::optional<boost::program_options::variables_map> parse(const Usage& usage, Arguments arguments);
std::vector<std::string> words(const boost::program_options::variables_map& values);
std::vector<std::string> list_of(const boost::program_options::variables_map& values, const std::string& name);

// --ruleset excuses a ruleset of the scenario that is not there.
scenario::Files files_wanted(const boost::program_options::variables_map& values);
// Reads a scenario; says every problem on standard error and returns nothing (exit 2).
std::optional<scenario::Scenario> read_scenario(const std::string& file, scenario::Files files, const scenario::Samples& samples = {},
                                                const scenario::Addresses& addresses = {});
// Throws for a scenario that leaves an address to be asked for. UsageError.
void refuse_unknown_addresses(const scenario::Scenario& scenario, std::string_view what);

// --report FORMAT[:FILE]..., --quiet, --no-color
void add_report_options(boost::program_options::options_description& options);
struct ReportWish {
    std::vector<ReportTarget> targets;
    Style style;
};
ReportWish report_wish(const boost::program_options::variables_map& values);  // UsageError: format or file is no good

// --only and, where the command has them, --tag and --without; empty: all flows.
std::function<bool(const scenario::FlowInstance&)> only_option(const boost::program_options::variables_map& values);
std::string narrowing(const boost::program_options::variables_map& values);  // for a message: "that matches `x*`"
std::vector<scenario::FlowInstance> chosen_flows(const scenario::Scenario& scenario,
                                                 const boost::program_options::variables_map& values);

// The name nearest to a mistyped one; empty: none is near.
std::string nearest(std::string_view mistyped, const std::vector<std::string>& names);

}  // namespace wmlab::lab::commands
