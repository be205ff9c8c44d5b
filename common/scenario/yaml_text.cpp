#include "common/scenario/yaml_text.hpp"

#include <utility>

namespace wmlab::scenario {
namespace {

using yaml::Node;
using Kind = Node::Kind;

void write_scalar(std::string& out, const std::string& text) {
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else {
            out += c;
        }
    }
    out += '"';
}

void write(std::string& out, const Node& node, bool top) {
    switch (node.kind) {
        case Kind::null:
            out += "null";
            break;
        case Kind::scalar:
            write_scalar(out, node.text);
            break;
        case Kind::sequence: {
            out += '[';
            bool first = true;
            for (const auto& item : node.items) {
                out += std::exchange(first, false) ? "" : ",\n ";
                write(out, item, false);
            }
            out += ']';
            break;
        }
        case Kind::map: {
            if (!top) out += '{';
            bool first = true;
            for (const auto& [key, value] : node.entries) {
                if (!top) out += std::exchange(first, false) ? "" : ", ";
                write(out, key, false);
                out += ": ";
                write(out, value, false);
                if (top) out += '\n';
            }
            if (!top) out += '}';
            break;
        }
    }
}

}  // namespace

std::string to_yaml(const Node& root) {
    std::string out;
    write(out, root, root.is(Kind::map));
    return out;
}

}  // namespace wmlab::scenario
