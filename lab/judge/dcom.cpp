// DCOM: the endpoint mapper on 135, then the object call to the address and port in the object reference. Two failures
// are DCOM's own: no port left for a further process, and a reference that names an address the client cannot reach.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {

void judge_references(const FlowContext& context, std::vector<LegResult>& legs) {
    const auto leg = [&](std::string_view name) { return std::ranges::find(legs, name, &LegResult::name); };
    const auto mapper = leg("mapper"), object = leg("object");
    if (mapper == legs.end() || object == legs.end()) return;
    if (mapper->verdict != Verdict::pass || object->verdict == Verdict::pass) return;
    const auto reached = Endpoint::from(mapper->destination), named = Endpoint::from(object->destination);
    if (reached.address.empty() || named.address.empty() || reached.address == named.address) return;
    if (object->reason == Reason::not_tried) return;
    conclude(
        *object, Verdict::blocked, Cause::translated, "from->to",
        fmt::format(
            "The object reference of {} names {}, but {} reached it as {}: addresses are translated on the way, which DCOM cannot survive. The call to {} came to nothing.",
            context.instance.to, named.text(), context.instance.from, reached.text(), named.text()));
}

bool judge_exhaustion(const FlowContext& context, FlowResult& flow) {
    const auto* end = flow_end(context);
    if (end != nullptr && text_field(*end, field::outcome) == "worked") return false;
    const Event* exhausted = nullptr;
    for (const auto* event : context.view.at(context.instance.to)) {
        if (event->event == What::sent && has_field(*event, field::exhausted)) exhausted = event;
    }
    const auto object = std::ranges::find(flow.legs, "object", &LegResult::name);
    if (exhausted == nullptr || object == flow.legs.end()) return false;
    const auto range = scenario::text(context.instance.flow->reserved_ports);
    const auto code = status_words(*exhausted);
    conclude(
        *object, Verdict::failed, Cause::exhausted, "",
        fmt::format("The reserved range {} of {} has no port left for another process ({} asked for): activation was answered with {}.",
                    range, context.instance.to, context.instance.flow->processes, code.empty() ? "an error" : code));
    settle(flow, *object);
    return true;
}

namespace {

FlowResult judge_calls(const FlowContext& context) {
    auto flow = blank_flow(context);
    std::set<std::uint16_t> ports;
    for (const auto& leg : leg_contexts(context)) {
        flow.legs.push_back(judge_leg(leg));
        if (leg.leg.name != "object") continue;
        for (const auto* event : context.view.at(leg.leg.source, "object", What::received)) {
            ports.insert(Endpoint::from(event->remote).port);
        }
    }
    judge_references(context, flow.legs);
    auto& object = flow.legs.back();
    const auto* end = flow_end(context);
    const bool worked = end != nullptr && text_field(*end, field::outcome) == "worked";

    if (judge_exhaustion(context, flow)) return flow;
    const auto stopped =
        std::ranges::find_if(flow.legs, [](const LegResult& leg) { return leg.verdict != Verdict::pass; });
    ports.erase(0);
    const auto wanted = context.instance.flow->processes;
    if (stopped == flow.legs.end() && end == nullptr && ports.size() < wanted) {
        doubt_flow(flow, Reason::no_outcome, object.name,
                   fmt::format("{} answered, {} are asked for; what became of the rest is not recorded.",
                               counted(ports.size(), "object"), wanted));
        return flow;
    }
    if (stopped == flow.legs.end() && (worked || end == nullptr)) {
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("The mapper answered and {} answered calls{}.",
                                       counted(std::max<std::size_t>(ports.size(), 1), "object"),
                                       ports.empty() ? "" : fmt::format(" on {}", counted(ports.size(), "port")));
        return flow;
    }
    if (stopped != flow.legs.end() && (stopped->verdict == Verdict::blocked || stopped->verdict == Verdict::failed)) {
        settle(flow, *stopped);
        return flow;
    }
    for (std::size_t i = 0; const auto& leg : leg_contexts(context)) {
        auto& result = flow.legs[i++];
        if (result.verdict != Verdict::pass || leg.leg.protocol != scenario::Protocol::tcp) continue;
        const auto all = conversations(leg);
        if (all.empty()) continue;
        judge_breakage(leg, all.back(), {}, result);
        if (result.verdict != Verdict::pass) {
            settle(flow, result);
            return flow;
        }
    }
    // The client's own word for a call that came to nothing (RPC_S_SERVER_UNAVAILABLE) proves no meeting of the hosts.
    const bool met = stopped == flow.legs.end() || stopped->reason == Reason::not_tried;
    if (const auto error = met ? protocol_end(context) : std::nullopt) {
        flow.verdict = Verdict::failed;
        flow.leg = stopped == flow.legs.end() ? object.name : stopped->name;
        flow.explanation = *error;
        return flow;
    }
    if (stopped != flow.legs.end()) {
        settle(flow, *stopped);
    } else {
        doubt_flow(flow, Reason::no_outcome, object.name,
                   fmt::format("The calls were answered, but {} says that the flow failed: {}.", flow.from, text_field(*end, field::reason)));
    }
    return flow;
}

}  // namespace

FlowResult judge_dcom(const FlowContext& context) {
    auto flow = judge_calls(context);
    settle_by_ledger(leg_contexts(context), flow);
    return flow;
}

}  // namespace wmlab::lab
