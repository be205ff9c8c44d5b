// A run of the past, as `wmlab compare` and `wmlab history` read it: a bundle or a JSON report.
#pragma once
#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace wmlab::lab::commands {

struct PastFlow {
    std::string id, headline, rule, transport;  // "blocked at media: dropped", "new.nft:14: policy drop", "udp"
    bool as_expected = false, passed = false;
    std::string outcome() const;  // all of it in words
};

struct PastRun {
    std::filesystem::path file;
    std::string when, scenario, ruleset;
    std::vector<PastFlow> flows;
    std::map<std::string, std::string> surroundings;           // "kernel": "6.1", "ruleset new.nft": its hash ...
    std::map<std::string, std::vector<std::string>> rulesets;  // of a bundle: the lines, by name
    const PastFlow* flow(const std::string& id) const;
};

// UsageError: it is neither, or was changed.
PastRun past_run(const std::filesystem::path& file);

}  // namespace wmlab::lab::commands
