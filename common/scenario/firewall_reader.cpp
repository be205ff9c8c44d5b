#include "common/scenario/firewall_reader.hpp"

#include "common/scenario/events.hpp"
#include "common/scenario/sections.hpp"
#include "common/scenario/staging_reader.hpp"
#include "common/scenario/surroundings.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

using yaml::Node;

class FirewallReader {
public:
    explicit FirewallReader(ReadContext& context) : context_{context}, scenario_{context.scenario}, problems_{context.problems} {}

    void read(MapReader& map) {
        if (const auto* ruleset = map.find("ruleset"))
            if (const auto given = map.text(*ruleset, "ruleset"))
                scenario_.firewall.ruleset = read_path(context_, *ruleset, *given, "ruleset", context_.files == Files::checked);
        if (const auto* routes = map.find("multicast_routes")) read_multicast_routes(*routes);
        if (const auto* apply = map.find("apply")) scenario_.firewall.apply = read_apply(map, *apply);
        read_staging(context_, map);
        read_surroundings(context_, map);
    }

private:
    void read_multicast_routes(const Node& node) {
        constexpr std::string_view like = "like - { from: inside, to: [outside], groups: 239.0.0.0/8 }";
        auto& rules = scenario_.firewall.multicast_routes.emplace();
        if (!node.is(Node::Kind::sequence)) {
            if (!node.is(Node::Kind::null)) problems_.add(node, "`multicast_routes` is not a list:", std::string{like});
            return;
        }
        for (const auto& item : node.items) {
            MapReader map{item, "a route of `multicast_routes`", problems_, std::string{like}};
            MulticastRouteRule rule;
            const auto zone = [&](const Node& at, std::string_view key) -> std::string {
                const auto given = map.text(at, key);
                if (!given) return {};
                if (scenario_.zone(*given) == nullptr && !scenario_.zones.empty())
                    problems_.add(at, "unknown zone", problems_.did_you_mean(*given, names_of(scenario_.zones)));
                return *given;
            };
            if (const auto* from = map.require("from")) rule.from = zone(*from, "from");
            if (const auto* to = map.require("to"))
                for (const auto* one : one_or_more(*to)) {
                    rule.to.push_back(zone(*one, "to"));
                    if (rule.to.back() == rule.from && !rule.from.empty()) problems_.add(*one, "inside a zone nothing is routed:");
                }
            if (const auto* groups = map.require("groups"))
                for (const auto* one : one_or_more(*groups)) {
                    const auto given = map.text(*one, "groups");
                    if (!given) continue;
                    const auto block = Subnet::from(given->find('/') == std::string::npos ? *given + "/32" : *given);
                    if (!block || block->network.value >> 28 != 0xE || block->prefix < 4)
                        problems_.add(*one, "not a group or block of groups from 224.0.0.0 to 239.255.255.255:", "like 239.1.2.3 or 239.0.0.0/8");
                    else
                        rule.groups.push_back(*block);
                }
            map.finish();
            rules.push_back(std::move(rule));
        }
    }

    ReadContext& context_;
    Scenario& scenario_;
    Problems& problems_;
};

}  // namespace

void read_firewall(ReadContext& context, MapReader& firewall) { FirewallReader{context}.read(firewall); }

}  // namespace wmlab::scenario
