#include "lab/firewall/loading.hpp"

#include <fcntl.h>
#include <nftables/libnftables.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "common/bytes/read_file.hpp"
#include "lab/firewall/missing.hpp"
#include "lab/firewall/ruleset_file.hpp"
#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/host/features.hpp"
#include "lab/host/remedy.hpp"
#include "lab/host/setsockopt.hpp"
#include "lab/programs/launcher.hpp"

namespace wmlab::lab {
namespace {

// nft looks for `include "./x"` in the working directory.
class WorkingDirectory {
public:
    explicit WorkingDirectory(const std::filesystem::path& directory)
        : before_{::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)} {
        if (::chdir(directory.c_str()) != 0) throw setup_failed("enter the directory " + directory.string(), errno);
    }
    ~WorkingDirectory() {
        if (before_ && ::fchdir(before_.get()) != 0) std::perror("wmlab: back to the working directory");
    }
    WorkingDirectory(const WorkingDirectory&) = delete;
    WorkingDirectory& operator=(const WorkingDirectory&) = delete;

private:
    Descriptor before_;
};

void replace_all(std::string& text, const std::string& what, const std::string& by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
}

// nftables sends a ruleset in one message, which must fit into the socket's buffer: at most twice net.core.wmem_max for
// an ordinary user, and that is a setting of the machine, not of a namespace.
constexpr const char* too_long = "Message too long";
SetupFailed too_large(const std::filesystem::path& file) {
    std::string limit;
    std::ifstream{"/proc/sys/net/core/wmem_max"} >> limit;
    return {"load " + file.string(),
            "the ruleset is larger than an ordinary user may send to the kernel in one message" +
                (limit.empty() ? "" : " (net.core.wmem_max is " + limit + ")"),
            "run wmlab as root, or raise the limit as root: `sysctl -w net.core.wmem_max=67108864`"};
}

void load_nft(const std::filesystem::path& file, const std::string& text, const rules::IncludePath& include_path) {
    link_setsockopt();
    const auto absolute = std::filesystem::absolute(file);
    const auto directory_of_file = absolute.parent_path();
    const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> nft{nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free};
    if (!nft) throw setup_failed("start nftables", errno, remedy(Privilege::ruleset, errno));
    nft_ctx_buffer_error(nft.get());
    nft_ctx_buffer_output(nft.get());
    nft_ctx_clear_include_paths(nft.get());
    nft_ctx_add_include_path(nft.get(), directory_of_file.c_str());
    for (const auto& path : include_path) nft_ctx_add_include_path(nft.get(), path.c_str());
    nft_ctx_add_include_path(nft.get(), "/etc");
    const WorkingDirectory directory{directory_of_file};
    const auto moved = rules::with_includes_from(text, include_path);
    if ((moved ? nft_run_cmd_from_buffer(nft.get(), moved->c_str())
               : nft_run_cmd_from_filename(nft.get(), absolute.c_str())) == 0)
        return;

    std::string message = nft_ctx_get_error_buffer(nft.get());
    replace_all(message, absolute.string(), file.string());  // as the user named it
    if (moved) replace_all(message, "<cmdline>", file.string());
    if (message.find(too_long) != std::string::npos) throw too_large(file);
    if (message.find("Operation not permitted") != std::string::npos)
        throw SetupFailed{"load " + file.string(), message, remedy(Privilege::ruleset, EPERM)};
    if (const auto lacking = lacking_feature(message); !lacking.empty())
        throw SetupFailed{"load " + file.string(), message, lacking};
    if (message.empty()) message = file.string() + ": nftables gives no reason";
    // The kernel says so of what it was built without, and of names that do not exist.
    for (const auto* hint :
         {"Could not process rule: No such file or directory", "Could not process rule: Operation not supported"})
        if (message.find(hint) != std::string::npos) {
            message +=
                "wmlab: this kernel may lack what that line needs (a module nft_* or nf_*: flowtable, queue, a conntrack helper ...), or the line names what does not exist\n";
            break;
        }
    throw RulesetRefused{message};
}

// A file in parts of so many rules, each with its table's lines where they were and the others left empty: numbers of
// lines stay what they are.
struct Part {
    std::string text;
    bool first = false;  // of its table: with the chains and their policies
};
constexpr std::size_t lines_at_once = 200;

// iptables-nft-restore 1.8.9 ends with a segmentation fault where a rule is to be replaced that the same table of the
// same file has just made.
bool replaces(std::string_view line) { return line.starts_with("-R ") || line.starts_with("--replace "); }
bool replaces_rules(std::string_view text) {
    return text.find("\n-R ") != std::string_view::npos || text.find("\n--replace ") != std::string_view::npos;
}

std::vector<Part> parts_of(const std::string& text, std::size_t rules_max) {
    std::vector<std::string> lines;
    std::istringstream in{text};
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    std::vector<Part> parts;
    for (std::size_t table = 0; table < lines.size(); ++table) {
        if (!lines[table].starts_with('*')) continue;
        auto end = table;
        while (end < lines.size() && !lines[end].starts_with("COMMIT")) ++end;
        bool first = true;
        for (auto at = table + 1; first || at < end; first = false) {
            std::vector<std::string> kept(std::min(end + 1, lines.size()));
            kept[table] = lines[table];
            if (end < lines.size()) kept[end] = lines[end];
            for (std::size_t rules = 0; at < end && rules < rules_max; ++at) {
                if (replaces(lines[at]) && rules > 0) break;
                kept[at] = lines[at];
                rules += lines[at].starts_with('-') || lines[at].starts_with('[') ? 1 : 0;
            }
            Part part{{}, first};
            for (const auto& line : kept) part.text += line + "\n";
            parts.push_back(std::move(part));
        }
        table = end;
    }
    return parts;
}

// nft would open a named pipe and wait for who writes to it, and read a device for ever.
void refuse_endless_includes(const std::filesystem::path& file, const std::string& text, const rules::IncludePath& include_path) {
    if (text.find("include") == std::string::npos) return;
    for (const auto& include : rules::read_source(file, rules::read_from_disk, include_path).includes)
        if (!include.problem.empty())
            throw RulesetRefused{fmt::format("{}:{}: the include of \"{}\" cannot be loaded: {}\n", include.place.file, include.place.line,
                                             include.pattern, include.problem)};
}

void load_ipsets(const Namespace& firewall, const std::filesystem::path& sets) {
    auto program = find_program("ipset");
    if (program.empty()) program = find_program("/usr/sbin/ipset");
    if (program.empty())
        throw SetupFailed{"load " + sets.string(), "the rules match by ipsets and ipset is not installed",
                          "install ipset (Debian: `apt install ipset`)"};
    const auto text = bytes::read_file(sets, rules::text_size_max);
    if (!text) throw RulesetRefused{"the ipsets " + sets.string() + " cannot be loaded: " + text.error().problem};
    const auto result = run_tool(firewall, {program.string(), "-exist", "restore"}, *text);
    if (result.ending.ok()) return;
    throw RulesetRefused{sets.string() + ": " + (result.output.empty() ? result.ending.text() : result.output)};
}

void restore(const Namespace& firewall, const std::filesystem::path& file, const std::string& text) {
    auto program = find_program("iptables-nft-restore");
    if (program.empty()) program = find_program("/usr/sbin/iptables-nft-restore");
    if (program.empty())
        throw SetupFailed{"load " + file.string(), "it is an iptables-save file and iptables-nft-restore is not installed",
                          "install iptables (Debian: `apt install iptables`)"};
    auto result = run_tool(firewall, {program.string()}, text);
    // Its socket has the buffer that everyone has: less than one message of a long file needs, where nobody is root.
    if (!result.ending.ok() && (result.output.find(too_long) != std::string::npos || replaces_rules(text)))
        for (const auto& part : parts_of(text, lines_at_once)) {
            auto words = std::vector{program.string()};
            if (!part.first) words.emplace_back("--noflush");
            result = run_tool(firewall, words, part.text);
            if (!result.ending.ok()) break;
        }
    if (result.ending.ok()) return;
    if (result.output.find(too_long) != std::string::npos) throw too_large(file);
    if (const auto lacking = lacking_extension(result.output); !lacking.empty())
        throw SetupFailed{"load " + file.string(), result.output, lacking};
    auto message = file.string() + ": " + (result.output.empty() ? result.ending.text() : result.output);
    if (const auto hint = hint_about(result.output); !hint.empty())
        message += (message.ends_with('\n') ? "" : "\n") + hint + "\n";
    throw RulesetRefused{message};
}

}  // namespace

