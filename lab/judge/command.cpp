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

// Where the program's packets came from: the source ports it was given, or, where it had none of its own (another
// machine, an older journal), every port that no simulator claims, if it was the only program of its host.
std::optional<scenario::PortRange> own_ports(const FlowContext& context) {
    for (const auto* event : context.view.all(What::flow_started))
        if (const auto range = scenario::PortRange::from(text_field(*event, field::ports))) return range;
    std::size_t programs = 0;
    for (const auto& other : scenario::instances(context.scenario))
        if (other.flow->type == scenario::FlowType::command && other.from == context.instance.from) ++programs;
    return programs == 1 ? scenario::PortRange::from("1-65535") : std::nullopt;
}

LegContext place_of(const FlowContext& context, const WireLine& line, const scenario::Host& from,
                    const scenario::Host& to) {
    scenario::Leg leg;
    leg.name = "command";
    leg.protocol = line.protocol == "udp" ? scenario::Protocol::udp : scenario::Protocol::tcp;
    leg.source = from.name;
    leg.destination = to.name;
    leg.source_address = from.address;
    leg.destination_address = to.address;
    leg.destination_ports = scenario::one(line.destination.port);
    auto place = leg_context(context.scenario, context.evidence, context.view, context.names, context.instance, leg);
    place.source_speaks = false;
    place.destination_speaks = to.run.empty();
    place.forward = "from->to";
    place.back = "to->from";
    return place;
}

// What the wires of both hosts say of packets that none of a program's words tell of: sent, and never there.
std::optional<LegResult> lost_on_the_way(const LegContext& place, const WireLine& line, const scenario::Host& to,
                                         std::initializer_list<std::string_view> kinds, std::string_view what) {
    const auto& near = place.evidence.wire(place.leg.source, place.instance.id);
    const auto& far = place.evidence.wire(place.leg.destination, place.instance.id);
    if (!near.complete() || !far.complete()) return std::nullopt;
    const Between ends{line.source, line.destination};
    const Between at_far{line.source, Endpoint{to.address.text(), line.destination.port}};
    const auto sent = near.count(Way::out, kinds, ends), arrived = far.count(Way::in, kinds, at_far);
    const auto answered = far.count(Way::out, kinds, at_far.reversed()), came = near.count(Way::in, kinds, ends.reversed());
    auto leg = blank(place);
    leg.source = line.source.text();
    leg.destination = line.destination.text();
    const auto names = fmt::format("{} from {} to {}", what, place.leg.source, place.names.at(line.destination));
    if (sent > 0 && arrived == 0)
        return conclude(leg, Verdict::blocked, Cause::dropped, place.forward,
                        fmt::format("{} was sent {} and never arrived.", names, times(sent)));
    if (answered > 0 && came == 0)
        return conclude(leg, Verdict::blocked, Cause::dropped, place.back,
                        fmt::format("{} arrived; the answer was sent {} and never came back.", names, times(answered)));
    return std::nullopt;
}

// The first of the program's connections that came to nothing.
std::optional<LegResult> stopped_connection(const FlowContext& context) {
    const auto* from = context.scenario.host(context.instance.from);
    const auto ports = own_ports(context);
    if (from == nullptr || !ports) return std::nullopt;
    for (const auto* line :
         context.evidence.wire(from->name, context.instance.id).find(Way::out, {"syn", "udp"}, {Endpoint{from->address.text(), 0}, {}})) {
        if (!ports->contains(line->source.port) || context.evidence.claimed(from->name, line->source)) continue;
        const auto address = scenario::Ipv4::from(line->destination.address);
        const auto* to = address ? context.scenario.host_at(*address) : nullptr;
        if (to == nullptr && address)
            for (const auto& host : context.scenario.hosts)
                if (host.published_to(from->zone) == *address) to = &host;
        if (to == nullptr) continue;
        const auto place = place_of(context, *line, *from, *to);
        const auto& wire = context.evidence.wire(from->name, context.instance.id);
        if (line->kind == "udp") {
            if (auto lost = lost_on_the_way(place, *line, *to, {"udp"}, "UDP")) return lost;
            continue;
        }
        if (wire.count(Way::in, {"syn-ack"}, {line->destination, line->source}) > 0) {
            if (auto lost = lost_on_the_way(place, *line, *to, {"data"}, "What was sent over TCP")) return lost;
            continue;
        }
        Conversation conversation;
        conversation.local = line->source;
        conversation.remote = line->destination;
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
    const auto code = number_field(*exited, field::exit), signal = number_field(*exited, field::signal);
    const auto& words = context.instance.flow->run;
    const auto program = words.empty() ? std::string{"The program"} : words.front();
    if (code && *code == 0 && (!signal || *signal == 0)) {
        flow.verdict = Verdict::pass;
        flow.explanation = fmt::format("{} ended with exit status 0.", program);
        return flow;
    }
    const auto deadline = context.instance.flow->deadline / std::chrono::duration<double>{1};
    auto how = true_field(*exited, field::too_long) ? fmt::format("{} still ran after {} s, the flow's deadline, and was ended", program, deadline)
               : signal && *signal != 0             ? fmt::format("{} was ended by signal {:.0f}", program, *signal)
               : code                               ? fmt::format("{} ended with exit status {:.0f}", program, *code)
                                                    : fmt::format("{} did not end by itself", program);
    if (code && *code == 127) {
        doubt_flow(flow, Reason::not_ready, "", fmt::format("{}: it could not be started.", how));
        return flow;
    }
    const auto output = last_line(text_field(*exited, field::output));
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
