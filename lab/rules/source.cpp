#include "lab/rules/source.hpp"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace wmlab::lab::rules {
namespace {

constexpr int include_depth_max = 16;  // nft's own limit

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// One statement of the nftables language: its words, the line it starts in and what ended it.
struct Statement {
    std::vector<std::string> words;  // quotes kept, anonymous { ... } as one word
    std::string text;
    unsigned line = 0;
    bool alone = true;  // the first on its line
    enum class End { statement, block_opens, block_closes, file } end = End::file;
    unsigned end_line = 0;
};

// Cuts the nftables language into statements. A `{` that belongs to a set or a map inside a rule stays within its
// statement; one that opens a block (table, chain, set, ...) ends it.
class Cutter {
public:
    explicit Cutter(std::string_view text) : text_{text} {}

    // `in_chain`: statements are rules, so every brace belongs to the statement.
    Statement next(bool in_chain) {
        Statement statement;
        std::string word;
        int depth = 0;
        bool quoted = false;
        const auto finish_word = [&] {
            if (word.empty()) return;
            if (statement.words.empty()) statement.line = word_line_;
            statement.words.push_back(word);
            word.clear();
        };
        const auto put = [&](char c) {
            if (word.empty()) word_line_ = line_;
            if (word.empty() && statement.words.empty()) statement.alone = fresh_line_;
            fresh_line_ = false;
            word.push_back(c);
        };
        const auto next_line = [&] {
            ++line_;
            fresh_line_ = true;
        };
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (quoted) {
                put(c);
                if (c == '"') quoted = false;
                if (c == '\n') next_line();
                continue;
            }
            if (c == '"') {
                put(c);
                quoted = true;
            } else if (c == '#') {
                while (at_ < text_.size() && text_[at_] != '\n') ++at_;
            } else if (c == '\\' && continues()) {
                while (text_[at_++] != '\n') {
                }
                next_line();
                if (depth == 0) finish_word();
            } else if (c == '{' && depth == 0 && !in_chain && opens_block(statement, word)) {
                finish_word();
                fresh_line_ = false;
                return end(std::move(statement), Statement::End::block_opens);
            } else if (c == '{') {
                if (depth == 0) finish_word();
                ++depth;
                put(c);
            } else if (c == '}' && depth > 0) {
                put(c);
                if (--depth == 0) finish_word();
            } else if (c == '}') {
                finish_word();
                if (!statement.words.empty()) {  // `chain x { accept }`: the brace is a statement of its own
                    --at_;
                    return end(std::move(statement), Statement::End::statement);
                }
                statement.line = line_;
                statement.alone = fresh_line_;
                fresh_line_ = false;
                return end(std::move(statement), Statement::End::block_closes);
            } else if (c == '\n' || c == ';') {
                if (depth == 0) finish_word();
                const auto line = line_;
                if (c == '\n') next_line();
                if (depth > 0) {
                    put(' ');
                } else if (!statement.words.empty()) {
                    statement.end_line = line;
                    return end(std::move(statement), Statement::End::statement);
                }
            } else if (blank(c)) {
                if (depth == 0)
                    finish_word();
                else
                    put(' ');
            } else {
                put(c);
            }
        }
        finish_word();
        return end(std::move(statement), Statement::End::file);
    }

private:
    bool continues() const {  // a backslash with nothing but blanks behind it
        auto i = at_;
        while (i < text_.size() && blank(text_[i])) ++i;
        return i < text_.size() && text_[i] == '\n';
    }
    static bool opens_block(const Statement& statement, const std::string& word) {
        auto words = statement.words;
        if (!word.empty()) words.push_back(word);
        if (words.empty()) return true;
        std::size_t first =
            words[0] == "add" || words[0] == "create" || words[0] == "insert" || words[0] == "replace" ? 1 : 0;
        if (first >= words.size()) return false;
        static const std::set<std::string, std::less<>> blocks = {"table",     "chain",   "set",      "map",
                                                                  "flowtable", "ct",      "counter",  "quota",
                                                                  "limit",     "secmark", "synproxy", "meter"};
        return blocks.contains(words[first]);
    }
    Statement end(Statement statement, Statement::End how) {
        statement.end = how;
        if (statement.end_line == 0) statement.end_line = line_;
        for (const auto& word : statement.words) {
            if (!statement.text.empty()) statement.text.push_back(' ');
            std::string folded;  // blanks inside { ... } folded
            for (const char c : word)
                if (!(blank(c) && !folded.empty() && blank(folded.back()))) folded.push_back(c);
            statement.text += folded;
        }
        return statement;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    unsigned line_ = 1, word_line_ = 1;
    bool fresh_line_ = true;
};

bool is_family(std::string_view word) {
    return word == "ip" || word == "ip6" || word == "inet" || word == "arp" || word == "bridge" || word == "netdev";
}

class NftReader {
public:
    NftReader(Source& source, const ReadFile& read) : source_{source}, read_{read} {}

