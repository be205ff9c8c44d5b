// Reads the `flows` and `defaults` of a scenario file. Internal to the loader.
#pragma once
#include <filesystem>
#include <set>

#include "common/scenario/loader.hpp"
#include "common/scenario/problems.hpp"

namespace wmlab::scenario {

struct ReadContext {
    Scenario& scenario;  // zones, hosts and contents are there
    Problems& problems;
    std::filesystem::path directory;
    Files files = Files::checked;
    bool hosts_known = true;     // false: the section itself is wrong, its names say nothing
    bool contents_known = true;  // likewise
    struct Fed {
        const yaml::Node* content;  // a name that is no content's: is it a flow's?
        std::string flow;           // empty: in `defaults`
    };
    std::vector<Fed> fed{};
    std::vector<Content> made{};  // for loads that have a rate of their own
};

// Absolute; a problem where it must exist, files are checked, and it is not a readable one. `what`: "ruleset".
std::filesystem::path read_path(ReadContext& context, const yaml::Node& node, const std::string& text, const std::string& what, bool must_exist = true);
// A duration of that key; nothing where it is not given, or a problem.
std::optional<milliseconds> read_duration(MapReader& map, std::string_view key, milliseconds min, milliseconds max);
// A list of texts, or one text split into words where `split`.
std::vector<std::string> read_words(MapReader& map, const yaml::Node& node, std::string_view key, bool split);

void read_flows(ReadContext& context, const yaml::Node& flows, const yaml::Node* defaults);

}  // namespace wmlab::scenario
