#include "common/scenario/template.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/scenario/csv.hpp"
#include "common/scenario/loader.hpp"
#include "common/scenario/values.hpp"
#include "common/scenario/yaml_text.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Entry;
using yaml::Node;
using Kind = Node::Kind;

constexpr std::string_view sections_of_maps[] = {"zones", "hosts", "content", "variables"};
constexpr std::string_view sections_of_rows[] = {"zones", "hosts", "content", "flows"};
constexpr std::size_t expanded_nodes_max = 400'000;

bool is_section(std::string_view key) { return std::ranges::find(sections_of_maps, key) != std::end(sections_of_maps); }

Node* find(Node& map, std::string_view key) {
    for (auto& entry : map.entries)
        if (entry.key.is(Kind::scalar) && entry.key.text == key) return &entry.value;
    return nullptr;
}

Node scalar(std::string text, yaml::Place at) {
    Node node;
    node.kind = Kind::scalar;
    node.at = at;
    node.text = std::move(text);
    return node;
}

Node& section_of(Node& map, std::string_view key, Kind kind, yaml::Place at) {
    if (auto* found = find(map, key)) {
        if (found->is(Kind::null)) found->kind = kind;
        return *found;
    }
    Node made;
    made.kind = kind;
    made.at = at;
    map.entries.push_back({scalar(std::string{key}, at), std::move(made)});
    return map.entries.back().value;
}

