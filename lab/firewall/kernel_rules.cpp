#include "lab/firewall/kernel_rules.hpp"

#include <fcntl.h>
#include <nftables/libnftables.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "lab/host/descriptor.hpp"
#include "lab/host/error.hpp"
#include "lab/host/remedy.hpp"
#include "lab/host/setsockopt.hpp"
#include "lab/rules/trace.hpp"

namespace wmlab::lab {
namespace {

class Mute {  // libnftables 1.0.6 complains on standard error about chains inside of rules that it writes as JSON
public:
    Mute() : before_{::fcntl(2, F_DUPFD_CLOEXEC, 3)} {
        const Descriptor nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
        if (before_ && nowhere) ::dup2(nowhere.get(), 2);
    }
    ~Mute() {
        if (before_) ::dup2(before_.get(), 2);
    }
    Mute(const Mute&) = delete;
    Mute& operator=(const Mute&) = delete;

private:
    Descriptor before_;
};

// Runs one nft command in the namespace and returns what it prints.
std::string nft(const Namespace& place, const std::string& command, unsigned output_flags, const std::string& step) {
    link_setsockopt();
    const Entered entered{place};
    const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> context{nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free};
    if (!context) throw setup_failed("start nftables", errno, remedy(Privilege::ruleset, errno));
    nft_ctx_buffer_error(context.get());
    nft_ctx_buffer_output(context.get());
    nft_ctx_output_set_flags(context.get(), output_flags);
    if (nft_run_cmd_from_buffer(context.get(), command.c_str()) != 0)
        throw SetupFailed{step, nft_ctx_get_error_buffer(context.get())};
    return nft_ctx_get_output_buffer(context.get());
}

// Makes a listing of rules that iptables made one that nft loads: extensions that nft has no words for (`xt match
// recent`) are left out, and chains get other names, since iptables takes words of nft's (`reject`, `dynamic`) for
// them.
struct Loadable {
    std::string text;
    std::vector<std::string> chains;  // their names by number
};
Loadable loadable(const std::string& listing) {
    Loadable made;
    std::map<std::string, std::size_t> numbers;
    const auto rename = [&](std::string& line, std::string_view before) {
        auto at = line.rfind(before);  // the verdict comes last
        if (at == std::string::npos ||
            std::count(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(at), '"') % 2)
            return;
        at += before.size();
        const auto end = std::min(line.find(' ', at), line.size());
        const auto name = line.substr(at, end - at);
        const auto number = numbers.try_emplace(name, numbers.size()).first->second;
        if (number == made.chains.size()) made.chains.push_back(name);
        line.replace(at, end - at, "wmlab_chain_" + std::to_string(number));
    };
    std::istringstream lines{listing};
    for (std::string line; std::getline(lines, line); made.text += line + "\n") {
        if (line.starts_with("\tchain ")) {
            rename(line, "\tchain ");
            continue;
        }
        for (const std::string_view kind : {"xt match ", "xt target "})
            for (auto at = line.find(kind); at != std::string::npos; at = line.find(kind, at)) {
                const auto end = line.find(' ', at + kind.size());
                line.replace(at, end == std::string::npos ? end : end - at, "counter");
            }
        // A meter cannot be loaded by what its listing says; it is a limit all the same.
        for (auto at = line.find("meter "); at != std::string::npos; at = line.find("meter ", at + 1))
            if (const auto end = line.find('}', at); end != std::string::npos)
                line.replace(at, end + 1 - at, "limit rate 1/second");
        rename(line, " jump ");
        rename(line, " goto ");
    }
    return made;
}

// The rules once more, loaded as plain nftables.
std::string plain_json_of(const std::string& listing) {
    const auto scratch = Namespace::create("a second look at the rules");
    const auto [text, chains] = loadable(listing);
    nft(scratch, text, 0, "load the rules again as plain nftables");
    auto json = nft(scratch, "list ruleset", NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE, "list the rules");
    for (std::size_t number = 0; number < chains.size(); ++number) {
        const auto name = "\"wmlab_chain_" + std::to_string(number) + "\"";
        const auto real = boost::json::serialize(boost::json::string{chains[number]});
        for (auto at = json.find(name); at != std::string::npos; at = json.find(name, at + real.size()))
            json.replace(at, name.size(), real);
    }
    return json;
}

// libnftables 1.0.6 corrupts its memory when it writes a table with flags (`flags dormant`) as JSON: the others one by
// one. A dormant table decides nothing.
std::string json_of(const Namespace& firewall, const std::string& listing) {
    constexpr unsigned how = NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE;
    std::istringstream lines{listing};
    std::vector<std::string> plain;  // "inet filter"
    bool flags = false;
    for (std::string line, before; std::getline(lines, line); before = line) {
        if (line.starts_with("table ")) plain.push_back(line.substr(6, line.find(" {") - 6));
        if (!line.starts_with("\tflags ") || !before.starts_with("table ")) continue;
        flags = true;
        plain.pop_back();
    }
    std::optional<Mute> mute;
    if (listing.find(" jump {\n") != std::string::npos || listing.find(" goto {\n") != std::string::npos)
        mute.emplace();
    if (!flags) return nft(firewall, "list ruleset", how, "list the rules");
    boost::json::array all;
    for (const auto& table : plain) {
        const auto parsed = boost::json::parse(nft(firewall, "list table " + table, how, "list the rules"));
        if (const auto* items = parsed.is_object() ? parsed.get_object().if_contains("nftables") : nullptr;
            items != nullptr && items->is_array())
            all.insert(all.end(), items->get_array().begin(), items->get_array().end());
    }
    return boost::json::serialize(boost::json::object{{"nftables", std::move(all)}});
}

}  // namespace

rules::Ruleset read_ruleset(const Namespace& firewall, const std::filesystem::path& file,
                            const rules::IncludePath& include_path) {
    return read_ruleset(firewall, rules::read_source(file, rules::read_from_disk, include_path));
}

rules::Ruleset read_ruleset(const Namespace& firewall, const rules::Source& source) {
    const auto listing = nft(firewall, "list ruleset", NFT_CTX_OUTPUT_HANDLE, "list the rules");
    const auto json = json_of(firewall, listing);
    std::string plain;
    if (source.dialect == rules::Dialect::iptables) {
        try {  // extensions in nft's own words, where it has them
            plain = plain_json_of(listing);
        } catch (const SetupFailed&) {
            // a rule with an extension nft has no words for: such rules are compared as unknown, and never named
            // wrongly
        }
    }
    try {
        return rules::Ruleset::parse(json, listing, source, plain);
    } catch (const std::exception& failure) {
        throw SetupFailed{"read the rules back", failure.what()};
    }
}

std::string running_listing(const Namespace& firewall) { return nft(firewall, "list ruleset", 0, "list the rules"); }

std::string running_json(const Namespace& firewall) { return json_of(firewall, nft(firewall, "list ruleset", 0, "list the rules")); }

void OwnedRules::Free::operator()(nft_ctx* context) const { nft_ctx_free(context); }

OwnedRules::OwnedRules(const Namespace& firewall, const std::string& text) {
    link_setsockopt();
    const Entered entered{firewall};  // its socket, which owns the tables, stays there
    context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context_) throw setup_failed("start nftables", errno, remedy(Privilege::ruleset, errno));
    nft_ctx_buffer_error(context_.get());
    nft_ctx_buffer_output(context_.get());
    add(text);
}

