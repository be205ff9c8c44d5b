// Files of the nftables language: the rules of each chain in order, with file and line, through includes.
#include <glob.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <system_error>

#include "lab/rules/nft_statements.hpp"
#include "lab/rules/source_reader.hpp"

namespace wmlab::lab::rules {
namespace {

constexpr int include_depth_max = 16;    // nft's own limit
constexpr int defines_depth_max = 4;     // of definitions by definitions
constexpr std::size_t files_max = 1024;  // files that include each other several times are ever more

bool is_family(std::string_view word) { return word == "ip" || word == "ip6" || word == "inet" || word == "arp" || word == "bridge" || word == "netdev"; }

class NftReader {
public:
    NftReader(Source& source, const ReadFile& read, const IncludePath& include_path) : source_{source}, read_{read}, include_path_{include_path} {}

    using Table = std::optional<std::pair<std::string, std::string>>;  // family, name

    void file(const std::filesystem::path& path, int depth, Table table = {}) {
        if (depth > include_depth_max || source_.files.size() >= files_max) return;
        const auto text = read_(path);
        if (!text) return;
        if (depth == 0) {
            directory_ = path.parent_path();
            source_.lines = static_cast<unsigned>(std::ranges::count(*text, '\n')) + (text->empty() || text->back() == '\n' ? 0 : 1);
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
            if (other > 0) bind(words);  // of a flowtable
            if (statement.end == End::file) return;
        }
    }

    void top(const Statement& statement, const std::vector<std::string>& words, Table& table, Cutter& cutter, const std::filesystem::path& path, int depth,
             int& other) {
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
        if (what == "define" || what == "redefine") {
            define(words);
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

    // `define LAN = { eth0, eth1 }`
    void define(const std::vector<std::string>& words) {
        std::string text;
        for (std::size_t i = 1; i < words.size(); ++i) text += words[i];
        const auto sign = text.find('=');
        if (sign != std::string::npos) defines_[text.substr(0, sign)] = text.substr(sign + 1);
    }

    // `type filter hook ingress device eth0 priority 0`, `devices = { eth0, $LAN }`
    void bind(const std::vector<std::string>& words) {
        for (auto word = words.begin(); word != words.end(); ++word) {
            const auto sign = std::min(word->find('='), word->size());
            const auto what = std::string_view{*word}.substr(0, sign);
            if (what != "device" && what != "devices") continue;
            auto value = word->substr(std::min(sign + 1, word->size()));
            while (value.empty() && ++word != words.end())
                if (*word != "=") value = *word;
            add_devices(value, 0);
            if (word == words.end()) return;
        }
    }

    void add_devices(std::string_view list, int depth) {
        while (!list.empty()) {
            const auto end = std::min(list.find_first_of(",{} \t"), list.size());
            const auto name = list.substr(0, end);
            list.remove_prefix(std::min(end + 1, list.size()));
            if (name.starts_with('$')) {
                const auto given = defines_.find(name.substr(1));
                if (given != defines_.end() && depth < defines_depth_max) add_devices(given->second, depth + 1);
            } else if (name.size() > 1 && name.starts_with('"') && name.ends_with('"')) {
                source_.devices.emplace(name.substr(1, name.size() - 2));
            } else if (!name.empty()) {
                source_.devices.emplace(name);
            }
        }
    }

    // `flush ruleset`, `delete table inet filter` ...: what stood before is no more.
    void taken_away(const std::vector<std::string>& words, bool flushed) {
        std::size_t i = 1;
        const auto take = [&] { return i < words.size() ? words[i++] : std::string{}; };
        const auto what = take();
        source_.takes_away = source_.takes_away || flushed || what == "table" || what == "chain" || what == "rule";
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
        chain.replaced[handle_in(words, i)] = {path.string(), statement.line, statement.text, statement.alone, Place::Written::inserted};
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
            static const std::set<std::string, std::less<>> no_rules = {"comment", "flags", "devices", "device", "undefine"};
            if (first == "policy") {
                chain.policy = place;
            } else if (first == "define" || first == "redefine") {
                define(words);
            } else if (first == "type") {
                bind(words);
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

    void rule(ChainSource& chain, const Statement& statement, const std::filesystem::path& path, bool insert, std::size_t i) {
        const Place place{path.string(), statement.line, statement.text, statement.alone, insert ? Place::Written::inserted : Place::Written::appended};
        const auto& words = statement.words;
        if (i < words.size() && (words[i] == "position" || words[i] == "handle" || words[i] == "index")) chain.by_number = true;
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
    std::map<std::string, std::string, std::less<>> defines_;
};

}  // namespace

void read_nft(Source& source, const std::filesystem::path& file, const ReadFile& read, const IncludePath& include_path) {
    NftReader{source, read, include_path}.file(file, 0);
    if (source.files.size() >= files_max)
        for (auto& [name, chain] : source.chains) chain.certain = false;
}

}  // namespace wmlab::lab::rules