std::optional<std::string> text_of_file(const std::filesystem::path& file) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(file, error)) return std::nullopt;
    std::ifstream in{file, std::ios::binary};
    if (!in) return std::nullopt;
    std::string text(document_size_max + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

using Values = std::map<std::string, std::string, std::less<>>;

class Expander {
public:
    Expander(Node& root, std::filesystem::path directory, Problems& problems, std::vector<std::filesystem::path>* files)
        : root_{root}, directory_{std::move(directory)}, problems_{problems}, files_{files} {}

    bool run() {
        if (!root_.is(Kind::map)) return false;
        bool any = false;
        for (const auto* key : {"include", "variables", "for_each", "hosts_from"})
            any = any || find(root_, key) != nullptr;
        if (!any) return false;
        include(root_, directory_);
        variables();
        hosts_from();
        std::optional<Node> loops;
        if (auto* wish = find(root_, "for_each"); wish != nullptr && !wish->is(Kind::null)) loops = std::move(*wish);
        std::erase_if(root_.entries, [](const Entry& entry) {
            for (const auto* key : {"include", "variables", "for_each", "hosts_from"})
                if (entry.key.is(Kind::scalar) && entry.key.text == key) return true;
            return false;
        });
        replace(root_, values_);
        if (!loops) return true;
        if (loops->is(Kind::sequence))
            for (const auto& item : loops->items) loop(item);
        else
            loop(*loops);
        return true;
    }

private:
    // A list of texts, or one.
    std::vector<const Node*> texts(const Node& node, const std::string& key) {
        std::vector<const Node*> found;
        const auto take = [&](const Node& one) {
            if (one.is(Kind::scalar) && !one.text.empty())
                found.push_back(&one);
            else
                problems_.add(one, ticked(key) + " is not the name of a file:");
        };
        if (node.is(Kind::sequence))
            for (const auto& item : node.items) take(item);
        else
            take(node);
        return found;
    }

    std::optional<std::string> read(const Node& node, const std::filesystem::path& file, const std::string& what) {
        if (files_ != nullptr) files_->push_back(file);
        auto text = text_of_file(file);
        if (!text)
            problems_.add(node, "no such " + what + ':', "it is looked for as " + file.string());
        else if (text->size() > document_size_max)
            problems_.add(node, "larger than 1 MiB:");
        else
            return text;
        return std::nullopt;
    }

    std::optional<Node> parse(const Node& node, std::string text) {
        if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
        const auto source = problems_.add_source(node.text, text);
        auto document = yaml::parse(text);
        if (document.error) {
            auto at = document.error->at;
            at.source = source;
            problems_.add(at, {}, "YAML: " + document.error->what, document.error->suggestion);
            return std::nullopt;
        }
        comes_from(document.root, source);
        if (!document.root.is(Kind::map)) {
            problems_.add(node, "not a map of a scenario's sections:");
            return std::nullopt;
        }
        return std::move(document.root);
    }

    static void comes_from(Node& node, unsigned source) {
        node.at.source = source;
        for (auto& item : node.items) comes_from(item, source);
        for (auto& entry : node.entries) comes_from(entry.key, source), comes_from(entry.value, source);
    }

    // What the including file says itself stands before what it includes, and wins.
    void include(Node& map, const std::filesystem::path& directory) {
        const auto* wish = find(map, "include");
        if (wish == nullptr) return;
        const auto wanted = *wish;
        for (const auto* one : texts(wanted, "include")) {
            const auto file = (directory / one->text).lexically_normal();
            if (std::ranges::find(including_, file) != including_.end()) {
                problems_.add(*one, "includes itself:");
                continue;
            }
            if (++includes_ > includes_max) {
                problems_.add(*one, "more than " + std::to_string(includes_max) + " files are included:");
                return;
            }
            auto text = read(*one, file, "file to include");
            if (!text) continue;
            auto part = parse(*one, std::move(*text));
            if (!part) continue;
            including_.push_back(file);
            include(*part, file.parent_path());
            including_.pop_back();
            merge(map, std::move(*part));
        }
    }

    void merge(Node& map, Node part) {
        for (auto& entry : part.entries) {
            if (!entry.key.is(Kind::scalar) || entry.key.text == "include") continue;
            const auto key = entry.key.text;
            auto* there = find(map, key);
            if (there == nullptr) {
                map.entries.push_back(std::move(entry));
            } else if (is_section(key) && there->is(Kind::map) && entry.value.is(Kind::map)) {
                for (auto& member : entry.value.entries)
                    if (!member.key.is(Kind::scalar) || find(*there, member.key.text) == nullptr)
                        there->entries.push_back(std::move(member));
            } else if ((key == "flows" || key == "for_each") && entry.value.is(Kind::sequence)) {
                if (there->is(Kind::map)) {  // one for_each without a list
                    Node list;
                    list.kind = Kind::sequence;
                    list.at = there->at;
                    list.items.push_back(*there);
                    *there = std::move(list);
                }
                if (there->is(Kind::null)) there->kind = Kind::sequence;
                for (auto& item : entry.value.items) there->items.push_back(std::move(item));
            } else if (key == "for_each" && entry.value.is(Kind::map) && there->is(Kind::sequence)) {
                there->items.push_back(std::move(entry.value));
            }
        }
    }

    void variables() {
        const auto* given = find(root_, "variables");
        if (given == nullptr || given->is(Kind::null)) return;
        if (!given->is(Kind::map)) {
            problems_.add(*given, "`variables` is not a map:", "like { domain: 10.20 }");
            return;
        }
        for (const auto& [key, value] : given->entries) {
            if (!key.is(Kind::scalar) || !value.is(Kind::scalar)) {
                problems_.add(value.is(Kind::scalar) ? key : value, "a variable is one name and one text:");
                continue;
            }
            auto text = value;
            replace(text, values_);  // those above it
            values_[key.text] = text.text;
        }
    }

    // Ansible's inventory: hosts of the groups that are called like zones.
    void hosts_from() {
        auto* wish = find(root_, "hosts_from");
        if (wish == nullptr) return;
        auto wanted = *wish;
        replace(wanted, values_);
        std::set<std::string> zones;
        if (const auto* section = find(root_, "zones"))
            for (const auto& entry : section->entries) zones.insert(entry.key.text);
        for (const auto* one : texts(wanted, "hosts_from")) {
            const auto file = directory_ / one->text;
            auto text = read(*one, file, "inventory");
            if (!text) continue;
            const auto inventory = parse(*one, std::move(*text));
            if (!inventory) continue;
            const auto before = taken_;
            group(*inventory, zones, 0);
            if (taken_ == before)
                problems_.add(
                    *one, "no group of the inventory is called like a zone that has hosts with an address:",
                    "a group `inside: { hosts: { media: { ansible_host: 10.10.0.10 } } }` fills the zone `inside`");
        }
    }

    void group(const Node& groups, const std::set<std::string>& zones, std::size_t depth) {
        if (depth > yaml::depth_max || !groups.is(Kind::map)) return;
        for (const auto& [name, body] : groups.entries) {
            if (!body.is(Kind::map)) continue;
            for (const auto& [key, value] : body.entries) {
                if (key.text == "children") group(value, zones, depth + 1);
                if (key.text != "hosts" || !value.is(Kind::map) || !zones.contains(name.text)) continue;
                for (const auto& [host, facts] : value.entries) inventory_host(host, facts, name.text);
            }
        }
    }

    void inventory_host(const Node& name, const Node& facts, const std::string& zone) {
        auto& hosts = section_of(root_, "hosts", Kind::map, name.at);
        ++taken_;
        if (find(hosts, name.text) != nullptr) return;  // the scenario says it itself
        const Node* address = nullptr;
        for (const auto* key : {"ansible_host", "wmlab_address"})  // the later wins
            for (const auto& [fact, value] : facts.entries)
                if (fact.text == key && value.is(Kind::scalar)) address = &value;
        if (address == nullptr) {
            problems_.add(name, "has neither `ansible_host` nor `wmlab_address`:");
            return;
        }
        Node host;
        host.kind = Kind::map;
        host.at = name.at;
        host.entries.push_back({scalar("zone", name.at), scalar(zone, name.at)});
        host.entries.push_back({scalar("address", address->at), *address});
        hosts.entries.push_back({name, std::move(host)});
    }

    struct Row {
        Values values;
        std::string name;
        unsigned number = 0;  // of Problems::add_row()
    };

    void loop(Node block) {
        constexpr auto like = "like { in: sites.csv, as: site, flows: [ { id: \"web-${site.name}\", ... } ] }";
        if (!block.is(Kind::map)) {
            problems_.add(block, "`for_each` is not a map:", like);
            return;
        }
        std::string as = "site";
        const Node* in = nullptr;
        for (const auto& [key, value] : block.entries) {
            if (key.text == "in") {
                in = &value;
            } else if (key.text == "as") {
                if (value.is(Kind::scalar) && is_name(value.text))
                    as = value.text;
                else
                    problems_.add(value, "`as` is not a name:", "names match [a-z][a-z0-9_-]*");
            } else if (std::ranges::find(sections_of_rows, std::string_view{key.text}) == std::end(sections_of_rows)) {
                problems_.add(key, "unknown key in `for_each`",
                              problems_.did_you_mean(key.text, {"in", "as", "zones", "hosts", "content", "flows"}));
            }
        }
        if (in == nullptr) {
            problems_.add(block.at, {}, "`for_each` has no `in`", like);
            return;
        }
        for (const auto& row : rows(*in, as)) {
            auto values = values_;
            for (const auto& [name, value] : row.values) values[name] = value;
            for (const auto& [key, value] : block.entries) {
                const bool flows = key.text == "flows";
                if (std::ranges::find(sections_of_rows, std::string_view{key.text}) == std::end(sections_of_rows))
                    continue;
                auto copy = value;
                in_row(copy, row.number);
                const auto names = flows ? streams(copy) : std::vector<std::string>{};
                replace(copy, values);
                auto& section = section_of(root_, key.text, flows ? Kind::sequence : Kind::map, key.at);
                if (flows && copy.is(Kind::sequence)) {
                    for (std::size_t i = 0; i < copy.items.size(); ++i) {
                        tag(copy.items[i], as, row.name, i < names.size() ? names[i] : std::string{});
                        section.items.push_back(std::move(copy.items[i]));
                    }
                } else if (!flows && copy.is(Kind::map)) {
                    for (auto& entry : copy.entries) add_new(section, std::move(entry));
                } else {
                    problems_.add(copy, ticked(key.text) + " of `for_each` is not a " + (flows ? "list:" : "map:"));
                }
            }
            if (nodes_ > expanded_nodes_max) {
                problems_.add(block.at, {}, "`for_each` makes more than a scenario can hold");
                return;
            }
        }
    }

    // A thing that every row says in the same words (a zone that sites share) is said once.
    static void add_new(Node& section, Entry entry) {
        const auto* there = entry.key.is(Kind::scalar) ? find(section, entry.key.text) : nullptr;
        if (there != nullptr && to_yaml(*there) == to_yaml(entry.value)) return;
        section.entries.push_back(std::move(entry));
    }

    void in_row(Node& node, unsigned row) {
        ++nodes_;
        node.at.row = row;
        for (auto& item : node.items) in_row(item, row);
        for (auto& entry : node.entries) in_row(entry.key, row), in_row(entry.value, row);
    }

    // What the flows are called without what differs from row to row.
    static std::vector<std::string> streams(const Node& flows) {
        std::vector<std::string> names;
        for (const auto& flow : flows.items) {
            std::string id, type;
            for (const auto& [key, value] : flow.entries) {
                if (key.text == "id") id = value.text;
                if (key.text == "type") type = value.text;
            }
            for (auto at = id.find("${"); at != std::string::npos; at = id.find("${", at)) {
                const auto end = id.find('}', at);
                id.erase(at, end == std::string::npos ? end : end + 1 - at);
            }
            std::string name;
            for (const char c : id)
                if ((c != '-' && c != '_') || (!name.empty() && name.back() != '-' && name.back() != '_')) name += c;
            while (name.ends_with('-') || name.ends_with('_')) name.pop_back();
            names.push_back(name.empty() ? type : name);
        }
        return names;
    }

    static void tag(Node& flow, const std::string& as, const std::string& row, const std::string& stream) {
        if (!flow.is(Kind::map)) return;
        auto& tags = section_of(flow, "tags", Kind::sequence, flow.at);
        if (tags.is(Kind::scalar)) {
            auto one = tags;
            tags = Node{};
            tags.kind = Kind::sequence;
            tags.at = one.at;
            tags.items.push_back(std::move(one));
        }
        const auto add = [&](const std::string& key, const std::string& value) {
            if (value.empty() ||
                std::ranges::any_of(tags.items, [&](const Node& tag) { return tag.text.starts_with(key + "="); }))
                return;
            tags.items.push_back(scalar(key + "=" + value, flow.at));
        };
        add(as, row);
        add("stream", stream);
    }

    std::vector<Row> rows(const Node& in, const std::string& as) {
        std::vector<Row> found;
        const auto full = [&](const Node& at) {
            if (found.size() < rows_max) return false;
            problems_.add(at.at, {}, "more than " + std::to_string(rows_max) + " rows");
            return true;
        };
        if (in.is(Kind::sequence)) {
            for (auto item : in.items) {
                if (full(item)) break;
                replace(item, values_);
                Row row;
                row.number = problems_.add_row("line " + std::to_string(item.at.line));
                if (item.is(Kind::scalar)) {
                    row.values[as] = row.name = item.text;
                } else if (item.is(Kind::map)) {
                    for (const auto& [key, value] : item.entries) {
                        if (!value.is(Kind::scalar)) {
                            problems_.add(value, "a value of a row is one text:");
                            continue;
                        }
                        row.values[as + "." + key.text] = value.text;
                        if (row.name.empty() || key.text == "name") row.name = value.text;
                    }
                } else {
                    problems_.add(item, "a row is a text or a map:");
                    continue;
                }
                found.push_back(std::move(row));
            }
            return found;
        }
        auto name = in;
        replace(name, values_);
        for (const auto* one : texts(name, "in")) {
            const auto file = directory_ / one->text;
            const auto text = read(*one, file, "table");
            if (!text) continue;
            const auto csv = read_csv(*text);
            const auto& shown = one->text;
            if (!csv.problem.empty()) {
                problems_.add(*one,
                              shown + ":" + std::to_string(csv.problem_line) + ": " + csv.problem + ", in the table");
                continue;
            }
            if (csv.rows.empty()) problems_.add(*one, "a table without rows:");
            for (const auto& line : csv.rows) {
                if (full(*one)) break;
                Row row;
                row.number = problems_.add_row(shown + ":" + std::to_string(line.line));
                for (std::size_t i = 0; i < csv.head.size(); ++i) {
                    row.values[as + "." + csv.head[i]] = line.fields[i];
                    if (i == 0 || csv.head[i] == "name") row.name = line.fields[i];
                }
                found.push_back(std::move(row));
            }
        }
        return found;
    }

    void replace(Node& node, const Values& values) {
        if (node.is(Kind::scalar)) replace_text(node, values);
        for (auto& item : node.items) replace(item, values);
        for (auto& entry : node.entries) replace(entry.key, values), replace(entry.value, values);
    }

    void replace_text(Node& node, const Values& values) {
        auto& text = node.text;
        for (auto at = text.find('$'); at != std::string::npos; at = text.find('$', at)) {
            if (text.compare(at, 3, "$${") == 0) {  // a shell's own, kept for the end
                ++at;
                text.replace(at - 1, 2, "$");
                at = at + 1;
                continue;
            }
            if (text.compare(at, 2, "${") != 0) {
                ++at;
                continue;
            }
            const auto end = text.find('}', at);
            const auto name = text.substr(at + 2, end == std::string::npos ? end : end - at - 2);
            const auto found = end == std::string::npos ? values.end() : values.find(name);
            if (found == values.end()) {
                std::vector<std::string_view> known;
                for (const auto& [one, value] : values) known.push_back(one);
                problems_.add(node.at, name, "unknown variable",
                              known.empty() ? "" : problems_.did_you_mean(name, known));
                return;
            }
            text.replace(at, end + 1 - at, found->second);
            at += found->second.size();
        }
    }

    Node& root_;
    std::filesystem::path directory_;
    Problems& problems_;
    std::vector<std::filesystem::path>* files_;
    Values values_;
    std::vector<std::filesystem::path> including_;
    std::size_t includes_ = 0, nodes_ = 0, taken_ = 0;
};

}  // namespace

bool expand(Node& root, const std::filesystem::path& directory, Problems& problems,
            std::vector<std::filesystem::path>* files) {
    return Expander{root, directory, problems, files}.run();
}

}  // namespace wmlab::scenario