    using Table = std::optional<std::pair<std::string, std::string>>;  // family, name

    void file(const std::filesystem::path& path, int depth, Table table = {}) {
        const auto text = read_(path);
        if (!text || depth > include_depth_max) return;
        if (depth == 0) {
            directory_ = path.parent_path();
            source_.lines = static_cast<unsigned>(std::ranges::count(*text, '\n')) +
                            (text->empty() || text->back() == '\n' ? 0 : 1);
        }
        source_.files.push_back(path);
        Cutter cutter{*text};
        blocks(cutter, path, depth, std::move(table));
    }

private:
    // The statements outside of chains: at the top and inside tables.
    void blocks(Cutter& cutter, const std::filesystem::path& path, int depth, Table table) {
        int other = 0;  // blocks of sets, maps, ...
        for (;;) {
            const auto statement = cutter.next(false);
            const auto& words = statement.words;
            using End = Statement::End;
            if (statement.end == End::block_closes) {
                if (other > 0)
                    --other;
                else
                    table.reset();
                continue;
            }
            if (!words.empty() && other == 0) top(statement, words, table, cutter, path, depth, other);
            if (statement.end == End::file) return;
        }
    }

    void top(const Statement& statement, const std::vector<std::string>& words, Table& table, Cutter& cutter,
             const std::filesystem::path& path, int depth, int& other) {
        std::size_t i = 0;
        bool insert = false;
        if (words[0] == "add" || words[0] == "create" || words[0] == "insert") {
            insert = words[0] == "insert";
            i = 1;
        }
        if (i >= words.size()) return;
        const bool opens = statement.end == Statement::End::block_opens;
        const auto& what = words[i++];
        if (what == "include") {
            for (const auto& found : included(words)) file(found, depth + 1, table);
            return;
        }
        if (what == "flush" || what == "delete" || what == "destroy" || what == "replace") {
            taken_away(words, what == "flush");
            return;
        }
        std::string family = table ? table->first : "ip";
        std::string table_name = table ? table->second : "";
        if (!table && i < words.size() && is_family(words[i])) family = words[i++];
        const auto take = [&] { return i < words.size() ? words[i++] : std::string{}; };
        if (what == "table") {
            if (opens) table = {family, take()};
        } else if (what == "chain") {
            if (!table) table_name = take();
            const ChainName name{family, table_name, take()};
            if (opens) chain(cutter, name, path, depth);
        } else if (what == "rule") {
            if (!table) table_name = take();
            const ChainName name{family, table_name, take()};
            rule(source_.chains[name], statement, path, insert, i);
        } else if (opens) {
            ++other;
        }
    }