void restore_iptables(const Namespace& firewall, const std::string& text) { restore(firewall, "the rules of iptables-save", text); }

rules::Dialect load_ruleset(const Namespace& firewall, const std::filesystem::path& file,
                            const rules::IncludePath& include_path) {
    std::ifstream in{examine_ruleset(file)};
    std::ostringstream text;
    text << in.rdbuf();
    const auto dialect = rules::dialect_of(text.str());
    try {
        if (dialect == rules::Dialect::iptables) {
            if (const auto sets = rules::ipsets_beside(file, text.str())) load_ipsets(firewall, *sets);
            restore(firewall, file, text.str());
        } else {
            if (const auto line = too_deep(text.str()); line > 0)
                throw RulesetRefused{
                    fmt::format("{}:{}: chains without a name in each other, deeper than nft reads: give the inner one a name\n",
                                file.string(), line)};
            refuse_endless_includes(file, text.str(), include_path);
            const Entered entered{firewall};
            load_nft(file, text.str(), include_path);
        }
    } catch (const RulesetRefused& refused) {
        const auto form = wrong_form(text.str());
        const std::string message = refused.what();
        if (const auto key = key_that_gives(message); form.empty() && !key.empty())
            throw RulesetRefused{message + (message.ends_with('\n') ? "" : "\n") + "wmlab: " + key + "\n"};
        if (form.empty()) throw;
        throw RulesetRefused{file.string() + ": " + form + "\n" + message.substr(0, message.find('\n')) + "\n"};
    }
    return dialect;
}

}  // namespace wmlab::lab
