#include "lab/rules/source.hpp"

#include <glob.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <memory>
#include <set>
#include <sstream>
#include <system_error>

#include "common/bytes/read_file.hpp"

namespace wmlab::lab::rules {
namespace {

// Of something that is there: why its text is not read. Folders and what may not be read are left to the tools to tell of.
std::string unusable(const std::filesystem::path& path) {
    std::error_code failed;
    const auto status = std::filesystem::status(path, failed);
    if (failed || !std::filesystem::exists(status) || std::filesystem::is_directory(status) || path == "/dev/null") return {};
    if (!std::filesystem::is_regular_file(status)) return path.string() + " is not a file";
    const auto size = std::filesystem::file_size(path, failed);
    return !failed && size > text_size_max ? fmt::format("{} is larger than {} MB", path.string(), text_size_max >> 20) : std::string{};
}

constexpr int include_depth_max = 16;  // nft's own limit
constexpr std::size_t files_max = 1024; // files that include each other several times are ever more

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
    NftReader(Source& source, const ReadFile& read, const IncludePath& include_path)
        : source_{source}, read_{read}, include_path_{include_path} {}

    using Table = std::optional<std::pair<std::string, std::string>>;  // family, name

    void file(const std::filesystem::path& path, int depth, Table table = {}) {
        if (depth > include_depth_max || source_.files.size() >= files_max) return;
        const auto text = read_(path);
        if (!text) return;
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
            for (const auto& found : included(statement, path)) file(found, depth + 1, table);
            return;
        }
        if (what == "flush" || what == "delete" || what == "destroy") {
            taken_away(words, what == "flush");
            return;
        }
        if (what == "replace") {
            replaced(statement, path);
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
                if (all(chain)) empty(rules);
        } else if (what == "table") {
            std::erase_if(source_.chains, [&](const auto& entry) { return all(entry.first); });
        } else if (what == "chain" && flushed) {
            empty(source_.chains[{family, table, name}]);
        } else if (what == "chain") {
            source_.chains.erase({family, table, name});
        } else if (what == "rule") {
            gone(source_.chains[{family, table, name}], words, i);
        }
    }

    static void empty(ChainSource& chain) {
        chain.rules.clear();
        chain.created.clear();
        chain.gone.clear();
        chain.replaced.clear();
    }

    // `... handle 7`: which rule that is, the kernel's own numbers tell.
    static std::uint64_t handle_in(const std::vector<std::string>& words, std::size_t i) {
        std::uint64_t handle = 0;
        if (i + 1 < words.size() && words[i] == "handle") {
            const auto& text = words[i + 1];
            std::from_chars(text.data(), text.data() + text.size(), handle);
        }
        return handle;
    }

    static void gone(ChainSource& chain, const std::vector<std::string>& words, std::size_t i) {
        const auto handle = handle_in(words, i);
        chain.by_number = true;
        if (handle == 0 || !chain.gone.insert(handle).second) chain.certain = false;
    }

    void replaced(const Statement& statement, const std::filesystem::path& path) {
        const auto& words = statement.words;
        std::size_t i = 1;
        const auto take = [&] { return i < words.size() ? words[i++] : std::string{}; };
        if (take() != "rule") return;
        const auto family = i < words.size() && is_family(words[i]) ? take() : std::string{"ip"};
        const auto table = take(), name = take();
        auto& chain = source_.chains[{family, table, name}];
        chain.by_number = true;
        chain.replaced[handle_in(words, i)] = {path.string(), statement.line, statement.text, statement.alone,
                                               Place::Written::inserted};
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
                for (const auto& found : included(statement, path)) {
                    if (depth >= include_depth_max || source_.files.size() >= files_max) continue;
                    const auto text = read_(found);
                    if (!text) continue;
                    source_.files.push_back(found);
                    Cutter inner{*text};
                    rules_of(inner, chain, found, depth + 1);
                }
            } else if (!no_rules.contains(first)) {
                chain.rules.push_back(place);
                chain.created.push_back(place);
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
            chain.by_number = true;
        chain.created.push_back(place);
        chain.rules.insert(insert ? chain.rules.begin() : chain.rules.end(), place);
    }