    // `flush ruleset`, `delete table inet filter` ...: what stood before is no more.
    void taken_away(const std::vector<std::string>& words, bool flushed) {
        std::size_t i = 1;
        const auto take = [&] { return i < words.size() ? words[i++] : std::string{}; };
        const auto what = take();
        if (what == "ruleset") source_.chains.clear();
        const auto family = i < words.size() && is_family(words[i]) ? take() : std::string{"ip"};
        const auto table = take(), name = take();
        const auto all = [&](const ChainName& chain) { return chain.family == family && chain.table == table; };
        if (what == "table" && flushed) {
            for (auto& [chain, rules] : source_.chains)
                if (all(chain)) rules.rules.clear();
        } else if (what == "table") {
            std::erase_if(source_.chains, [&](const auto& entry) { return all(entry.first); });
        } else if (what == "chain" && flushed) {
            source_.chains[{family, table, name}].rules.clear();
        } else if (what == "chain") {
            source_.chains.erase({family, table, name});
        } else if (what == "rule") {
            source_.chains[{family, table, name}].certain = false;
        }
    }

    void chain(Cutter& cutter, const ChainName& name, const std::filesystem::path& path, int depth) {
        auto& chain = source_.chains[name];
        const auto last = rules_of(cutter, chain, path, depth);
        chain.end = Place{path.string(), last.line, "}", last.alone};
    }

    // Rules up to the end of the block, or of an included file.
    Statement rules_of(Cutter& cutter, ChainSource& chain, const std::filesystem::path& path, int depth) {
        for (;;) {
            auto statement = cutter.next(true);
            const auto& words = statement.words;
            if (statement.end == Statement::End::block_closes || words.empty()) return statement;
            const Place place{path.string(), statement.line, statement.text, statement.alone};
            const auto& first = words[0];
            static const std::set<std::string, std::less<>> no_rules = {"type",   "comment", "flags",    "devices",
                                                                        "device", "define",  "redefine", "undefine"};
            if (first == "policy") {
                chain.policy = place;
            } else if (first == "include") {
                for (const auto& found : included(words)) {
                    const auto text = read_(found);
                    if (!text || depth >= include_depth_max) continue;
                    source_.files.push_back(found);
                    Cutter inner{*text};
                    rules_of(inner, chain, found, depth + 1);
                }
            } else if (!no_rules.contains(first)) {
                chain.rules.push_back(place);
            }
            if (statement.end == Statement::End::file) return statement;
        }
    }

    void rule(ChainSource& chain, const Statement& statement, const std::filesystem::path& path, bool insert,
              std::size_t i) {
        const Place place{path.string(), statement.line, statement.text, statement.alone,
                          insert ? Place::Written::inserted : Place::Written::appended};
        const auto& words = statement.words;
        if (i < words.size() && (words[i] == "position" || words[i] == "handle" || words[i] == "index"))
            chain.certain = false;
        chain.rules.insert(insert ? chain.rules.begin() : chain.rules.end(), place);
    }

    // Relative to the directory of the file that is loaded, as nft is told to; else to /etc, nft's own.
    std::vector<std::filesystem::path> included(const std::vector<std::string>& words) const {
        if (words.size() < 2 || words[1].size() < 2) return {};
        const std::filesystem::path wanted = words[1].substr(1, words[1].size() - 2);
        for (const auto& directory : {directory_, std::filesystem::path{"/etc"}}) {
            const auto path = wanted.is_absolute() ? wanted : directory / wanted;
            if (wanted.string().find_first_of("*?[") == std::string::npos) {
                if (read_(path)) return {path};
                continue;
            }
            std::vector<std::filesystem::path> files;
            glob_t found{};
            if (::glob(path.c_str(), 0, nullptr, &found) == 0)
                for (std::size_t k = 0; k < found.gl_pathc; ++k) files.emplace_back(found.gl_pathv[k]);
            ::globfree(&found);
            if (!files.empty()) return files;
        }
        return {};
    }

