#include "common/scenario/yaml_tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <memory>
#include <sstream>

#include "common/scenario/yaml_hints.hpp"

namespace wmlab::scenario::yaml {
namespace {

Place place(const YAML::Mark& mark) {
    if (mark.is_null()) return {};
    return {static_cast<unsigned>(mark.line) + 1, static_cast<unsigned>(mark.column) + 1};
}

// Builds the tree from the parser's events. A collection stays on the stack until its end event.
class Builder : public YAML::EventHandler {
public:
    explicit Builder(std::string_view text) : text_{text} {}
    Node root;

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        add({Node::Kind::null, place(mark), {}, {}, {}}, anchor);
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  const std::string& value) override {
        check_tag(mark, tag);
        check_quotes(mark);
        add({Node::Kind::scalar, place(mark), value, {}, {}}, anchor);
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end()) throw YamlError{place(mark), "an alias inside of what it stands for", {}};
        count(place(mark), found->second.nodes);
        if (stack_.size() + found->second.depth > depth_max) throw too_deep(place(mark));
        add_below(found->second.node, found->second.nodes, found->second.depth);
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override {
        open(Node::Kind::sequence, mark, tag, anchor);
    }
    void OnSequenceEnd() override { close(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override {
        open(Node::Kind::map, mark, tag, anchor);
    }
    void OnMapEnd() override { close(); }

private:
    struct Open {
        Node node;
        YAML::anchor_t anchor = 0;
        std::optional<Node> key;
        std::size_t nodes = 1, depth = 1;
    };
    struct Anchored {
        Node node;
        std::size_t nodes = 1, depth = 1;
    };

    static YamlError too_deep(Place at) {
        return {at, "nested deeper than " + std::to_string(depth_max) + " levels", {}};
    }
    static void check_tag(const YAML::Mark& mark, const std::string& tag) {
        if (tag.empty() || tag == "?" || tag == "!" || tag.starts_with("tag:yaml.org,2002:")) return;
        throw YamlError{place(mark), "a YAML tag", "scenarios use no tags: leave out what begins with `!`"};
    }
    // yaml-cpp takes the end of the file for the end of a quotation.
    void check_quotes(const YAML::Mark& mark) const {
        auto at = static_cast<std::size_t>(mark.pos);
        if (at >= text_.size() || (text_[at] != '"' && text_[at] != '\'')) return;
        const char quote = text_[at];
        for (++at; at < text_.size() && text_[at] != quote; ++at)
            if (quote == '"' && text_[at] == '\\') ++at;
        if (at >= text_.size()) throw YamlError{place(mark), "a quotation that does not end", {}};
    }
    void count(Place at, std::size_t nodes) {
        nodes_ += nodes;
        if (nodes_ > nodes_max)
            throw YamlError{at, "more than " + std::to_string(nodes_max) + " values in one file", {}};
    }
    void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
        check_tag(mark, tag);
        count(place(mark), 1);
        if (stack_.size() >= depth_max) throw too_deep(place(mark));
        stack_.push_back({{kind, place(mark), {}, {}, {}}, anchor, {}, 1, 1});
    }
    void close() {
        auto done = std::move(stack_.back());
        stack_.pop_back();
        remember(done.anchor, done.node, done.nodes, done.depth);
        add_below(std::move(done.node), done.nodes, done.depth);
    }
    void add(Node node, YAML::anchor_t anchor) {
        count(node.at, 1);
        remember(anchor, node, 1, 1);
        add_below(std::move(node), 1, 1);
    }
    void remember(YAML::anchor_t anchor, const Node& node, std::size_t nodes, std::size_t depth) {
        if (anchor == 0) return;
        count(node.at, nodes);  // the copy kept for the aliases
        anchors_[anchor] = {node, nodes, depth};
    }
    void add_below(Node node, std::size_t nodes, std::size_t depth) {
        if (stack_.empty()) {
            root = std::move(node);
            return;
        }
        auto& above = stack_.back();
        above.nodes += nodes;
        above.depth = std::max(above.depth, depth + 1);
        if (above.node.kind == Node::Kind::sequence) {
            above.node.items.push_back(std::move(node));
        } else if (!above.key) {
            above.key = std::move(node);
        } else {
            if (node.kind == Node::Kind::null) node.at = above.key->at;  // else it is where the next thing begins
            above.node.entries.push_back({std::move(*above.key), std::move(node)});
            above.key.reset();
        }
    }

    std::string_view text_;
    std::vector<Open> stack_;
    std::map<YAML::anchor_t, Anchored> anchors_;
    std::size_t nodes_ = 0;
};

}  // namespace

Document parse(std::string_view text) {
    Document document;
    try {
        std::istringstream in{std::string{text}};
        YAML::Parser parser{in};
        Builder builder{text};
        if (parser.HandleNextDocument(builder)) document.root = std::move(builder.root);
        Builder second{text};
        if (parser.HandleNextDocument(second))
            document.error =
                YamlError{second.root.at, "a second document", "one file holds one scenario: remove `---`"};
    } catch (const YamlError& error) {
        document.error = error;
    } catch (const YAML::Exception& error) {
        // yaml-cpp 0.8 adds the name, which the line shows.
        constexpr std::string_view unknown_anchor = "the referenced anchor is not defined";
        const auto message = error.msg.starts_with(unknown_anchor) ? std::string{unknown_anchor} : error.msg;
        document.error = in_plain_words(text, YamlError{place(error.mark), message, {}});
    }
    return document;
}

}  // namespace wmlab::scenario::yaml