    // Relative to the directory of the file that is loaded, as nft is told to, then to the include path; else to /etc,
    // nft's own.
    std::vector<std::filesystem::path> included(const Statement& statement, const std::filesystem::path& path) {
        const auto& words = statement.words;
        if (words.size() < 2 || words[1].size() < 2) return {};
        const std::filesystem::path wanted = words[1].substr(1, words[1].size() - 2);
        Include include{{path.string(), statement.line, statement.text, statement.alone}, wanted.string(), {}, false, {}};
        std::vector<std::filesystem::path> candidates;
        if (!wanted.is_absolute()) candidates.push_back(directory_ / wanted);
        for (const auto& directory : include_path_) candidates.push_back(directory / wanted.relative_path());
        const auto ours = candidates.size();
        candidates.push_back(wanted.is_absolute() ? wanted : "/etc" / wanted);
        for (std::size_t i = 0; i < candidates.size() && include.files.empty(); ++i) {
            include.files = files_like(candidates[i]);
            const auto own = std::filesystem::absolute(directory_.empty() ? std::filesystem::path{"."} : directory_);
            const auto near = candidates[i].lexically_normal().lexically_relative(own.lexically_normal()).string();
            include.elsewhere = i >= ours && (near.empty() || near.starts_with(".."));
        }
        for (const auto& file : include.files)
            if (include.problem.empty()) include.problem = unusable(file);
        source_.includes.push_back(include);
        return include.files;
    }

    std::vector<std::filesystem::path> files_like(const std::filesystem::path& path) const {
        if (path.string().find_first_of("*?[") == std::string::npos) {
            return read_(path) || !unusable(path).empty() ? std::vector{path} : std::vector<std::filesystem::path>{};
        }
        std::vector<std::filesystem::path> files;
        glob_t found{};
        if (::glob(path.c_str(), 0, nullptr, &found) == 0)
            for (std::size_t k = 0; k < found.gl_pathc; ++k) files.emplace_back(found.gl_pathv[k]);
        ::globfree(&found);
        return files;
    }

    std::filesystem::path directory_;
    Source& source_;
    const ReadFile& read_;
    const IncludePath& include_path_;
};

// A line of iptables-save, as iptables-restore takes it apart: what is in quotes is one word.
std::vector<std::string> iptables_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool quoted = false, any = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '\\' && i + 1 < line.size()) {
            word.push_back(line[++i]);
        } else if (c == '"') {
            quoted = !quoted;
            any = true;
        } else if (!quoted && blank(c)) {
            if (any || !word.empty()) words.push_back(std::move(word));
            word.clear();
            any = false;
        } else {
            word.push_back(c);
        }
    }
    if (any || !word.empty()) words.push_back(std::move(word));
    return words;
}

// A line that changes a chain: `-A FORWARD ...`, `--insert=INPUT 2 ...`, whatever stands before.
struct IptablesLine {
    char operation = 0;  // A, I, D, R, F, X, P, N, E; 0: none
    std::string chain;
    std::size_t number = 0;          // of -I, -D, -R; 0: not given
    std::size_t copies = 1;          // `-s a,b -d c,d` is one rule for each pair of addresses
    bool other_family = false;       // `-6`: iptables-restore leaves the line out
    std::vector<std::string> match;  // what the rule says, for -D
};

bool is_address_option(std::string_view word) {
    return word == "-s" || word == "-d" || word == "--source" || word == "--src" || word == "--destination" ||
           word == "--dst";
}

