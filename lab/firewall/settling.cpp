#include "lab/firewall/settling.hpp"

#include "lab/firewall/kernel_rules.hpp"
#include "lab/firewall/loading.hpp"
#include "lab/host/error.hpp"
#include "lab/programs/launcher.hpp"

namespace wmlab::lab {
namespace {

std::string saved_rules(const Namespace& firewall) {
    auto program = find_program("iptables-nft-save");
    if (program.empty()) program = find_program("/usr/sbin/iptables-nft-save");
    if (program.empty()) throw SetupFailed{"read the rules back", "iptables-nft-save is not installed", "install iptables (Debian: `apt install iptables`)"};
    auto result = run_tool(firewall, {program.string()});
    if (!result.ending.ok()) throw SetupFailed{"read the rules back", result.output.empty() ? result.ending.text() : result.output};
    return std::move(result.output);
}

}  // namespace

rules::PastRules past_rules(const Namespace& firewall, rules::Dialect dialect) {
    if (dialect == rules::Dialect::iptables) return rules::PastRules::of_iptables(saved_rules(firewall));
    return rules::PastRules::of_nft(running_json(firewall));
}

std::vector<std::size_t> settle_rules(const Namespace& firewall, rules::Dialect dialect, const rules::PastRules& past, const std::vector<rules::Past>& pasts) {
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < past.rules().size(); ++i)
        if (!past.rules()[i].settles) left.push_back(i);
    const auto all = past.with(pasts);
    if (all.empty()) return left;
    if (dialect == rules::Dialect::iptables) {
        restore_iptables(firewall, all);
        return left;
    }
    try {
        load_json(firewall, all);
    } catch (const SetupFailed&) {
        for (std::size_t i = 0; i < past.rules().size(); ++i) {  // which of them it is
            if (!past.rules()[i].settles) continue;
            try {
                load_json(firewall, past.with(pasts, i));
            } catch (const SetupFailed&) {
                left.push_back(i);
            }
        }
    }
    return left;
}

}  // namespace wmlab::lab