    std::filesystem::path directory_;
    Source& source_;
    const ReadFile& read_;
};

// `-s a,b -d c,d` is one rule for each pair of addresses.
std::size_t copies(std::istringstream words) {
    std::size_t count = 1;
    for (std::string word, before; words >> word; before = word)
        if (before == "-s" || before == "-d" || before == "--source" || before == "--src" ||
            before == "--destination" || before == "--dst")
            count *= 1 + static_cast<std::size_t>(std::ranges::count(word, ','));
    return count;
}

void read_iptables(Source& source, const std::filesystem::path& path, const std::string& text) {
    source.files.push_back(path);
    std::istringstream lines{text};
    std::string line, table = "filter";
    for (unsigned number = 1; std::getline(lines, line); ++number) {
        source.lines = number;
        while (!line.empty() && blank(line.back())) line.pop_back();
        std::istringstream words{line};
        std::string first, chain;
        words >> first;
        Place place{path.string(), number, line, true, Place::Written::appended};
        if (first.starts_with('[')) {  // iptables-save -c: counters before the rule
            words >> first;
        }
        if (first.starts_with('*')) {
            table = first.substr(1);
        } else if (first.starts_with(':')) {
            std::string policy;
            words >> policy;
            auto& entry = source.chains[{"ip", table, first.substr(1)}];
            if (policy != "-") entry.policy = place;
        } else if (first == "-P" || first == "--policy") {
            words >> chain;
            source.chains[{"ip", table, chain}].policy = place;
        } else if (first == "-A" || first == "--append") {
            words >> chain;
            auto& rules = source.chains[{"ip", table, chain}].rules;
            rules.insert(rules.end(), copies(std::istringstream{line}), place);
        } else if (first == "-I" || first == "--insert") {
            words >> chain;
            auto& entry = source.chains[{"ip", table, chain}];
            std::size_t at = 1;
            if (std::string index;
                words >> index && std::ranges::all_of(index, [](unsigned char c) { return std::isdigit(c); }))
                at = std::stoul(index.substr(0, 6));
            place.written = Place::Written::inserted;
            const auto many = copies(std::istringstream{line});
            if (many > 1 && at > 1) entry.certain = false;
            entry.rules.insert(entry.rules.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                         std::max<std::size_t>(at, 1) - 1, entry.rules.size())),
                               many, place);
        } else if (first == "-F" || first == "--flush") {
            words >> chain;
            for (auto& [name, entry] : source.chains)
                if (name.table == table && (chain.empty() || name.chain == chain)) entry.rules.clear();
        } else if (first == "-D" || first == "-R" || first == "--delete" || first == "--replace") {
            words >> chain;
            source.chains[{"ip", table, chain}].certain = false;
        } else if (first == "COMMIT") {
            for (auto& [name, entry] : source.chains)
                if (name.table == table) entry.end = place;
        }
    }
}

}  // namespace

Dialect dialect_of(std::string_view ruleset) {
    if (ruleset.starts_with("\xEF\xBB\xBF")) ruleset.remove_prefix(3);  // a mark some editors write: refused later
    std::istringstream lines{std::string{ruleset}};
    for (std::string line; std::getline(lines, line);) {
        const auto start = line.find_first_not_of(" \t\r");
        if (start == std::string::npos || line[start] == '#') continue;
        const auto rest = std::string_view{line}.substr(start);
        return rest.starts_with('*') || rest.starts_with("-A ") || rest.starts_with("-P ") || rest.starts_with(":")
                   ? Dialect::iptables
                   : Dialect::nft;
    }
    return Dialect::nft;
}

std::optional<std::string> read_from_disk(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    if (!in) return std::nullopt;
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

std::optional<std::filesystem::path> ipsets_beside(const std::filesystem::path& file, std::string_view text,
                                                   const ReadFile& read) {
    if (text.find("--match-set ") == std::string_view::npos && text.find("-j SET ") == std::string_view::npos)
        return std::nullopt;
    auto of_its_name = file;
    of_its_name.replace_extension(".ipset");
    for (const auto& path : {of_its_name, file.parent_path() / "ipsets"})
        if (read(path)) return path;
    return std::nullopt;
}

Source read_source(const std::filesystem::path& file, const ReadFile& read) {
    Source source;
    const auto text = read(file);
    if (!text) return source;
    source.dialect = dialect_of(*text);
    if (source.dialect == Dialect::iptables) {
        read_iptables(source, file, *text);
        if (auto sets = ipsets_beside(file, *text, read)) source.files.push_back(std::move(*sets));
    } else {
        NftReader{source, read}.file(file, 0);
    }
    return source;
}

}  // namespace wmlab::lab::rules
