// mms-auto: the player tries one transport after the other. Each attempt is judged like a flow of that transport's own;
// the flow passes with the transport that worked.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>

#include "lab/judge/flow.hpp"

namespace wmlab::lab {
namespace {

struct Try {
    std::string transport;
    FlowView view;
};

scenario::FlowType type_of(std::string_view transport) {
    if (transport == "udp") return scenario::FlowType::mms_udp;
    return transport == "tcp" ? scenario::FlowType::mms_tcp : scenario::FlowType::http;
}

bool uses(std::string_view transport, std::string_view leg) {
    if (transport == "udp") return leg == "control" || leg == "media" || leg == "resend";
    if (transport == "tcp") return leg == "control";
    return leg == "http" || leg == "proxy";
}

// The player's events belong to the attempt that its newest flow-started began; the server's to the attempt whose
// connection it was, else to the only attempt that has such a leg.
std::vector<Try> attempts(const FlowContext& context) {
    std::vector<Try> all;
    const auto& instance = context.instance;
    const auto proxy = instance.flow->proxy ? context.names.address_of(instance.flow->proxy->host) : std::string{};
    for (const auto* event : context.view.at(instance.from)) {
        if (event->event == What::flow_started) {
            auto& fresh = all.emplace_back();
            fresh.transport = text_field(*event, field::transport);
        }
        if (!all.empty()) all.back().view.hosts[instance.from].push_back(event);
    }
    std::map<double, std::size_t> by_connection;
    const auto place = [&](const Event& event) -> std::optional<std::size_t> {
        if (const auto number = number_field(event, field::connection)) {
            if (const auto known = by_connection.find(*number); known != by_connection.end()) return known->second;
        }
        const auto remote = Endpoint::from(event.remote);
        for (std::size_t i = 0; i < all.size() && !remote.empty(); ++i) {
            for (const auto* own : all[i].view.at(instance.from)) {
                if (!own->local.empty() && Endpoint::from(own->local) == remote) return i;
            }
        }
        std::vector<std::size_t> fits;
        for (std::size_t i = 0; i < all.size(); ++i) {
            const bool by_proxy = !proxy.empty() && remote.address == proxy;
            if (by_proxy != (all[i].transport == "http-proxy") && !remote.empty()) continue;
            if (event.leg.empty() || uses(all[i].transport, event.leg)) fits.push_back(i);
        }
        // Both MMS transports have a control leg; translated addresses leave only the order of time.
        if (fits.empty()) return std::nullopt;
        return fits.size() == 1 || event.event != What::accepted
                   ? fits.back()
                   : fits[std::min(by_connection.size(), fits.size() - 1)];
    };
    for (const auto* event : context.view.at(instance.to)) {
        const auto where = place(*event);
        if (!where) continue;
        if (const auto number = number_field(*event, field::connection)) by_connection.try_emplace(*number, *where);
        all[*where].view.hosts[instance.to].push_back(event);
    }
    return all;
}

}  // namespace

std::vector<Attempted> attempts_of(const FlowContext& context) {
    std::vector<Attempted> all;
    for (auto& attempt : attempts(context)) {
        auto as_one = *context.instance.flow;
        as_one.type = type_of(attempt.transport);
        if (attempt.transport != "http-proxy") as_one.proxy.reset();
        all.push_back({attempt.transport, std::move(as_one), std::move(attempt.view)});
    }
    return all;
}

FlowResult judge_rollover(const FlowContext& context) {
    auto flow = blank_flow(context);
    flow.transport.clear();
    flow.retries.clear();
    const auto tries = attempts_of(context);
    if (tries.empty()) {
        const auto trouble = context.evidence.trouble(context.instance.from, context.instance.id);
        doubt_flow(flow, trouble ? trouble->reason : Reason::not_tried, "",
                   trouble ? trouble->sentence : fmt::format("{} never started this flow.", flow.from));
        return flow;
    }
    std::vector<FlowResult> results;
    for (const auto& attempt : tries) {
        scenario::FlowInstance instance{context.instance.id, &attempt.as_one, context.instance.from, context.instance.to};
        auto result = judge_session({context.scenario, context.evidence, context.names, instance, attempt.view});
        flow.attempts.push_back({attempt.transport, result.verdict, result.leg, result.explanation, result.cause,
                                 result.reason, result.legs});
        for (const auto& note : result.notes) flow.notes.push_back(attempt.transport + ": " + note);
        for (const auto& retry : result.retries) flow.retries.push_back(attempt.transport + ": " + retry);
        results.push_back(std::move(result));
    }
    const auto worked = std::ranges::find_if(results, [](const FlowResult& result) {
        return result.verdict == Verdict::pass || result.verdict == Verdict::degraded;
    });
    std::string before;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (worked != results.end() && i >= static_cast<std::size_t>(worked - results.begin())) break;
        before += fmt::format("{}{}: {}", before.empty() ? "" : " ", tries[i].transport, results[i].explanation);
    }
    // The attempt that decides: the one that worked; else an inconclusive one, for then the whole is; else the first.
    const auto doubtful = std::ranges::find(results, Verdict::inconclusive, &FlowResult::verdict);
    const auto decisive = worked != results.end() ? worked : doubtful != results.end() ? doubtful : results.begin();
    flow.verdict = decisive->verdict;
    flow.leg = decisive->leg;
    flow.cause = decisive->cause;
    flow.reason = decisive->reason;
    flow.direction = decisive->direction;
    flow.by_proxy = decisive->by_proxy;
    flow.icmp = decisive->icmp;
    flow.legs = decisive->legs;
    flow.media = decisive->media;
    if (worked != results.end()) {
        flow.transport = tries[static_cast<std::size_t>(worked - results.begin())].transport;
        flow.explanation = fmt::format("Played over {}. {}{}{}", flow.transport, worked->explanation,
                                       before.empty() ? "" : " Before that, ", before);
    } else {
        flow.explanation = fmt::format("No transport worked. {}", before);
    }
    return flow;
}

}  // namespace wmlab::lab
