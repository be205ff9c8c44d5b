// What the judges of a single leg get: the leg with its hosts and everything both ends and both wires recorded of it.
#pragma once
#include <string>
#include <string_view>

#include "common/scenario/catalogue.hpp"
#include "lab/judge/evidence.hpp"
#include "lab/judge/words.hpp"

namespace wmlab::lab {

struct LegContext {
    const scenario::Scenario& scenario;
    const Evidence& evidence;
    const FlowView& view;
    const Names& names;
    const scenario::FlowInstance& instance;
    scenario::Leg leg;
    std::string forward, back;       // "from->to", "to->from"
    bool source_speaks = true;       // a simulator on the leg's source writes a journal
    bool destination_speaks = true;  // and one on its destination
    // Of the wave that the flow was played in.
    const WireRecord& wire(std::string_view host) const { return evidence.wire(host, instance.id); }
    std::string source_address() const { return leg.source_address.text(); }
    std::string destination_address() const { return leg.destination_address.text(); }
};

LegContext leg_context(const scenario::Scenario& scenario, const Evidence& evidence, const FlowView& view,
                       const Names& names, const scenario::FlowInstance& instance, scenario::Leg leg);

// A result with the leg's name, protocol and hosts, still inconclusive.
LegResult blank(const LegContext& context);
LegResult& conclude(LegResult& leg, Verdict verdict, Cause cause, std::string direction, std::string explanation);
LegResult& doubt(LegResult& leg, Reason reason, std::string explanation);

}  // namespace wmlab::lab
