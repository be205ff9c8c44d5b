// The packets of a plan, sent; and what of them the flows need.
#pragma once
#include <string>
#include <vector>

#include "common/scenario/model.hpp"
#include "lab/audit/bench.hpp"
#include "lab/audit/plan.hpp"
#include "lab/rules/generate.hpp"

namespace wmlab::lab {

std::vector<std::vector<Outcome>> explore(Bench& bench, const Plan& plan);  // by phase

// Who may be reached where by a flow's need.
class NeedIndex {
public:
    explicit NeedIndex(const scenario::Scenario& scenario);
    struct Place {
        std::string zone;
        bool beyond = false;  // an address that no zone has
    };
    // Hosts or other addresses. Who is in a zone may be `anyone` of it.
    std::vector<std::string> flows(const std::string& from, const Place& from_zone, const std::string& to, const Place& to_zone, std::uint8_t protocol,
                                   Span ports) const;

    std::vector<std::string> memberships(const std::string& host) const;  // flows for which the firewall itself takes its IGMP

private:
    std::vector<rules::Need> needs_;
    std::vector<rules::Needs::Membership> memberships_;
};

}  // namespace wmlab::lab