IptablesLine iptables_line(std::vector<std::string> words) {
    static const std::map<std::string, char, std::less<>> operations = {
        {"-A", 'A'}, {"--append", 'A'},  {"-I", 'I'}, {"--insert", 'I'},    {"-D", 'D'}, {"--delete", 'D'},
        {"-R", 'R'}, {"--replace", 'R'}, {"-F", 'F'}, {"--flush", 'F'},     {"-X", 'X'}, {"--delete-chain", 'X'},
        {"-P", 'P'}, {"--policy", 'P'},  {"-N", 'N'}, {"--new-chain", 'N'}, {"-E", 'E'}, {"--rename-chain", 'E'}};
    for (std::size_t i = 0; i < words.size(); ++i)  // --source=a is --source a
        if (const auto sign = words[i].find('='); words[i].starts_with("--") && sign != std::string::npos) {
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words[i].substr(sign + 1));
            words[i].resize(sign);
        }
    IptablesLine line;
    const auto is_number = [](std::string_view word) {
        return !word.empty() && word.size() < 8 &&
               std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c); });
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        if (i == 0 && word.starts_with('[') && word.ends_with(']')) continue;  // iptables-save -c: its counters
        if (word == "-6" || word == "--ipv6") line.other_family = true;
        if (word == "-4" || word == "--ipv4" || word == "-6" || word == "--ipv6") continue;
        auto operation = operations.find(word);
        std::string chain;
        if (operation == operations.end() && line.operation == 0 && word.size() > 2 && word[0] == '-' &&
            word[1] != '-') {
            operation = operations.find(word.substr(0, 2));  // -AFORWARD
            chain = word.substr(2);
        }
        if (line.operation == 0 && operation != operations.end()) {
            line.operation = operation->second;
            line.chain = !chain.empty()                                           ? chain
                         : i + 1 < words.size() && !words[i + 1].starts_with('-') ? words[++i]
                                                                                  : std::string{};
            const bool numbered = line.operation == 'I' || line.operation == 'D' || line.operation == 'R';
            if (numbered && i + 1 < words.size() && is_number(words[i + 1])) line.number = std::stoul(words[++i]);
            continue;
        }
        if (is_address_option(word) && i + 1 < words.size())
            line.copies *= 1 + static_cast<std::size_t>(std::ranges::count(words[i + 1], ','));
        // -p brings its own match along.
        if (word == "-m" && i + 1 < words.size() &&
            (words[i + 1] == "tcp" || words[i + 1] == "udp" || words[i + 1] == "icmp")) {
            ++i;
            continue;
        }
        line.match.push_back(word.ends_with("/32") ? word.substr(0, word.size() - 3) : word);
    }
    return line;
}

class IptablesReader {
public:
    IptablesReader(Source& source, const std::filesystem::path& path) : source_{source}, path_{path} {}

    void read(const std::string& text) {
        std::istringstream lines{text};
        std::string line;
        for (unsigned number = 1; std::getline(lines, line); ++number) {
            source_.lines = number;
            while (!line.empty() && blank(line.back())) line.pop_back();
            const auto start = line.find_first_not_of(" \t");
            if (start == std::string::npos || line[start] == '#') continue;
            statement(line, number);
        }
    }

private:
    void statement(const std::string& line, unsigned number) {
        auto words = iptables_words(line);
        if (words.empty()) return;
        const Place place{path_.string(), number, line, true, Place::Written::appended};
        const auto& first = words[0];
        if (first.starts_with('*')) {  // iptables-restore begins the table anew
            table_ = first.substr(1);
            std::erase_if(source_.chains, [&](const auto& entry) { return entry.first.table == table_; });
            matches_.clear();
        } else if (first.starts_with(':')) {
            auto& entry = source_.chains[{"ip", table_, first.substr(1)}];
            if (words.size() > 1 && words[1] != "-") entry.policy = place;
        } else if (first == "COMMIT") {
            for (auto& [name, entry] : source_.chains)
                if (name.table == table_) entry.end = place;
        } else {
            change(iptables_line(std::move(words)), place);
        }
    }

