// A ruleset as the kernel holds it (`nft -j -a list ruleset`), each rule joined with its place in the user's file.
#pragma once
#include <boost/json/array.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/rules/source.hpp"

namespace wmlab::lab::rules {

struct Rule {
    ChainName chain;
    std::uint64_t handle = 0;
    std::string text;  // nft's canonical text
    std::string comment;
    boost::json::array expr;     // libnftables-json(5), "expr"
    std::optional<Place> place;  // nothing: it could not be found with certainty
};

struct Chain {
    ChainName name;
    std::string type, hook;  // empty: not a base chain
    int priority = 0;
    bool policy_drop = false;
    std::vector<std::size_t> rules;  // indices into Ruleset::rules, in the kernel's order
    std::optional<Place> policy, end;
    bool by_number = false;  // ChainSource
};

class Ruleset {
public:
    // `json` of `nft -j -a list ruleset`, `listing` of `nft -a list ruleset`. `plain_json`, for rulesets with iptables
    // extensions: the JSON of the same listing loaded again as plain nftables, where extensions are plain expressions,
    // or left out; same rules in the same order. Throws std::runtime_error where json is not nft's.
    static Ruleset parse(std::string_view json, std::string_view listing, const Source& source,
                         std::string_view plain_json = {});

    // The same rules loaded again, in the same order, have the handles of `now`. Chains of another length stay as they are.
    void renumber(const Ruleset& now);

    // It stops nothing and changes nothing.
    bool empty() const;
    const std::vector<Rule>& rules() const { return rules_; }
    const std::map<ChainName, Chain>& chains() const { return chains_; }
    const Rule* rule(const ChainName& chain, std::uint64_t handle) const;
    const Chain* chain(const ChainName& name) const;
    const boost::json::array* set_elements(const ChainName& chain, std::string_view set) const;
    const Source& source() const { return source_; }

private:
    std::vector<Rule> rules_;
    std::map<std::pair<ChainName, std::uint64_t>, std::size_t> by_handle_;
    std::map<ChainName, Chain> chains_;
    std::map<std::string, boost::json::array, std::less<>> sets_;  // "family table name"
    Source source_;
};

}  // namespace wmlab::lab::rules
