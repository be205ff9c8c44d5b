// A real program on a host. Its exit status is the verdict; where it failed, the host's wire may say what stopped it.
#include <spdlog/fmt/fmt.h>

#include <set>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

std::string last_line(std::string_view output) {
    while (!output.empty() && (output.back() == '\n' || output.back() == '\r' || output.back() == ' '))
        output.remove_suffix(1);
    const auto start = output.rfind('\n');
    return std::string{start == std::string_view::npos ? output : output.substr(start + 1)};
}

// The first connection of the host that no simulator claims and that came to nothing.
std::optional<LegResult> stopped_connection(const FlowContext& context) {
    const auto* from = context.scenario.host(context.instance.from);
    if (from == nullptr) return std::nullopt;
    for (const auto* line :
         context.evidence.wire(from->name, context.instance.id).find(Way::out, {"syn"}, {Endpoint{from->address.text(), 0}, {}})) {
        if (context.evidence.claimed(from->name, line->source)) continue;
        const auto address = scenario::Ipv4::from(line->destination.address);
        const auto* to = address ? context.scenario.host_at(*address) : nullptr;
        if (to == nullptr) continue;
        scenario::Leg leg;
        leg.name = "command";
        leg.source = from->name;
        leg.destination = to->name;
        leg.source_address = from->address;
        leg.destination_address = to->address;
        leg.destination_ports = {{line->destination.port, line->destination.port}};
        auto place =
            leg_context(context.scenario, context.evidence, context.view, context.names, context.instance, leg);
        place.source_speaks = false;
        place.destination_speaks = to->run.empty();
        place.forward = "from->to";
        place.back = "to->from";
        Conversation conversation;
        conversation.local = line->source;
        conversation.remote = line->destination;
        if (context.evidence.wire(from->name, context.instance.id).count(Way::in, {"syn-ack"}, {line->destination, line->source}) > 0)
            continue;
        auto result = judge_conversation(place, conversation);
        if (result.verdict == Verdict::blocked || result.verdict == Verdict::failed) return result;
    }
    return std::nullopt;
}

}  // namespace

FlowResult judge_command(const FlowContext& context) {
    auto flow = blank_flow(context);
    const auto* exited = context.view.last(context.instance.from, What::program_exited);
    if (exited == nullptr) {
        doubt_flow(flow, Reason::no_outcome, "", "How the program ended is not recorded.");
        return flow;
    }
    const auto code = number_field(*exited, "exit"), signal = number_field(*exited, "signal");
    const auto& words = context.instance.flow->run;
    const auto program = words.empty() ? std::string{"The program"} : words.front();
    if (code && *code == 0 && (!signal || *signal == 0)) {
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("{} ended with exit status 0.", program);
        return flow;
    }
    auto how = signal && *signal != 0 ? fmt::format("{} was ended by signal {:.0f}", program, *signal)
               : code                 ? fmt::format("{} ended with exit status {:.0f}", program, *code)
                                      : fmt::format("{} did not end by itself", program);
    if (code && *code == 127) {
        doubt_flow(flow, Reason::not_ready, "", fmt::format("{}: it could not be started.", how));
        return flow;
    }
    const auto output = last_line(text_field(*exited, "output"));
    how += output.empty() ? "." : fmt::format(", its last line: {}", output);
    flow.verdict = Verdict::failed;
    if (auto stopped = stopped_connection(context)) {
        flow.legs.push_back(*stopped);
        settle(flow, *stopped);
        how += fmt::format(" {}", stopped->explanation);
    }
    flow.explanation = how;
    return flow;
}

}  // namespace wmlab::lab
