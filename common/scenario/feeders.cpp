#include "common/scenario/feeders.hpp"

#include <algorithm>
#include <map>
#include <string_view>

#include "common/scenario/catalogue.hpp"
#include "common/scenario/values.hpp"

namespace wmlab::scenario {
namespace {

// What is no content's name must be that of a flow that brings a stream to the server where it is played.
void check_feeder(ReadContext& context, const yaml::Node& node, const Flow& source, const Flow& flow) {
    const auto servers = serving_hosts(flow), fed = fed_hosts(source);
    const auto missing =
        std::ranges::find_if(servers, [&](const auto& server) { return std::ranges::count(fed, server) == 0; });
    if (&flow == &source || servers.empty())
        context.problems.add(node, "flow " + ticked(flow.id) + " cannot play what a flow brings:");
    else if (missing != servers.end())
        context.problems.add(node, "the stream of this flow does not come to host " + ticked(*missing) + ':',
                             "it comes to " + ticked(fed.front()));
}

}  // namespace

void check_feeders(ReadContext& context) {
    const auto& scenario = context.scenario;
    if (context.fed.empty()) return;
    std::map<std::string_view, const Flow*> flows, bringing;
    for (const auto& flow : scenario.flows) {
        flows.emplace(flow.id, &flow);
        if (!fed_hosts(flow).empty()) bringing.emplace(flow.id, &flow);
    }
    for (const auto& [node, named] : context.fed) {
        const auto source = bringing.find(node->text);
        if (source == bringing.end()) {
            std::vector<std::string_view> names;
            for (const auto& content : scenario.contents) names.push_back(content.name);
            constexpr std::size_t likely = 100;  // names to be compared with a mistyped one
            if (bringing.size() <= likely)
                for (const auto& [id, flow] : bringing) names.push_back(id);
            context.problems.add(*node, "unknown content", context.problems.did_you_mean(node->text, names));
            continue;
        }
        if (!named.empty()) {
            if (const auto flow = flows.find(named); flow != flows.end())
                check_feeder(context, *node, *source->second, *flow->second);
            continue;
        }
        for (const auto& flow : scenario.flows)
            if (flow.content == node->text) check_feeder(context, *node, *source->second, flow);
    }
    // A circle would wait for itself. Each flow has one source at most: where a walk comes back to itself is one.
    std::map<const Flow*, const Flow*> seen;  // with the flow whose walk came by first
    for (const auto& flow : scenario.flows) {
        const auto* at = &flow;
        while (seen.emplace(at, &flow).second) {
            const auto next = scenario.content(at->content) != nullptr ? bringing.end() : bringing.find(at->content);
            if (next == bringing.end()) {
                at = nullptr;
                break;
            }
            at = next->second;
        }
        if (at == nullptr || seen.at(at) != &flow) continue;
        context.problems.add({at->line, 1}, {}, "flow " + ticked(at->id) + " waits for its own stream",
                             "let one flow of the circle play a content");
    }
}

}  // namespace wmlab::scenario
