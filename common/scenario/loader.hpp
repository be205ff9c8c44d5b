// Reads a scenario file (YAML 1.2) and says everything that is wrong with it in one pass, with line and column.
#pragma once
#include <cstddef>
#include <filesystem>
#include <istream>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/bytes/read_file.hpp"
#include "common/scenario/model.hpp"

namespace wmlab::scenario {

struct Problem {
    std::string file;
    unsigned line = 0, column = 0;  // from 1; 0: the file as a whole
    std::string value;              // the offending text, "mms-upd"
    std::string what;               // "unknown flow type"
    std::string suggestion;         // "did you mean `mms-udp`?", may be empty
    std::string source_line;        // for the excerpt with the caret
};
// "FILE:LINE:COLUMN: WHAT `VALUE`", the source line, carets under the value and the suggestion; each line ends.
std::string explain(const Problem& problem);
std::string explain(const std::vector<Problem>& problems);

struct Loaded {
    Scenario scenario;
    std::vector<Problem> problems;  // empty: the scenario is good
    std::string expanded;           // the scenario as one text, where it is made of other files or rows; else empty
    bool ok() const { return problems.empty(); }
};

// Addresses from which `anyone` of a zone is played, by zone: instead of what the zone says.
using Samples = std::map<std::string, std::vector<Sample>, std::less<>>;

// Of hosts with `address: auto`: what their machines said, by host.
using Addresses = std::map<std::string, Ipv4, std::less<>>;

// Whether referenced files (ruleset, content, registry) must exist.
enum class Files {
    checked,
    other_ruleset,  // all but the firewall's ruleset: another is used in its place
    not_checked,    // a remote host's copy
};
// `file` names the text in messages; relative paths inside are resolved against `directory`.
Loaded load(std::string_view yaml, const std::string& file, const std::filesystem::path& directory, Files files = Files::checked, const Samples& samples = {},
            const Addresses& addresses = {});
Loaded load_file(const std::filesystem::path& file, Files files = Files::checked);  // "-" reads standard input up to the line `...` or its end

inline constexpr std::size_t document_size_max = std::size_t{1} << 20;  // bytes of YAML

// One YAML document from a stream: up to and without the line `...`, or to the end of input. What follows stays in the
// stream (the control channel's commands). Of a document above document_size_max a part is kept that load() refuses.
std::string read_document(std::istream& in);
// Of a file: nothing else than a regular one is read.
boost::system::result<std::string, bytes::FileProblem> read_document(const std::filesystem::path& file);

}  // namespace wmlab::scenario
