// Collects what is wrong with one file while it is read, and reads YAML maps key by key. Internal to the loader.
#pragma once
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/scenario/loader.hpp"
#include "common/scenario/yaml_tree.hpp"

namespace wmlab::scenario {

class Problems {
public:
    Problems(std::string file, std::string_view text);
    void add(yaml::Place at, std::string_view value, std::string what, std::string suggestion = {});
    void add(const yaml::Node& node, std::string what, std::string suggestion = {});  // value: the node's text
    // Other files than the first: places whose `source` is the number returned are theirs.
    unsigned add_source(std::string file, std::string text);
    // Which row of a table a place's `row` is: "sites.csv:7".
    unsigned add_row(std::string row);
    // "did you mean `x`?" or, where nothing is near, "one of: a, b, c".
    std::string did_you_mean(std::string_view value, const std::vector<std::string_view>& candidates) const;
    std::vector<Problem> sorted() &&;

private:
    static constexpr std::size_t kept_max = 200;
    std::string file_;
    std::vector<std::string_view> lines_;
    struct Source {
        std::string file, text;
        std::vector<std::string_view> lines;
    };
    std::deque<Source> sources_;
    std::vector<std::string> rows_;
    std::vector<Problem> problems_;
    std::size_t more_ = 0;
};

// One map of the file. Keys asked for are known; finish() complains about all others.
class MapReader {
public:
    // `owner` is what messages call it: "zone `inside`". A node that is not a map is a problem and reads as empty.
    MapReader(const yaml::Node& node, std::string owner, Problems& problems, std::string example = {});

    const yaml::Node* find(std::string_view key);     // null: not given
    const yaml::Node* require(std::string_view key);  // not given: a problem too
    // Called for each unknown key; true: it has been dealt with.
    void finish(const std::function<bool(const yaml::Node& key)>& other = {});

    // One text. A list, a map or nothing is a problem.
    std::optional<std::string> text(const yaml::Node& node, std::string_view key);

    const std::string& owner() const { return owner_; }
    yaml::Place at() const { return node_.at; }
    Problems& problems() { return problems_; }

private:
    const yaml::Node& node_;
    std::string owner_;
    Problems& problems_;
    std::vector<std::string_view> known_;
};

}  // namespace wmlab::scenario
