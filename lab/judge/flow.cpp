#include "lab/judge/flow.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>

namespace wmlab::lab {
namespace {

std::string transport_of(const FlowContext& context) {
    // What the opening end says; else what the type can only be.
    for (const auto what : {What::flow_ended, What::flow_started}) {
        for (const auto* event : context.view.all(what)) {
            if (const auto word = text_field(*event, field::transport); !word.empty()) return std::string{word};
        }
    }
    const auto& flow = *context.instance.flow;
    using enum scenario::FlowType;
    switch (flow.type) {
        case mms_udp:
        case multicast:
            return "udp";
        case mms_tcp:
        case msbd:
        case encoder_alias:
            return "tcp";
        case http:
        case http_distribution:
            return flow.proxy ? "http-proxy" : "http";
        case dcom:
            return std::string{text(flow.transport)};
        case probe:
            return std::string{text(flow.protocol)};
        default:
            return "";
    }
}

}  // namespace

std::vector<LegContext> leg_contexts(const FlowContext& context) {
    std::vector<LegContext> contexts;
    for (auto& leg : scenario::legs(context.scenario, context.instance)) {
        contexts.push_back(leg_context(context.scenario, context.evidence, context.view, context.names,
                                       context.instance, std::move(leg)));
    }
    return contexts;
}

FlowResult blank_flow(const FlowContext& context) {
    const auto& flow = *context.instance.flow;
    FlowResult result;
    result.id = context.instance.id;
    result.type = scenario::spec(flow.type).name;
    result.from = context.instance.from;
    result.to = context.instance.to;
    if (const auto* const anyone = flow.anyone_at(context.instance.from))
        result.anyone = {flow.id, anyone->zone, anyone->sample.address.text(), anyone->sample.stands_for};
    result.expected = flow.expect;
    result.transport = transport_of(context);
    result.line = flow.line;
    result.load = context.instance.load();
    for (const auto* event : context.view.all(What::retry)) {
        result.retries.push_back(fmt::format("{}{}", event->leg.empty() ? "" : event->leg + ": ", text_field(*event, field::reason)));
    }
    return result;
}

void settle(FlowResult& flow, const LegResult& leg) {
    flow.verdict = leg.verdict;
    flow.leg = leg.name;
    flow.cause = leg.cause;
    flow.reason = leg.reason;
    flow.certain = leg.certain;
    flow.direction = leg.direction;
    flow.icmp = leg.icmp;
    flow.explanation = leg.explanation;
}

void doubt_flow(FlowResult& flow, Reason reason, std::string leg, std::string explanation) {
    flow.verdict = Verdict::inconclusive;
    flow.cause.reset();
    flow.certain = false;
    flow.icmp.reset();
    flow.direction.clear();
    flow.reason = reason;
    flow.leg = std::move(leg);
    flow.explanation = std::move(explanation);
}

// A live stream over HTTP may end by being closed. Where the proxy's program ended too, that was the proxy's end.
bool ended_by_the_other_side(const FlowContext& context) {
    const auto type = context.instance.flow->type;
    if (type != scenario::FlowType::http && type != scenario::FlowType::http_distribution) return false;
    const auto* closed = context.view.last(context.instance.from, What::closed);
    return closed != nullptr && text_field(*closed, field::by) == "peer";
}

// Neither says how the flow ended, nor that the process came to its end: later lines may be missing.
std::optional<Trouble> cut_short(const FlowContext& context) {
    if (flow_end(context) != nullptr) return std::nullopt;
    const auto end = scenario::telling_end(*context.instance.flow);
    const auto& host = end == scenario::End::to ? context.instance.to : context.instance.from;
    if (scenario::program_at(context.scenario, context.instance, end) == scenario::Program::none) return std::nullopt;
    const auto trouble = context.evidence.trouble(host, context.instance.id);
    return trouble && trouble->reason == Reason::journal_incomplete ? trouble : std::nullopt;
}

// When the flow's events of this host were; of a translated or unknown connection all of its processes.
std::optional<std::pair<double, double>> time_of(const FlowContext& context, const std::string& host) {
    std::optional<std::pair<double, double>> range;
    for (const auto* event : context.view.at(host)) {
        if (event->process == "wmlab") continue;
        const auto at = std::chrono::duration<double>{event->utc.time_since_epoch()}.count();
        if (!range) range = {at, at};
        range->first = std::min(range->first, at), range->second = std::max(range->second, at);
    }
    return range;
}

// Media that differs because the two journals are of two runs says nothing about the way between the hosts.
void doubt_other_runs(const FlowContext& context, FlowResult& flow) {
    if (flow.cause != Cause::modified) return;
    const auto from = time_of(context, context.instance.from), to = time_of(context, context.instance.to);
    constexpr double apart = 1;  // seconds; clocks of machines differ
    if (!from || !to || (from->first <= to->second + apart && to->first <= from->second + apart)) return;
    doubt_flow(
        flow, Reason::contradiction, flow.leg,
        fmt::format(
            "The journals of {} and {} tell of times that do not meet ({:.0f} s apart): they are of two runs, or a clock is wrong. What they say taken together: {}",
            context.instance.from, context.instance.to, std::max(from->first - to->second, to->first - from->second), flow.explanation));
}

void weaken(const FlowContext& context, FlowResult& flow) {
    const bool passed = flow.verdict == Verdict::pass;
    const bool command = context.instance.flow->type == scenario::FlowType::command;
    doubt_other_runs(context, flow);
    if (const auto cut = passed && !command ? cut_short(context) : std::nullopt) {
        doubt_flow(flow, cut->reason, flow.leg,
                   fmt::format("{} What is there says: {}", cut->sentence, flow.explanation));
        return;
    }
    if (passed && !ended_by_the_other_side(context)) return;
    std::vector<std::string> hosts;
    std::optional<Trouble> trouble;
    // A live stream that ends by being closed: by a server that ended itself it is no end of the stream.
    if (passed) hosts = {context.instance.to};
    if (!passed) {
        hosts = {context.instance.from, context.instance.to};
        trouble = context.evidence.runner_trouble();
    }
    for (const auto& host : hosts) {
        const auto* found = context.scenario.host(host);
        if (found == nullptr || !found->run.empty()) continue;
        const auto problem = context.evidence.trouble(host, context.instance.id);
        // A real program leaves no journal, and may talk with whom it likes: only one that is known to have died counts.
        if (command && problem && problem->reason != Reason::process_died && problem->reason != Reason::not_ready) continue;
        if (problem && (!trouble || problem->reason == Reason::process_died)) trouble = problem;
    }
    if (context.instance.flow->proxy) {
        const auto& proxy = context.instance.flow->proxy->host;
        for (const auto what : {What::process_died, What::program_exited}) {
            for (const auto* event : context.evidence.runner(what)) {
                if (event->host != proxy || !event->flow.empty()) continue;
                trouble = Trouble{Reason::process_died, fmt::format("The program on {} ended during the run.", proxy)};
            }
        }
    }
    if (!trouble) return;
    // A port that was not bound explains more than the end of the process that wanted it.
    if (flow.verdict == Verdict::inconclusive && flow.reason == Reason::not_listening &&
        trouble->reason == Reason::not_ready) {
        return;
    }
    auto explanation = trouble->sentence;
    if (flow.verdict != Verdict::inconclusive && !flow.explanation.empty()) {
        explanation += " What the rest of the evidence says: " + flow.explanation;
    }
    doubt_flow(flow, trouble->reason, flow.leg, std::move(explanation));
}

const Event* flow_end(const FlowContext& context) {
    const auto ends = context.view.all(What::flow_ended);
    return ends.empty() ? nullptr : ends.back();
}

std::string status_words(const Event& event) {
    const auto* hr = event.fields.if_contains(field::hr);
    if (hr == nullptr) return {};
    if (hr->is_string()) return std::string{hr->get_string()};
    boost::system::error_code none;
    const auto code = hr->to_number<std::uint32_t>(none);
    return none ? std::string{} : fmt::format("0x{:08X}", code);
}

std::optional<std::string> protocol_end(const FlowContext& context) {
    const auto other = [&](const std::string& host) {
        return host == context.instance.from ? context.instance.to : context.instance.from;
    };
    for (const auto* event : context.view.all(What::malformed)) {
        return fmt::format("{} could not read a message of {}: {} at offset {:.0f} {}.", event->host, other(event->host), text_field(*event, field::unreadable),
                           number_field(*event, field::offset).value_or(0), text_field(*event, field::problem));
    }
    const auto* end = flow_end(context);
    const auto reason = end == nullptr ? std::string{} : std::string{text_field(*end, field::reason)};
    if (end != nullptr && text_field(*end, field::outcome) == "failed") {
        if (const auto code = status_words(*end); !code.empty())
            return fmt::format("The session ended with {}{}.", code, reason.empty() ? "" : ": " + reason);
    }
    // One end closed the connection of its own will, and the other end saw just that.
    const Event *by_self = nullptr, *by_peer = nullptr;
    for (const auto* event : context.view.all(What::closed)) {
        const auto by = text_field(*event, field::by);
        if (by == "self" && !failure_of(*event) && event->host != (end == nullptr ? "" : end->host)) by_self = event;
        if (by == "peer") by_peer = event;
    }
    if (by_self != nullptr && by_peer != nullptr && by_self->host != by_peer->host) {
        const auto why = text_field(*by_self, field::reason);
        return fmt::format("{} ended the session{}.", by_self->host, why.empty() ? "" : fmt::format(": {}", why));
    }
    return std::nullopt;
}

LegResult judge_leg(const LegContext& context) {
    if (context.leg.protocol == scenario::Protocol::tcp) return judge_tcp(context);
    if (context.leg.name == "resend") return judge_udp(context, resend_datagrams(context));
    if (context.leg.name == "media") {
        return judge_udp(context, media_datagrams(context, context.leg.source, context.leg.destination));
    }
    return judge_udp_calls(context);
}

FlowResult judge_flow(const FlowContext& context) {
    using enum scenario::FlowType;
    auto flow = [&] {
        switch (context.instance.flow->type) {
            case probe:
                return judge_probe(context);
            case command:
                return judge_command(context);
            case mms_auto:
                return judge_rollover(context);
            case multicast:
                return judge_multicast(context);
            case dcom:
                return judge_dcom(context);
            default:
                return judge_session(context);
        }
    }();
    weaken(context, flow);
    return flow;
}

}  // namespace wmlab::lab
