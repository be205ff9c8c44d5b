// HTTP through a web proxy: a real program that writes no journal. What the player was answered, what the server saw
// and what the proxy's wire shows tell whether the proxy refused, or could not get through itself.
#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {

void judge_proxied(const FlowContext& context, FlowResult& flow) {
    const auto leg = [&](std::string_view name) { return std::ranges::find(flow.legs, name, &LegResult::name); };
    const auto proxy = leg("proxy"), http = leg("http");
    if (proxy == flow.legs.end() || http == flow.legs.end()) return;
    const auto& server = context.view.at(context.instance.to);
    const bool server_asked =
        std::ranges::any_of(server, [](const Event* event) { return event->event == What::received; });
    const Event* refusal = nullptr;
    for (const auto* event : context.view.at(context.instance.from)) {
        if (event->event == What::received && number_field(*event, "status").value_or(0) >= 400) refusal = event;
    }
    if (refusal != nullptr && !server_asked) {
        const auto status = static_cast<unsigned>(*number_field(*refusal, "status"));
        const bool gateway = status == 502 || status == 503 || status == 504;
        const auto words = text_field(*refusal, "reason");
        const auto says = fmt::format("{} answered {}{}", context.instance.flow->proxy->host, status,
                                      words.empty() ? "" : fmt::format(" ({})", words));
        if (gateway && http->verdict != Verdict::pass && http->reason != Reason::not_tried) {
            http->explanation += fmt::format(" The proxy says so too: {}.", says);
            return;
        }
        conclude(*proxy, Verdict::blocked, Cause::proxy_denied, "proxy->from",
                 fmt::format("The proxy refused: {}, and {} never got the request.", says, context.instance.to));
        if (http->verdict != Verdict::pass) {
            doubt(*http, Reason::not_tried,
                  fmt::format("{} did not pass the request on.", context.instance.flow->proxy->host));
        }
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
