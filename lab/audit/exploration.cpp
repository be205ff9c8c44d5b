#include "lab/audit/exploration.hpp"

#include <algorithm>

namespace wmlab::lab {

std::vector<std::vector<Outcome>> explore(Bench& bench, const Plan& plan) {
    std::vector<std::vector<Outcome>> all;
    std::optional<std::size_t> behind;
    for (const auto& phase : plan.phases) {
        if (behind != phase.behind) bench.strangers_behind(phase.behind);
        behind = phase.behind;
        bench.forget();
        bench.send(phase.packets, plan.shapes, all.emplace_back());
    }
    return all;
}

NeedIndex::NeedIndex(const scenario::Scenario& scenario) {
    auto found = rules::needs(scenario);
    needs_ = std::move(found.needs);
    memberships_ = std::move(found.memberships);
    needs_.insert(needs_.end(), found.alternatives.begin(), found.alternatives.end());
}

std::vector<std::string> NeedIndex::flows(const std::string& from, const Place& from_zone, const std::string& to, const Place& to_zone, std::uint8_t protocol,
                                          Span span) const {
    std::vector<std::string> found;
    const auto is = [](const std::string& name, const std::optional<scenario::Subnet>& net, const std::string& zone, const std::string& is_name,
                       const Place& is_at) { return net ? zone == is_at.zone && (!is_at.beyond || net->prefix == 0) : name == is_name; };
    for (const auto& need : needs_) {
        if (need.multicast || !is(need.source, need.source_net, need.source_zone, from, from_zone) ||
            !is(need.destination, need.destination_net, need.destination_zone, to, to_zone))
            continue;
        if (protocol != (need.protocol == scenario::Protocol::tcp ? tcp_number : udp_number)) continue;
        for (std::size_t i = 0; i < need.flows.size(); ++i) {
            const auto& ports = i < need.ports_of_flows.size() && !need.ports_of_flows[i].empty() ? need.ports_of_flows[i] : need.ports;
            if (std::ranges::any_of(ports, [&](const scenario::PortRange& range) { return range.first <= span.first && span.last <= range.last; }))
                found.push_back(need.flows[i]);
        }
    }
    return found;
}

std::vector<std::string> NeedIndex::memberships(const std::string& host) const {
    std::vector<std::string> found;
    for (const auto& one : memberships_)
        if (one.host == host) found.push_back(one.flow);
    return found;
}

}  // namespace wmlab::lab
