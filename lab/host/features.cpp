#include "lab/host/features.hpp"

#include <nftables/libnftables.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <regex>
#include <string_view>
#include <utility>
#include <vector>

#include "lab/host/error.hpp"
#include "lab/host/namespaces.hpp"
#include "lab/host/setsockopt.hpp"
#include "lab/host/vendor.hpp"

namespace wmlab::lab {
namespace {

struct Feature {
    std::string_view word;    // by which a rule asks for it
    std::string_view module;  // what the kernel calls it
    std::string_view trial;   // the least that needs it: a rule in a chain of `hook`, or a table's own block
    std::string_view hook = "forward", type = "filter";  // of the chain
};

constexpr std::array features{
    Feature{"flowtable", "nf_flow_table", "flowtable f {\n hook ingress priority 0\n }", ""},
    Feature{"flow add", "nft_flow_offload", "flowtable f {\n hook ingress priority 0\n }", ""},
    Feature{"flow offload", "nft_flow_offload", "flowtable f {\n hook ingress priority 0\n }", ""},
    Feature{"synproxy", "nft_synproxy", "synproxy mss 1460 wscale 7"},
    Feature{"tproxy", "nft_tproxy", "meta l4proto tcp tproxy ip to :1", "prerouting"},
    Feature{"socket", "nft_socket", "socket transparent 1", "prerouting"},
    Feature{"osf", "nft_osf", "osf name \"Linux\""},
    Feature{"fib", "nft_fib_inet", "fib saddr oif 0", "prerouting"},
    Feature{"ipsec", "nft_xfrm", "ipsec in reqid 1", "prerouting"},
    Feature{"ct helper", "nf_conntrack_ftp (or the helper named)", "ct helper h {\n type \"ftp\" protocol tcp\n }", ""},
    Feature{"ct count", "nft_connlimit", "ct count over 1"},
    Feature{"queue", "nft_queue", "queue num 0"},
    Feature{"dup", "nft_dup_ipv4", "dup to 127.0.0.1"},
    Feature{"numgen", "nft_numgen", "numgen inc mod 2 0"},
    Feature{"jhash", "nft_hash", "jhash ip saddr mod 2 0"},
    Feature{"quota", "nft_quota", "quota 1 bytes"},
    Feature{"limit", "nft_limit", "limit rate 1/second"},
    Feature{"log", "nft_log", "log"},
    Feature{"reject", "nft_reject_inet", "reject"},
    Feature{"masquerade", "nft_masq", "masquerade", "postrouting", "nat"},
    Feature{"redirect", "nft_redir", "redirect", "prerouting", "nat"},
    Feature{"dnat", "nft_nat", "dnat ip to 127.0.0.1", "prerouting", "nat"},
    Feature{"snat", "nft_nat", "snat ip to 127.0.0.1", "postrouting", "nat"},
};

// In a namespace of its own, which ends with it.
bool works(const Feature& feature) try {
    const auto scratch = Namespace::create("a feature's trial");
    const Entered inside{scratch};
    std::string text = "table inet trial {\n ";
    if (feature.hook.empty())
        text += std::string{feature.trial} + "\n";
    else
        text +=
            "chain c {\n type " + std::string{feature.type} + " hook " + std::string{feature.hook} + " priority 0\n " + std::string{feature.trial} + "\n }\n";
    text += "}\n";
    link_setsockopt();
    const std::unique_ptr<nft_ctx, decltype(&nft_ctx_free)> nft{nft_ctx_new(NFT_CTX_DEFAULT), nft_ctx_free};
    if (!nft) return true;
    nft_ctx_buffer_error(nft.get());
    nft_ctx_buffer_output(nft.get());
    return nft_run_cmd_from_buffer(nft.get(), text.c_str()) == 0;
} catch (const SetupFailed&) {  // no namespace to try it in
    return true;
}

bool mentions(const std::string& text, std::string_view word) {
    const auto is_letter = [&](std::size_t at) {
        return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '_');
    };
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
        if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + word.size())) return true;
    return false;
}

}  // namespace

std::string lacking_feature(const std::string& message) {
    constexpr std::array<std::string_view, 4> signs{"No such file or directory", "Operation not supported",
                                                    "Protocol not supported", "No such device"};
    bool sign = false;
    for (const auto text : signs) sign = sign || message.find("rule: " + std::string{text}) != std::string::npos;
    if (!sign) return {};
    for (const auto& feature : features)
        if (mentions(message, feature.word) && !works(feature))
            return "this kernel has no `" + std::string{feature.word} +
                   "`, or may not load its module for an ordinary user: run `modprobe " + std::string{feature.module} +
                   "` as root, or use a kernel that has it; or leave the rule out of the test";
    return {};
}