void OwnedRules::add(const std::string& text) {
    if (nft_run_cmd_from_buffer(context_.get(), text.c_str()) != 0)
        throw SetupFailed{"load a table of our own beside the rules", nft_ctx_get_error_buffer(context_.get())};
}

std::string list_rules(const Namespace& firewall) {
    return nft(firewall, "list ruleset", NFT_CTX_OUTPUT_STATELESS, "list the rules");
}

std::uint64_t untraced_packets(const Namespace& firewall) {
    const auto text = nft(firewall, "list counters table inet " + std::string{rules::trace_table_name}, 0,
                          "read the trace table's counter");
    const auto at = text.find("packets ");
    return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 8, nullptr, 10);
}

void take_out(const Namespace& firewall, std::span<const rules::Rule* const> rules) {
    constexpr std::size_t at_once = 500;  // in one message, which must fit into an ordinary user's buffer
    for (std::size_t at = 0; at < rules.size(); at += at_once) {
        std::string commands;
        for (const auto* rule : rules.subspan(at, std::min(at_once, rules.size() - at)))
            commands += "delete rule " + rule->chain.text() + " handle " + std::to_string(rule->handle) + "\n";
        nft(firewall, commands, 0, "take rules out");
    }
}

void load_rules(const Namespace& firewall, const std::string& text) {
    nft(firewall, text, 0, "load rules of the lab itself");
}

void load_json(const Namespace& firewall, const std::string& json) {
    std::fflush(nullptr);
    const auto process = ::fork();
    if (process < 0) throw setup_failed("start a process to load rules", errno);
    if (process == 0) {
        const Descriptor nowhere{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
        if (nowhere) ::dup2(nowhere.get(), 2);
        int code = 1;
        try {
            nft(firewall, json, NFT_CTX_OUTPUT_JSON, "load rules of the lab itself");  // the flag is for what comes in, too
            code = 0;
        } catch (...) {  // the parent says it
        }
        ::_exit(code);
    }
    int status = 0;
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw SetupFailed{"load rules of the lab itself", "nftables does not read the JSON that it wrote of them"};
}

}  // namespace wmlab::lab
