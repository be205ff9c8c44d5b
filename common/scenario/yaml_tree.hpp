// A YAML document as a tree that keeps what yaml-cpp's own nodes lose: duplicate keys, and the place of everything.
// Bounded: hostile documents (aliases of aliases, deep nesting, many nodes) end in a YamlError, not in memory.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wmlab::scenario::yaml {

struct Place {  // from 1; the column counts bytes
    unsigned line = 0, column = 0;
    unsigned source = 0, row = 0;  // of Problems: an included file, the row of a table; 0: the file itself, none
    auto operator<=>(const Place&) const = default;
};

struct Entry;
struct Node {
    enum class Kind { null, scalar, sequence, map };
    Kind kind = Kind::null;
    Place at;
    std::string text;            // of a scalar
    std::vector<Node> items;     // of a sequence
    std::vector<Entry> entries;  // of a map, in the file's order, duplicates kept

    bool is(Kind wanted) const { return kind == wanted; }
};
struct Entry {
    Node key, value;
};

struct YamlError {
    Place at;
    std::string what, suggestion;
};

struct Document {
    Node root;
    std::optional<YamlError> error;
};

inline constexpr std::size_t nodes_max = 100'000;  // after aliases have been replaced by what they stand for
inline constexpr std::size_t depth_max = 32;

Document parse(std::string_view text);

}  // namespace wmlab::scenario::yaml