    void change(const IptablesLine& line, Place place) {
        if (line.operation == 0 || line.other_family) return;
        const ChainName name{"ip", table_, line.chain};
        if (line.operation == 'F') {
            for (auto& [chain, entry] : source_.chains)
                if (chain.table == table_ && (line.chain.empty() || chain.chain == line.chain))
                    entry.rules.clear(), matches_[chain].clear();
            return;
        }
        if (line.operation == 'X') {
            source_.chains.erase(name);
            return;
        }
        auto& chain = source_.chains[name];
        auto& matches = matches_[name];
        const auto at = std::min(std::max<std::size_t>(line.number, 1) - 1, chain.rules.size());
        const auto put = [&](std::size_t where) {
            chain.rules.insert(chain.rules.begin() + static_cast<std::ptrdiff_t>(where), line.copies, place);
            matches.insert(matches.begin() + static_cast<std::ptrdiff_t>(where), line.copies, line.match);
        };
        const auto take = [&](std::size_t where, std::size_t many) {
            chain.rules.erase(chain.rules.begin() + static_cast<std::ptrdiff_t>(where),
                              chain.rules.begin() + static_cast<std::ptrdiff_t>(where + many));
            matches.erase(matches.begin() + static_cast<std::ptrdiff_t>(where),
                          matches.begin() + static_cast<std::ptrdiff_t>(where + many));
        };
        switch (line.operation) {
            case 'P':
                chain.policy = place;
                break;
            case 'A':
                put(chain.rules.size());
                break;
            case 'I':
                place.written = Place::Written::inserted;
                chain.by_number = chain.by_number || line.number > 1;
                put(at);
                break;
            case 'R':
                place.written = Place::Written::inserted;
                chain.by_number = true;
                if (line.number == 0 || line.number > chain.rules.size() || line.copies > 1) {
                    chain.certain = false;
                } else {
                    take(at, 1);
                    put(at);
                }
                break;
            case 'D':
                if (line.number > 0) {
                    chain.by_number = true;
                    if (line.number <= chain.rules.size()) take(at, 1);
                } else if (const auto same = std::ranges::find(matches, line.match); same != matches.end()) {
                    take(static_cast<std::size_t>(same - matches.begin()), line.copies);
                } else {
                    chain.certain = false;
                }
                break;
            default:
                break;
        }
    }

    Source& source_;
    const std::filesystem::path& path_;
    std::string table_ = "filter";
    std::map<ChainName, std::vector<std::vector<std::string>>> matches_;
};

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
    auto text = bytes::read_file(path, text_size_max);
    return text ? std::optional{std::move(*text)} : std::nullopt;
}

std::optional<std::filesystem::path> ipsets_beside(const std::filesystem::path& file, std::string_view text,
                                                   const ReadFile& read) {
    if (text.find("--match-set ") == std::string_view::npos && text.find("-j SET ") == std::string_view::npos)
        return std::nullopt;
    auto of_its_name = file;
    of_its_name.replace_extension(".ipset");
    for (const auto& path : {of_its_name, file.parent_path() / "ipsets"})
        if (read(path) || !unusable(path).empty()) return path;
    return std::nullopt;
}

Source read_source(const std::filesystem::path& file, const ReadFile& read, const IncludePath& include_path) {
    Source source;
    const auto text = read(file);
    if (!text) return source;
    source.dialect = dialect_of(*text);
    if (source.dialect == Dialect::iptables) {
        source.files.push_back(file);
        IptablesReader{source, file}.read(*text);
        if (auto sets = ipsets_beside(file, *text, read)) source.files.push_back(std::move(*sets));
    } else {
        NftReader{source, read, include_path}.file(file, 0);
        if (source.files.size() >= files_max)
            for (auto& [name, chain] : source.chains) chain.certain = false;
    }
    return source;
}

std::optional<std::string> with_includes_from(const std::string& text, const IncludePath& include_path) {
    std::string moved = text;
    bool any = false;
    for (auto at = moved.find("include"); at != std::string::npos; at = moved.find("include", at + 1)) {
        const auto line = moved.rfind('\n', at);
        if (moved.find_first_not_of(" \t;{", line == std::string::npos ? 0 : line + 1) < at && moved[at - 1] != ';' &&
            moved[at - 1] != ' ')
            continue;
        const auto quote = moved.find_first_not_of(" \t", at + 7);
        if (quote == std::string::npos || moved[quote] != '"' || moved.compare(quote + 1, 1, "/") != 0) continue;
        const auto end = moved.find('"', quote + 1);
        if (end == std::string::npos) break;
        const std::filesystem::path wanted = moved.substr(quote + 1, end - quote - 1);
        for (const auto& directory : include_path) {
            const auto there = directory / wanted.relative_path();
            glob_t found{};
            const bool has = ::glob(there.c_str(), 0, nullptr, &found) == 0;
            ::globfree(&found);
            if (!has) continue;
            moved.replace(quote + 1, end - quote - 1, there.string());
            any = true;
            break;
        }
    }
    return any ? std::optional{moved} : std::nullopt;
}

}  // namespace wmlab::lab::rules
