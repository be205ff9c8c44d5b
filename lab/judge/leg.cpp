#include "lab/judge/leg.hpp"

namespace wmlab::lab {

LegContext leg_context(const scenario::Scenario& scenario, const Evidence& evidence, const FlowView& view,
                       const Names& names, const scenario::FlowInstance& instance, scenario::Leg leg) {
    const auto end = [&](const std::string& host) -> std::string {
        if (host == instance.from) return "from";
        if (host == instance.to) return "to";
        return instance.flow->proxy && host == instance.flow->proxy->host ? "proxy" : "group";
    };
    const auto speaks = [&](const std::string& host) {
        const auto* found = scenario.host(host);
        return found != nullptr && found->run.empty() && (host == instance.from || host == instance.to);
    };
    const auto source = end(leg.source), destination = end(leg.destination);
    const bool source_speaks = speaks(leg.source), destination_speaks = speaks(leg.destination);
    return {scenario,
            evidence,
            view,
            names,
            instance,
            std::move(leg),
            source + "->" + destination,
            destination + "->" + source,
            source_speaks,
            destination_speaks};
}

LegResult blank(const LegContext& context) {
    LegResult leg;
    leg.name = context.leg.name;
    leg.protocol = scenario::text(context.leg.protocol);
    leg.optional = context.leg.optional;
    const auto place = [](const scenario::Ipv4& address, const scenario::PortList& ports) {
        return ports.size() == 1 && ports.front().first == ports.front().last
                   ? Endpoint{address.text(), ports.front().first}.text()
                   : address.text();
    };
    leg.source = place(context.leg.source_address, context.leg.source_ports);
    leg.destination = place(context.leg.destination_address, context.leg.destination_ports);
    return leg;
}

LegResult& conclude(LegResult& leg, Verdict verdict, Cause cause, std::string direction, std::string explanation) {
    leg.verdict = verdict;
    leg.cause = cause;
    leg.reason.reset();
    leg.direction = std::move(direction);
    leg.explanation = std::move(explanation);
    return leg;
}

LegResult& doubt(LegResult& leg, Reason reason, std::string explanation) {
    leg.verdict = Verdict::inconclusive;
    leg.cause.reset();
    leg.reason = reason;
    leg.direction.clear();
    leg.explanation = std::move(explanation);
    return leg;
}

}  // namespace wmlab::lab
