// HTTP through a web proxy: a real program that writes no journal. What the player was answered, what the server saw
// and what the proxy's wire shows tell whether the proxy refused, or could not get through itself.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

// What the player says of media that is not fresh; null: nothing.
const Event* stale_media(const FlowContext& context, std::string_view kind) {
    const Event* found = nullptr;
    for (const auto* event : context.view.at(context.instance.from))
        if (event->event == What::media_stale && text_field(*event, field::kind) == kind) found = event;
    return found;
}

bool asked_server(const FlowContext& context) {
    return std::ranges::any_of(context.view.at(context.instance.to),
                               [](const Event* event) { return event->event == What::received; });
}

}  // namespace

void judge_freshness(const FlowContext& context, FlowResult& flow) {
    const auto& instance = context.instance;
    const auto leg =
        std::ranges::find_if(flow.legs, [](const LegResult& one) { return one.name == "proxy" || one.name == "http"; });
    const auto *cached = stale_media(context, "cached"), *delayed = stale_media(context, "delayed");
    if (leg == flow.legs.end() || (cached == nullptr && delayed == nullptr)) return;
    const auto between = instance.flow->proxy ? instance.flow->proxy->host : std::string{"something on the way"};
    if (cached != nullptr && !asked_server(context)) {
        conclude(*leg, Verdict::blocked, Cause::modified, "from->to",
                 fmt::format("{} received media that {} did not send in this session: {} answered out of a cache ({}).", instance.from, instance.to, between,
                             text_field(*cached, field::why)));
        settle(flow, *leg);
        flow.by_proxy = true;
        return;
    }
    if (flow.verdict != Verdict::pass && flow.verdict != Verdict::degraded) return;
    const auto* stale = cached != nullptr ? cached : delayed;
    leg->verdict = Verdict::degraded;
    leg->direction = "to->from";
    leg->explanation = cached != nullptr ? fmt::format("The media is not fresh, {} answered out of a cache: {}.", between, text_field(*stale, field::why))
                                         : fmt::format("The media is not in time, {} held it back: {}.", between, text_field(*stale, field::why));
    const auto before = flow.explanation;
    settle(flow, *leg);
    flow.explanation = leg->explanation + " " + before;
    flow.by_proxy = cached != nullptr || instance.flow->proxy;
}

void judge_proxied(const FlowContext& context, FlowResult& flow) {
    const auto leg = [&](std::string_view name) { return std::ranges::find(flow.legs, name, &LegResult::name); };
    const auto proxy = leg("proxy"), http = leg("http");
    if (proxy == flow.legs.end() || http == flow.legs.end()) return;
    const bool server_asked = asked_server(context);
    const Event* refusal = nullptr;
    for (const auto* event : context.view.at(context.instance.from)) {
        if (event->event == What::received && number_field(*event, field::status).value_or(0) >= 400) refusal = event;
    }
    if (refusal != nullptr && !server_asked) {
        const auto status = static_cast<unsigned>(std::min<std::uint64_t>(whole_field(*refusal, field::status).value_or(0), 999));
        // Some programs say 500 where they could not connect; that they tried, and failed, is on their wire.
        const bool gateway = status >= 502 || (status == 500 && http->verdict == Verdict::blocked);
        const auto words = text_field(*refusal, field::reason);
        // The words of an answer begin with its status line.
        const auto number = std::to_string(status);
        const auto says = fmt::format("{} answered {}", context.instance.flow->proxy->host,
                                      words.starts_with(number) ? std::string{words}
                                      : words.empty()           ? number
                                                                : fmt::format("{} ({})", number, words));
        if (gateway && http->verdict != Verdict::pass && http->reason != Reason::not_tried) {
            http->explanation += fmt::format(" The proxy says so too: {}.", says);
            return;
        }
        conclude(*proxy, Verdict::blocked, Cause::proxy_denied, "proxy->from",
                 fmt::format("The proxy refused: {}, and {} never got the request.", says, context.instance.to));
        flow.by_proxy = true;
        if (http->verdict != Verdict::pass) {
            doubt(*http, Reason::not_tried,
                  fmt::format("{} did not pass the request on.", context.instance.flow->proxy->host));
        }
        return;
    }
    // The proxy took the request, and still waited for the server when the player gave up.
    if (http->verdict == Verdict::blocked && proxy->reason == Reason::host_silent &&
        (!server_asked || http->cause == Cause::starved)) {
        proxy->verdict = Verdict::pass;
        proxy->reason.reset();
        proxy->explanation.clear();
        return;
    }
    if (!server_asked && flow.media && flow.media->packets_received > 0) {
        doubt(
            *http, Reason::contradiction,
            fmt::format("{} received media that {} did not send in this session: the proxy answered out of its cache.",
                        context.instance.from, context.instance.to));
        return;
    }
    // Other flows use the same proxy: its connections on the wire may be theirs.
    if (proxy->verdict == Verdict::pass && http->verdict == Verdict::inconclusive &&
        http->reason != Reason::not_tried) {
        doubt(*http, Reason::no_outcome,
              fmt::format("Nothing shows that the request of {} left {} for {}.", context.instance.from,
                          context.instance.flow->proxy->host, context.instance.to));
    }
}

}  // namespace wmlab::lab
