// Where each rule of a ruleset file stands: the file's rule statements and chain policies with file and line, in the
// order in which the kernel holds the rules of each chain. Reads the nftables language and iptables-save files far
// enough for that, no further: what a rule means is asked of the kernel (ruleset.hpp).
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace wmlab::lab::rules {

struct Place {
    std::string file;   // as the user named it; an included file's own path
    unsigned line = 0;  // from 1; of the statement's first word
    std::string text;   // the statement, blanks folded, comments and continuations gone
    bool alone = true;  // nothing stands before it on its line: a rule may be put on a line of its own before it
    enum class Written {
        in_block,  // inside `chain { ... }`
        appended,  // a command: `add rule ...`, `-A`
        inserted   // a command that puts the rule first, or among those before: `insert rule ...`, `-I`
    } written = Written::in_block;
    bool operator==(const Place&) const = default;
};

enum class Dialect { nft, iptables };
Dialect dialect_of(std::string_view ruleset);  // by content: a line "*filter" or "-A FORWARD" is iptables-save

struct ChainName {
    std::string family, table, chain;
    std::string text() const { return family + " " + table + " " + chain; }
    auto operator<=>(const ChainName&) const = default;
};

struct ChainSource {
    std::vector<Place> rules;     // in the kernel's order
    std::optional<Place> policy;  // the statement that sets it, if there is one
    std::optional<Place> end;     // nft: the closing brace; iptables: the COMMIT: a rule put before it comes last
    bool certain = true;          // false: the order could not be followed; do not name lines
    // nft: rules put in by index, position or handle. The kernel numbers rules as they are made: `created` are all of
    // this chain in the order of the statements, of which those with the handles `gone` were deleted.
    bool by_number = false;  // so, or iptables' -I n, -R n, -D n: what is put between moves what follows
    std::vector<Place> created;
    std::set<std::uint64_t> gone;
    std::map<std::uint64_t, Place> replaced;  // by handle, which stays
};

struct Include {
    Place place;                               // of the statement
    std::string pattern;                       // as it is written
    std::vector<std::filesystem::path> files;  // that it brought
    bool elsewhere = false;  // they are this machine's own: neither beside the ruleset nor from the include path
    std::string problem;     // "rules.d/old is not a file": nft might wait for it for ever
};

struct Source {
    Dialect dialect = Dialect::nft;
    std::map<ChainName, ChainSource> chains;
    std::vector<std::filesystem::path> files;  // the file itself, what it includes, the ipsets beside it
    std::vector<Include> includes;
    std::set<std::string> devices;  // nft: what chains and flowtables are bound to, definitions filled in
    bool takes_away = false;        // nft: a statement flushes, or deletes rules, of what runs already
    unsigned lines = 0;             // of the file itself
};

inline constexpr std::size_t text_size_max = std::size_t{256} << 20;  // of one file

// Reads a file's text; replaced in tests. Nothing: it cannot be read, is no file (but a pipe that the shell handed over is read), or is larger than that.
using ReadFile = std::function<std::optional<std::string>(const std::filesystem::path&)>;
std::optional<std::string> read_from_disk(const std::filesystem::path& path);

// The ipsets that an iptables-save file matches by: what `ipset save` printed, in a file beside it, either of the same
// name and the extension .ipset or named ipsets, as netfilter-persistent has it. Nothing: there is none. It may be one that cannot be read.
std::optional<std::filesystem::path> ipsets_beside(const std::filesystem::path& file, std::string_view text,
                                                   const ReadFile& read = read_from_disk);

// `include_path`: folders besides the file's own for what it includes, also for what it includes by an absolute name.
using IncludePath = std::vector<std::filesystem::path>;
Source read_source(const std::filesystem::path& file, const ReadFile& read = read_from_disk,
                   const IncludePath& include_path = {});

// The text with every `include "/..."` that the include path has naming the file there; nothing: there is none.
std::optional<std::string> with_includes_from(const std::string& text, const IncludePath& include_path);

}  // namespace wmlab::lab::rules
