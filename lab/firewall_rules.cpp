#include "lab/firewall_rules.hpp"

#include <nftables/libnftables.h>

#include <cerrno>
#include <memory>

#include "lab/error.hpp"
#include "lab/remedy.hpp"
#include "lab/setsockopt.hpp"

namespace wmlab::lab {
namespace {

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

// The listing without what cannot be loaded again: counters' numbers and warnings are fine, handles are comments.
std::string plain_json_of(const std::string& listing) {
    const auto scratch = Namespace::create("a second look at the rules");
    nft(scratch, listing, 0, "load the rules again as plain nftables");
    return nft(scratch, "list ruleset", NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE, "list the rules");
}

}  // namespace

rules::Ruleset read_ruleset(const Namespace& firewall, const std::filesystem::path& file) {
    const auto source = rules::read_source(file);
    const auto json = nft(firewall, "list ruleset", NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_HANDLE, "list the rules");
    const auto listing = nft(firewall, "list ruleset", NFT_CTX_OUTPUT_HANDLE, "list the rules");
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

void load_rules(const Namespace& firewall, const std::string& text) { nft(firewall, text, 0, "load the trace table"); }

}  // namespace wmlab::lab
