// Reads the rules the firewall's kernel holds, joined with the user's file, and loads rules of our own beside them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "lab/host/namespaces.hpp"
#include "lab/rules/ruleset.hpp"

struct nft_ctx;

namespace wmlab::lab {

// After load_ruleset(): `file` is what was loaded. SetupFailed.
rules::Ruleset read_ruleset(const Namespace& firewall, const std::filesystem::path& file,
                            const rules::IncludePath& include_path = {});
// The same where the places of the rules are known already: of a firewall whose rules nobody loaded here.
rules::Ruleset read_ruleset(const Namespace& firewall, const rules::Source& source);

// What `nft list ruleset` prints there. SetupFailed.
std::string running_listing(const Namespace& firewall);

// The same in JSON, with handles (libnftables-json(5)).
std::string running_json(const Namespace& firewall);

// nft's listing, without handles, counters and what else changes.
std::string list_rules(const Namespace& firewall);

// What the trace table has counted: packets that came too fast to be traced.
std::uint64_t untraced_packets(const Namespace& firewall);

// Takes rules out, as read_ruleset() has read them. SetupFailed.
void take_out(const Namespace& firewall, std::span<const rules::Rule* const> rules);

// Rules of our own in tables with the flag `owner`: the kernel removes them with this object, or with the process,
// whatever ends it. SetupFailed: the kernel lacks something (the flag came with Linux 5.12); nothing is left behind.
class OwnedRules {
public:
    OwnedRules(const Namespace& firewall, const std::string& nft);
    void add(const std::string& nft);

private:
    struct Free {
        void operator()(nft_ctx* context) const;
    };
    std::unique_ptr<nft_ctx, Free> context_;
};

// Loads nftables text (the trace table). SetupFailed: the kernel lacks something; the user's rules are untouched.
void load_rules(const Namespace& firewall, const std::string& nft);
// The same in JSON, in a process of its own: there are rules of which libnftables 1.0.6 writes JSON that ends it when it reads it again.
void load_json(const Namespace& firewall, const std::string& json);

}  // namespace wmlab::lab
