// What rulesets ask packets for, field by field: of the values between which no rule can tell one is enough to be
// tried. And the conditions that no packet of ours can be made to meet. Pure.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/audit/crafted.hpp"
#include "lab/audit/numbers.hpp"
#include "lab/rules/ruleset.hpp"
#include "lab/verdict/report.hpp"

namespace wmlab::lab {

using Spans = std::vector<Span>;

enum class Field { source, destination, source_v6, destination_v6, source_port, destination_port };

// A rule that asks for something beside what is swept.
struct Odd {
    RuleRef rule;
    std::string condition;            // in words
    std::string key;                  // the rule's own text: the same in two rulesets is the same condition
    std::vector<std::size_t> shapes;  // of Asked::shapes, which meet it; none: no packet can be made to
    bool accepts = false;             // it may let something through; else it only may stop something
    rules::ChainName chain;
    std::uint64_t handle = 0;
    std::map<Field, Spans> values;    // what else it asks for
    std::set<std::uint8_t> protocols;
};

struct Asked {
    std::map<Field, std::set<Spans>> values;
    std::set<std::uint8_t> protocols, flags;
    std::set<std::pair<std::uint8_t, std::uint8_t>> types;  // ICMP type and code
    struct Shaped {
        Shape shape;
        std::set<std::uint8_t> protocols;  // empty: of any
    };
    std::vector<Shaped> shapes{Shaped{}};  // the first: an ordinary packet
    std::size_t shapes_left_out = 0;
    std::vector<Odd> odd;
    struct ByRule {
        std::map<Field, Spans> values;
        std::set<std::uint8_t> protocols, flags;
        std::set<Field> others;  // fields of which it asks for any but these values
        rules::ChainName chain;
        std::uint64_t handle = 0;
    };
    std::vector<ByRule> rules;  // what each of them asks by itself
    bool filters_v6 = false, opaque = false;  // opaque: some of it can only be read word by word
};

// Adds what this ruleset asks. `listing`: nft's, for what cannot be read otherwise.
void ask_for(const rules::Ruleset& ruleset, std::string_view listing, Asked& asked);

// The values of a field in classes: within one, no rule can tell.
struct ValueClass {
    Spans spans;
    Wide sample() const { return spans.front().first; }
};
std::vector<ValueClass> classes(const std::set<Spans>& asked, const Spans& domain);
// What is left of a list of spans without others.
Spans without(Spans from, const Spans& others);

}  // namespace wmlab::lab