std::string lacking_extension(const std::string& message) {
    std::smatch found;
    if (std::regex_search(message, found, std::regex{"Couldn't load (match|target) `([^']+)'"}))
        return "iptables has no " + found[1].str() + " `" + found[2].str() +
               "` on this machine: install the package that brings it (xtables-addons has geoip, TARPIT and others), or leave the rule out of the test";
    if (std::regex_search(message, found, std::regex{"Extension ([^ ]+) [^\n]*missing kernel module"}))
        return "this kernel has no `xt_" + found[1].str() + "`: run `modprobe xt_" + found[1].str() +
               "` as root, or use a kernel that has it; or leave the rule out of the test";
    return {};
}

std::string wrong_form(std::string_view ruleset) {
    if (ruleset.starts_with("\xFF\xFE") || ruleset.starts_with("\xFE\xFF"))
        return "it is UTF-16 text, which neither nft nor iptables-restore reads: `iconv -f UTF-16 -t UTF-8`";
    if (ruleset.starts_with("\xEF\xBB\xBF"))
        return "it begins with a byte order mark, which neither nft nor iptables-restore reads: `sed -i '1s/^\\xEF\\xBB\\xBF//'`";
    if (ruleset.find("\r\n") != std::string_view::npos)
        return "its lines end as on Windows (CR LF), which neither nft nor iptables-restore reads: `sed -i 's/\\r$//'`";
    const auto first = ruleset.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && ruleset[first] == '{' &&
        ruleset.substr(first, 80).find("\"nftables\"") != std::string_view::npos)
        return "it is nft's JSON, where no rule has a line: take the output of `nft list ruleset`";
    if (ruleset.find("xt match ") != std::string_view::npos || ruleset.find("xt target ") != std::string_view::npos)
        return "it is the listing of rules that iptables made, which nft cannot load again: take the output of `iptables-save`";
    if (auto vendor = vendor_form(ruleset); !vendor.empty()) return vendor;
    for (const std::string_view tool : {"iptables", "nft"}) {
        for (auto at = ruleset.find(tool); at != std::string_view::npos; at = ruleset.find(tool, at + 1)) {
            auto begin = ruleset.rfind('\n', at) + 1;  // npos + 1: the text's beginning
            while (begin < at && (ruleset[begin] == ' ' || ruleset[begin] == '\t')) ++begin;
            auto before = ruleset.substr(begin, at - begin);
            const auto equals = before.find('=');  // NFT=/usr/sbin/nft
            const bool assigned = equals != std::string_view::npos && before.find(' ') == std::string_view::npos;
            if (assigned) before.remove_prefix(equals + 1);
            const bool command = before.empty() || before == "\"" || (before.front() == '/' && before.back() == '/');
            const bool called = ruleset.substr(at + tool.size()).starts_with(' ');
            if (!command || !(assigned || called)) continue;
            return "it is a shell script that calls " + std::string{tool} +
                   ", not a ruleset: let it run where it does no harm and take what it made: `unshare -rn sh -c 'sh SCRIPT >&2; " +
                   (tool == "nft" ? "nft list ruleset" : "iptables-save") + "' > FILE`";
        }
    }
    return {};
}

unsigned too_deep(std::string_view ruleset) {
    constexpr int most = 2;
    std::vector<bool> nameless;  // of each open brace
    std::string word, before;
    unsigned line = 1;
    for (std::size_t at = 0; at < ruleset.size(); ++at) {
        const char c = ruleset[at];
        if (c == '#') at = std::min(ruleset.find('\n', at), ruleset.size()) - 1;
        if (c == '"') at = std::min(ruleset.find('"', at + 1), ruleset.size());
        if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
            word += c;
            continue;
        }
        if (!word.empty()) before = std::exchange(word, {});
        if (c == '\n') ++line;
        if (c == '{') {
            nameless.push_back(before == "jump" || before == "goto");
            if (std::ranges::count(nameless, true) > most) return line;
        }
        if (c == '}' && !nameless.empty()) nameless.pop_back();
        if (c != ' ' && c != '\t') before.clear();
    }
    return 0;
}

std::string hint_about(const std::string& message) {
    std::smatch found;
    if (std::regex_search(message, found, std::regex{"Set ([^ ]+) doesn't exist"}))
        return "the rules use the ipset `" + found[1].str() +
               "`, which iptables-save does not contain: put what `ipset save` prints beside the file, under its name with the extension .ipset, or as a file `ipsets`";
    if (std::regex_search(message, found, std::regex{"Chain '([^']+)' does not exist"}))
        return "there is neither a chain `" + found[1].str() + "` (a line `:" + found[1].str() +
               " - [0:0]` in the file) nor an iptables target of that name on this machine";
    return {};
}

}  // namespace wmlab::lab
