// iptables-save files: the rules of each chain in order, with their lines.
#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

#include "lab/rules/source_reader.hpp"

namespace wmlab::lab::rules {
namespace {

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
        } else if (!quoted && is_blank(c)) {
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
    return word == "-s" || word == "-d" || word == "--source" || word == "--src" || word == "--destination" || word == "--dst";
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
        return !word.empty() && word.size() < 8 && std::ranges::all_of(word, [](unsigned char c) { return std::isdigit(c); });
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto& word = words[i];
        if (i == 0 && word.starts_with('[') && word.ends_with(']')) continue;  // iptables-save -c: its counters
        if (word == "-6" || word == "--ipv6") line.other_family = true;
        if (word == "-4" || word == "--ipv4" || word == "-6" || word == "--ipv6") continue;
        auto operation = operations.find(word);
        std::string chain;
        if (operation == operations.end() && line.operation == 0 && word.size() > 2 && word[0] == '-' && word[1] != '-') {
            operation = operations.find(word.substr(0, 2));  // -AFORWARD
            chain = word.substr(2);
        }
        if (line.operation == 0 && operation != operations.end()) {
            line.operation = operation->second;
            line.chain = !chain.empty() ? chain : i + 1 < words.size() && !words[i + 1].starts_with('-') ? words[++i] : std::string{};
            const bool numbered = line.operation == 'I' || line.operation == 'D' || line.operation == 'R';
            if (numbered && i + 1 < words.size() && is_number(words[i + 1])) line.number = std::stoul(words[++i]);
            continue;
        }
        if (is_address_option(word) && i + 1 < words.size()) line.copies *= 1 + static_cast<std::size_t>(std::ranges::count(words[i + 1], ','));
        // -p brings its own match along.
        if (word == "-m" && i + 1 < words.size() && (words[i + 1] == "tcp" || words[i + 1] == "udp" || words[i + 1] == "icmp")) {
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
            while (!line.empty() && is_blank(line.back())) line.pop_back();
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
                if (chain.table == table_ && (line.chain.empty() || chain.chain == line.chain)) entry.rules.clear(), matches_[chain].clear();
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
            chain.rules.erase(chain.rules.begin() + static_cast<std::ptrdiff_t>(where), chain.rules.begin() + static_cast<std::ptrdiff_t>(where + many));
            matches.erase(matches.begin() + static_cast<std::ptrdiff_t>(where), matches.begin() + static_cast<std::ptrdiff_t>(where + many));
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

void read_iptables(Source& source, const std::filesystem::path& file, const std::string& text) { IptablesReader{source, file}.read(text); }

}  // namespace wmlab::lab::rules
